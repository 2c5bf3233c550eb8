"""Makes the loader bench's data: photographs as WebDataset tars, Arrow and Parquet shards of the same samples.

    python loader_data.py OUT NUM_FILES NUM_SAMPLES_OF_A_SHARD COPIES

Each file is a crop of one of scikit-image's photographs, chosen by a seeded generator, brought to 640 x 480 or
480 x 640 with noise as a camera's (an enlarged picture is smoother than one that comes from a camera), at quality 90.
All shards are there COPIES times, as hard links under further names, so that a large set takes little room.
"""

import io
import os
import sys
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from skimage import data

WORDS = (
    "a an the of in on with and near under over two three red green blue white black wooden metal small large old "
    "young smiling sitting standing bright dark astronaut cat coffee cup rocket table window sky floor suit flag "
    "portrait close-up photograph view light shadow background morning evening orange striped shiny quiet crowded"
).split()


def photographs() -> list:
    return [Image.fromarray(image()).convert("RGB") for image in (data.astronaut, data.chelsea, data.coffee, data.rocket)]


def photograph(photos: list, random: np.random.Generator) -> bytes:
    photo = photos[random.integers(len(photos))]
    size = (640, 480) if random.random() < 0.7 else (480, 640)
    scale = random.uniform(0.6, 1) * min(photo.width / size[0], photo.height / size[1])
    width, height = int(size[0] * scale), int(size[1] * scale)
    left, top = random.integers(photo.width - width + 1), random.integers(photo.height - height + 1)
    crop = photo.resize(size, Image.LANCZOS, box=(left, top, left + width, top + height))
    noisy = np.asarray(crop, np.float32) + random.normal(0, 4, (size[1], size[0], 1)).astype(np.float32)
    file = io.BytesIO()
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=90)
    return file.getvalue()


def write_tar(path: str, samples: list) -> None:
    with tarfile.open(path, "w") as tar:
        for sample in samples:
            for ending, content in (("jpg", sample["image"]), ("txt", sample["alt"].encode())):
                info = tarfile.TarInfo(f"{sample['key']}.{ending}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))


def write_table(folder: str, name: str, samples: list) -> None:
    schema = pa.schema([("key", pa.string()), ("image", pa.binary()), ("alt", pa.string())])
    table = pa.Table.from_pylist(samples, schema=schema)
    pq.write_table(table, f"{folder}/parquet/{name}.parquet", row_group_size=50)
    with pa.ipc.new_file(f"{folder}/arrow/{name}.arrow", schema) as writer:
        writer.write_table(table, max_chunksize=50)


def main(folder: str, num_files: int, shard_size: int, copies: int) -> None:
    photos = photographs()
    for name in ("tar", "parquet", "arrow"):
        os.makedirs(f"{folder}/{name}", exist_ok=True)
    num_shards = -(-num_files // shard_size)
    for shard in range(num_shards):
        samples = []
        for i in range(shard * shard_size, min(num_files, (shard + 1) * shard_size)):
            random = np.random.default_rng([1, i])
            words = random.choice(WORDS, random.integers(8, 40))
            samples.append({"key": f"{i:08d}", "image": photograph(photos, random), "alt": " ".join(words)})
        write_tar(f"{folder}/tar/train-{shard:05d}.tar", samples)
        write_table(folder, f"train-{shard:05d}", samples)
        for copy in range(1, copies):
            for kind in ("tar", "parquet", "arrow"):
                of = f"{folder}/{kind}/train-{shard:05d}.{kind}"
                os.link(of, f"{folder}/{kind}/train-{copy * num_shards + shard:05d}.{kind}")


main(sys.argv[1], *map(int, sys.argv[2:5]))
