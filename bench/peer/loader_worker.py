"""The peers' side of the loader bench: open_clip's WebDataset pipeline, or Hugging Face datasets' streaming.

Told what to do by JSON lines on standard input; see bench/lib/protocol.ts. Both make what open_clip's training script
is given: float32 images after its own training transform, and token ids by its own tokenizer.
"""

import glob
import io
import json
import multiprocessing
import os
import sys
import time
from importlib.metadata import version
from types import SimpleNamespace

import open_clip
import torch
from open_clip.transform import image_transform
from PIL import Image

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGESIZE")


def open_clip_batches(setup: dict, transform, tokenizer):
    from open_clip_train.data import get_wds_dataset

    shards = sorted(glob.glob(f"{setup['folder']}/tar/*.tar"))
    args = SimpleNamespace(
        train_data="::".join(shards), train_data_upsampling_factors=None, train_num_samples=setup["numSamples"],
        dataset_resampled=False, seed=setup["seed"], batch_size=setup["batchSize"], workers=setup["workers"],
        world_size=1, distributed=False,
    )
    info = get_wds_dataset(args, transform, is_train=True, tokenizer=tokenizer)
    epoch = 0
    while True:
        info.set_epoch(epoch)
        yield from info.dataloader
        epoch += 1


class Samples(torch.utils.data.IterableDataset):
    """The streamed rows, shuffled through a buffer and transformed in the worker that reads them."""

    def __init__(self, rows, transform, tokenizer):
        self.rows, self.transform, self.tokenizer = rows, transform, tokenizer

    def __iter__(self):
        for row in self.rows:
            image = Image.open(io.BytesIO(row["image"])).convert("RGB")
            yield self.transform(image), self.tokenizer(row["alt"])[0]


def datasets_batches(setup: dict, transform, tokenizer):
    from datasets import load_dataset

    files = sorted(glob.glob(f"{setup['folder']}/parquet/*.parquet"))
    rows = load_dataset("parquet", data_files=files, split="train", streaming=True)
    rows = rows.shuffle(seed=setup["seed"], buffer_size=1000)
    epoch = 0
    while True:
        rows.set_epoch(epoch)
        yield from torch.utils.data.DataLoader(
            Samples(rows, transform, tokenizer), batch_size=setup["batchSize"], num_workers=setup["workers"],
            drop_last=True,
        )
        epoch += 1


def family() -> list:
    return ["self", *(str(child.pid) for child in multiprocessing.active_children())]


def processor_ms() -> float:
    total = 0
    for pid in family():
        with open(f"/proc/{pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total * 1000 / TICKS


def resident_bytes() -> int:
    total = 0
    for pid in family():
        with open(f"/proc/{pid}/statm") as statm:
            total += int(statm.read().split()[1]) * PAGE
    return total


batches = None
peak = 0


def load(setup: dict) -> dict:
    global batches
    torch.set_num_threads(1)
    transform = image_transform(setup["imageSize"], is_train=True)
    tokenizer = open_clip.get_tokenizer("ViT-B-32")
    make = {"open_clip": open_clip_batches, "datasets": datasets_batches}[setup["side"]]
    batches = make(setup, transform, tokenizer)
    next(batches)
    package = {"open_clip": "open_clip_torch", "datasets": "datasets"}[setup["side"]]
    return {"versions": {setup["side"]: version(package), "Pillow": version("pillow")}}


def steps(count: int) -> dict:
    times, before = [], processor_ms()
    for _ in range(count):
        start = time.perf_counter()
        next(batches)
        times.append((time.perf_counter() - start) * 1000)
    return {"stepMs": times, "losses": [], "processorMs": processor_ms() - before}


def memory() -> dict:
    global peak
    resident = resident_bytes()
    peak = max(peak, resident)
    return {"residentBytes": resident, "peakBytes": peak}


def answer(name: str, arguments: dict) -> dict:
    if name == "load":
        return load(arguments)
    return steps(arguments["count"]) if name == "steps" else memory()


if __name__ == "__main__":
    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply = {"reply": answer(request["name"], request["arguments"])}
        except Exception as error:  # noqa: BLE001 - every error goes to the bench, which stops
            import traceback

            reply = {"error": f"{error}\n{traceback.format_exc()}"}
        print("@reply " + json.dumps(reply), flush=True)
