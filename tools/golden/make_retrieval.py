"""Recall of random embeddings by the formula of CLIP_benchmark's zeroshot_retrieval, and zero-shot
accuracy by that of open_clip: torch.topk of all scores, a query is a hit if any right answer is in it.

The embeddings are small integers, so that capstan can make the same ones exactly from the file, and
no two scores of a query that matter are equal (checked here), because torch.topk leaves ties open.
"""

import torch
import torch.nn.functional as F
from common import manifest, write_json

SEED = 7
IMAGES, CAPTIONS, DIM, CLASSES, TEMPLATES = 60, 5, 16, 12, 3
KS = [1, 5, 10]


def recall_at(scores: torch.Tensor, positive: torch.Tensor, k: int) -> float:
    """Share of rows with at least one positive among the k largest scores."""
    top = torch.topk(scores, k, dim=1).indices
    return (positive.gather(1, top).sum(dim=1) > 0).double().mean().item()


def no_ties(scores: torch.Tensor) -> None:
    gaps = scores.sort(dim=1).values.diff(dim=1)
    assert gaps.min().item() > 1e-9, "two scores of a query are equal; choose another seed"


def main() -> None:
    generator = torch.Generator().manual_seed(SEED)

    def integers(*shape: int) -> torch.Tensor:
        return torch.randint(-999, 1000, shape, generator=generator)

    images = integers(IMAGES, DIM)
    # Not every image has the same number of captions, and they are not in the images' order.
    owners = torch.arange(IMAGES).repeat_interleave(CAPTIONS)
    owners = owners[torch.randperm(len(owners), generator=generator)][: IMAGES * CAPTIONS - 40]
    owners = torch.cat([torch.arange(IMAGES), owners])
    texts = images[owners] // 3 + integers(len(owners), DIM)

    x = F.normalize(images.double(), dim=-1)
    t = F.normalize(texts.double(), dim=-1)
    scores = t @ x.T
    positive = torch.zeros_like(scores, dtype=torch.bool)
    positive[torch.arange(len(owners)), owners] = True
    no_ties(scores)
    no_ties(scores.T)
    recall = {
        "textToImage": {k: recall_at(scores, positive, k) for k in KS},
        "imageToText": {k: recall_at(scores.T, positive.T, k) for k in KS},
    }

    prompts = integers(CLASSES, TEMPLATES, DIM)
    labels = torch.randint(0, CLASSES, (IMAGES,), generator=generator)
    shown = prompts.sum(dim=1)[labels] // 4 + images
    classes = F.normalize(F.normalize(prompts.double(), dim=-1).mean(dim=1), dim=-1)
    logits = 100.0 * F.normalize(shown.double(), dim=-1) @ classes.T
    no_ties(logits)
    top5 = logits.topk(5, dim=1).indices
    correct = top5 == labels[:, None]
    hits = torch.zeros(CLASSES, dtype=torch.double).index_add_(0, labels, correct[:, 0].double())
    counts = torch.bincount(labels, minlength=CLASSES).double()

    write_json(
        "retrieval.json",
        manifest(
            "make_retrieval.py",
            SEED,
            ["torch"],
            retrieval={
                "images": images.tolist(),
                "texts": texts.tolist(),
                "textImageIndex": owners.tolist(),
                "recall": recall,
            },
            zeroShot={
                "images": shown.tolist(),
                "prompts": prompts.tolist(),
                "labels": labels.tolist(),
                "classEmbeddings": classes.tolist(),
                "top1": correct[:, 0].double().mean().item(),
                "top5": correct.any(dim=1).double().mean().item(),
                "meanPerClassRecall": (hits / counts)[counts > 0].mean().item(),
                "top5Indices": top5.tolist(),
                "top1Logits": logits.max(dim=1).values.tolist(),
            },
        ),
    )


if __name__ == "__main__":
    main()
