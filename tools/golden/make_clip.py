"""Tiny CLIPs of open_clip 3.3.0, GELU and QuickGELU: weights, activations, gradients, five AdamW steps.

Writes clip-<name>.safetensors and clip-<name>.json, and clip-init.json with the statistics of
open_clip's own initialisation. Every quantity is computed in float32, as open_clip trains, and once
more in float64; the largest gap between the two is in the JSON, so that a test's tolerance can be
judged against what float32 itself loses.
"""

import math
import sys

import numpy as np
import torch
from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
from open_clip.loss import ClipLoss
from open_clip.model import CLIP
from safetensors.torch import save_file

from common import DATA, manifest, write_json

SEED = 20240607
BATCH, STEPS = 8, 5
OPTIMIZER = {"lr": 5e-4, "betas": [0.9, 0.98], "eps": 1e-6, "weightDecay": 0.2, "warmupSteps": 2, "totalSteps": 10}
VISION = {"image_size": 32, "patch_size": 8, "width": 48, "layers": 2, "head_width": 16, "mlp_ratio": 4.0}
TEXT = {"context_length": 16, "vocab_size": 128, "width": 32, "layers": 2, "heads": 2, "mlp_ratio": 4.0}
EMBED = 32


def build(quick_gelu: bool, logit_scale: float) -> CLIP:
    torch.manual_seed(SEED)
    model = CLIP(embed_dim=EMBED, vision_cfg=VISION, text_cfg=TEXT, quick_gelu=quick_gelu, output_dict=True)
    with torch.no_grad():
        # Initial biases are 0 and norm weights 1: moved, so that none of them can be left out unnoticed.
        for name, p in model.named_parameters():
            if name != "logit_scale" and p.ndim == 1:
                p.add_(0.1 * torch.randn_like(p))
        model.logit_scale.fill_(logit_scale)
    return model


def inputs():
    rng = np.random.default_rng(SEED)
    images = rng.integers(0, 256, (STEPS, BATCH, 32, 32, 3), dtype=np.uint8)
    # Smooth halves, so that the images are not all noise.
    ramp = np.linspace(0, 255, 32)
    for s in range(STEPS):
        for b in range(0, BATCH, 2):
            phase, angle = rng.uniform(0, 6.28, 3), rng.uniform(0, 3.14)
            plane = np.cos(angle) * ramp[None, :] + np.sin(angle) * ramp[:, None]
            images[s, b] = np.stack([127.5 + 127 * np.sin(plane / 40 + p) for p in phase], -1).astype(np.uint8)
    sot, eot = TEXT["vocab_size"] - 2, TEXT["vocab_size"] - 1
    length = TEXT["context_length"]
    tokens = np.zeros((STEPS, BATCH, length), np.int32)
    for s in range(STEPS):
        for b in range(BATCH):
            # Row 0 is the empty caption, row 1 fills the context, the others are between.
            words = 0 if b == 0 else length - 2 if b == 1 else int(rng.integers(1, length - 2))
            tokens[s, b, : words + 2] = [sot, *rng.integers(0, sot, words), eot]
    return images, tokens


def normalise(images_nhwc: np.ndarray, dtype) -> torch.Tensor:
    x = torch.from_numpy(images_nhwc).to(dtype).permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(v, dtype=dtype).view(1, 3, 1, 1) for v in (OPENAI_DATASET_MEAN, OPENAI_DATASET_STD))
    return (x - mean) / std


def hooked(model: CLIP, store: dict):
    """Records each module's output under the module's own path."""

    def record(path):
        def hook(_module, _args, out):
            store[path] = (out[0] if isinstance(out, tuple) else out).detach().clone()

        return hook

    paths = ["visual.conv1", "visual.ln_pre", "visual.ln_post", "token_embedding", "ln_final"]
    for tower, width in (("visual.transformer", VISION), ("transformer", TEXT)):
        for i in range(width["layers"]):
            block = f"{tower}.resblocks.{i}"
            paths += [f"{block}.attn", f"{block}.mlp", block]
    return [model.get_submodule(p).register_forward_hook(record(p)) for p in paths]


def learning_rate(step: int) -> float:
    lr, warmup, total = OPTIMIZER["lr"], OPTIMIZER["warmupSteps"], OPTIMIZER["totalSteps"]
    if step < warmup:
        return lr * (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup))) * lr


def decays(name: str, p: torch.Tensor) -> bool:
    """open_clip_train 3.3.0's rule."""
    return not (p.ndim < 2 or "bn" in name or "ln" in name or "bias" in name or "logit_scale" in name)


