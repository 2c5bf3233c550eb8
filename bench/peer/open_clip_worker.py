"""The peer's side of the CLIP benches: open_clip's model, loss, schedule and optimizer groups in PyTorch.

Told what to do by JSON lines on standard input; see bench/lib/protocol.ts. A step is that of open_clip's
training script: images come normalised in float32, as its loader's workers hand them over.
"""

import json
import math
import resource
import sys
import time

import numpy as np
import torch
from open_clip import __version__ as open_clip_version
from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
from open_clip.loss import ClipLoss
from open_clip.model import CLIP
from open_clip_train.precision import get_autocast
from open_clip_train.scheduler import cosine_lr
from safetensors.torch import load_file

LN_100 = math.log(100)


def build(config: dict) -> CLIP:
    vision, text = config["vision"], config["text"]
    return CLIP(
        embed_dim=config["embedDim"],
        vision_cfg={
            "image_size": vision["imageSize"], "patch_size": vision["patchSize"], "width": vision["width"],
            "layers": vision["depth"], "head_width": vision["headWidth"], "mlp_ratio": vision["mlpRatio"],
        },
        text_cfg={
            "context_length": text["contextLength"], "vocab_size": text["vocabSize"], "width": text["width"],
            "layers": text["depth"], "heads": text["numHeads"], "mlp_ratio": text["mlpRatio"],
        },
        quick_gelu=config["quickGelu"],
        output_dict=True,
    )


def groups(model: CLIP, weight_decay: float) -> list:
    """The training script's rule for what decays."""
    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    excluded = lambda n, p: p.ndim < 2 or "bn" in n or "ln" in n or "bias" in n or "logit_scale" in n
    return [
        {"params": [p for n, p in named if excluded(n, p)], "weight_decay": 0.0},
        {"params": [p for n, p in named if not excluded(n, p)], "weight_decay": weight_decay},
    ]


def read_batches(files: dict, config: dict) -> list:
    side, length = config["vision"]["imageSize"], config["text"]["contextLength"]
    shape = (files["count"], files["batchSize"])
    pixels = np.fromfile(files["imagesFile"], np.uint8).reshape(*shape, side, side, 3)
    tokens = np.fromfile(files["tokensFile"], "<i4").reshape(*shape, length)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (OPENAI_DATASET_MEAN, OPENAI_DATASET_STD))
    return [
        (((torch.from_numpy(p).permute(0, 3, 1, 2).float() / 255 - mean) / std).contiguous(), torch.from_numpy(t).long())
        for p, t in zip(pixels, tokens)
    ]


class Training:
    def __init__(self, setup: dict):
        torch.set_num_threads(setup["threads"])
        self.dtype = torch.bfloat16 if setup["precision"] == "bf16" else torch.float32
        self.autocast = get_autocast("amp_bf16" if setup["precision"] == "bf16" else "fp32", device_type="cpu")
        self.model = build(setup["config"]).train()
        self.model.load_state_dict(load_file(setup["weightsFile"]))
        self.forward = torch.compile(self.model) if setup["mode"] == "compiled" else self.model
        self.loss = ClipLoss()
        o = setup["optimizer"]
        self.optimizer = torch.optim.AdamW(
            groups(self.model, o["weightDecay"]), lr=o["lr"], betas=(o["beta1"], o["beta2"]), eps=o["eps"]
        )
        self.schedule = cosine_lr(self.optimizer, o["lr"], o["warmupSteps"], o["totalSteps"])
        self.batches = read_batches(setup["batches"], setup["config"])
        self.done = 0

    def step(self) -> float:
        images, tokens = self.batches[self.done % len(self.batches)]
        self.schedule(self.done)
        self.optimizer.zero_grad()
        with self.autocast():
            out = self.forward(images, tokens)
            total = sum(self.loss(**out, output_dict=True).values())
        total.backward()
        self.optimizer.step()
        with torch.no_grad():
            self.model.logit_scale.clamp_(0, LN_100)
        self.done += 1
        return total.item()

    def steps(self, count: int) -> dict:
        times, losses, processor = [], [], time.process_time()
        for _ in range(count):
            start = time.perf_counter()
            losses.append(self.step())
            times.append((time.perf_counter() - start) * 1000)
        return {"stepMs": times, "losses": losses, "processorMs": (time.process_time() - processor) * 1000}

    @torch.no_grad()
    def matmul(self, size: int, repeats: int) -> dict:
        chain = 8
        a, b = ((torch.randn(size, size) * size**-0.5).to(self.dtype) for _ in range(2))
        best = math.inf
        for _ in range(repeats + 1):
            start = time.perf_counter()
            product = a
            for _ in range(chain):
                product = product @ b
            best = min(best, time.perf_counter() - start)
        return {"gflopsPerSecond": chain * 2 * size**3 / best / 1e9}


def memory() -> dict:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in KiB, macOS in bytes; only Linux says what is resident now.
    if sys.platform == "darwin":
        return {"residentBytes": peak, "peakBytes": peak}
    with open("/proc/self/statm") as statm:
        pages = int(statm.read().split()[1])
    return {"residentBytes": pages * resource.getpagesize(), "peakBytes": peak * 1024}


training = None
for line in sys.stdin:
    request = json.loads(line)
    name, arguments = request["name"], request["arguments"]
    try:
        if name == "setup":
            training = Training(arguments)
            reply = {"versions": {"torch": torch.__version__, "open_clip": open_clip_version}}
        elif name == "steps":
            reply = training.steps(arguments["count"])
        elif name == "matmul":
            reply = training.matmul(arguments["size"], arguments["repeats"])
        else:
            reply = memory()
        answer = {"reply": reply}
    except Exception as error:  # noqa: BLE001 - every error goes to the bench, which stops
        import traceback

        answer = {"error": f"{error}\n{traceback.format_exc()}"}
    print("@reply " + json.dumps(answer), flush=True)