def run(model: CLIP, images: np.ndarray, tokens: np.ndarray, dtype):
    model = model.to(dtype).train()
    loss_fn, out, middle = ClipLoss(), {}, {}
    named = list(model.named_parameters())
    groups = [
        {"params": [p for n, p in named if not decays(n, p)], "weight_decay": 0.0},
        {"params": [p for n, p in named if decays(n, p)], "weight_decay": OPTIMIZER["weightDecay"]},
    ]
    opt = torch.optim.AdamW(groups, lr=OPTIMIZER["lr"], betas=tuple(OPTIMIZER["betas"]), eps=OPTIMIZER["eps"])
    out["init"] = {n: p.detach().clone() for n, p in named}
    history = {"loss": [], "lr": [], "logitScale": [], "gradNorm": []}
    for step in range(STEPS):
        for group in opt.param_groups:
            group["lr"] = learning_rate(step)
        opt.zero_grad()
        hooks = hooked(model, middle) if step == 0 else []
        x, t = normalise(images[step], dtype), torch.from_numpy(tokens[step]).long()
        result = model(x, t)
        loss = loss_fn(result["image_features"], result["text_features"], result["logit_scale"])
        loss.backward()
        for hook in hooks:
            hook.remove()
        if step == 0:
            out["grad"] = {n: p.grad.detach().clone() for n, p in named}
            logits = result["logit_scale"] * result["image_features"] @ result["text_features"].T
            out["out"] = {
                "image_features": result["image_features"].detach().clone(),
                "text_features": result["text_features"].detach().clone(),
                "logits_per_image": logits.detach().clone(),
                "loss": loss.detach().clone(),
            }
        history["loss"].append(loss.item())
        history["lr"].append(learning_rate(step))
        history["gradNorm"].append(math.sqrt(sum(p.grad.double().pow(2).sum().item() for _, p in named)))
        opt.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0, math.log(100))
        history["logitScale"].append(model.logit_scale.item())
    out["after"] = {n: p.detach().clone() for n, p in named}
    out["mid"] = middle
    return out, history, {n: decays(n, p) for n, p in named}


def camel() -> dict:
    """The configuration in the names that capstan uses."""
    return {
        "embedDim": EMBED,
        "vision": {
            "imageSize": VISION["image_size"], "patchSize": VISION["patch_size"], "width": VISION["width"],
            "depth": VISION["layers"], "headWidth": VISION["head_width"], "mlpRatio": VISION["mlp_ratio"],
        },
        "text": {
            "contextLength": TEXT["context_length"], "vocabSize": TEXT["vocab_size"], "width": TEXT["width"],
            "depth": TEXT["layers"], "numHeads": TEXT["heads"], "mlpRatio": TEXT["mlp_ratio"],
        },
    }


def make(name: str, quick_gelu: bool, logit_scale: float) -> None:
    images, tokens = inputs()
    out, history, decay = run(build(quick_gelu, logit_scale), images, tokens, torch.float32)
    exact, exact_history, _ = run(build(quick_gelu, logit_scale), images, tokens, torch.float64)
    gaps = {}
    for kind in ("out", "mid", "grad", "after"):
        absolute = {n: (out[kind][n].double() - exact[kind][n]).abs().max().item() for n in out[kind]}
        relative = {n: g / (exact[kind][n].abs().max().item() + 1e-30) for n, g in absolute.items()}
        worst = max(relative, key=relative.get)
        gaps[kind] = {"maxAbsolute": max(absolute.values()), "maxRelativeToTensorMax": relative[worst], "worst": worst}
    tensors = {f"{kind}.{n}": t.contiguous() for kind in ("init", "grad", "after", "out", "mid") for n, t in out[kind].items()}
    tensors["input.images_uint8"] = torch.from_numpy(images)
    tensors["input.images_float"] = normalise(images[0], torch.float32).contiguous()
    tensors["input.tokens"] = torch.from_numpy(tokens)
    DATA.mkdir(parents=True, exist_ok=True)
    save_file(tensors, DATA / f"clip-{name}.safetensors")
    write_json(
        f"clip-{name}.json",
        manifest(
            "make_clip.py", SEED, ["open_clip_torch", "torch", "numpy", "safetensors"],
            config={**camel(), "quickGelu": quick_gelu}, batchSize=BATCH, steps=STEPS, optimizer=OPTIMIZER,
            logitScaleInit=logit_scale, decay=decay, history=history, historyFloat64=exact_history, float32Gap=gaps,
        ),
    )
    print(name, history["loss"], history["logitScale"], gaps, file=sys.stderr)


def make_init_statistics() -> None:
    """Moments of each parameter of a larger CLIP as open_clip initialises it."""
    global VISION, TEXT, EMBED
    VISION = {**VISION, "image_size": 64, "patch_size": 16, "width": 256, "layers": 3, "head_width": 64}
    TEXT = {**TEXT, "context_length": 32, "vocab_size": 1000, "width": 192, "layers": 3, "heads": 3}
    EMBED = 128
    torch.manual_seed(SEED)
    model = CLIP(embed_dim=EMBED, vision_cfg=VISION, text_cfg=TEXT)
    stats = {}
    for n, p in model.named_parameters():
        v = p.detach().double().flatten()
        std = v.std(correction=0).item()
        kurtosis = ((v - v.mean()) ** 4).mean().item() / std**4 if std > 0 else None
        stats[n] = {
            "shape": list(p.shape), "mean": v.mean().item(), "std": std,
            "min": v.min().item(), "max": v.max().item(), "kurtosis": kurtosis,
        }
    write_json(
        "clip-init.json",
        manifest("make_clip.py", SEED, ["open_clip_torch", "torch"], config={**camel(), "quickGelu": False}, parameters=stats),
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    make("gelu", False, math.log(1 / 0.07))
    # Starts below 0, so that the first step's clamp to [0, ln 100] shows.
    make("quickgelu", True, -0.01)
    make_init_statistics()
