"""open_clip 3.3.0's image transforms on small files of many kinds: transforms.json, transforms.bin.gz
and the input files under transforms/.

`eval` is image_transform(size, is_train=False) before its ToTensor and Normalize; `crop` is torchvision's
resized_crop with a given box, which is what its RandomResizedCrop does once the box is drawn.
"""

import gzip
import io
import struct
import sys
import zlib

import numpy as np
from open_clip.transform import image_transform
from PIL import Image, ImageCms, ImageDraw
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as F

from common import DATA, manifest, write_json

SEED = 11
FILES = DATA / "transforms"
rng = np.random.default_rng(SEED)


def gradient(w, h, channels=3):
    y, x = np.mgrid[0:h, 0:w]
    planes = [(255 * (x * (c + 1) + y * (3 - c)) / (w * (c + 1) + h * (3 - c))) for c in range(channels)]
    return np.stack(planes, -1).astype(np.uint8).squeeze()


def noise(w, h, channels=3):
    return rng.integers(0, 256, (h, w, channels), dtype=np.uint8).squeeze()


def edges(w, h):
    image = Image.new("RGB", (w, h), (250, 248, 240))
    draw = ImageDraw.Draw(image)
    for i in range(0, w, 9):
        draw.rectangle([i, (i * 7) % h, i + 3, h], fill=(20, (i * 5) % 256, 60))
        draw.line([(0, i % h), (w, h - i % h)], fill=(200, 30, 30), width=1)
    draw.text((4, 4), "capstan", fill=(0, 0, 0))
    return np.asarray(image)


def png(path, array, mode=None, **options):
    Image.fromarray(array, mode).save(path, **options) if mode is None else Image.fromarray(array).convert(mode).save(path, **options)


def png16(path, array):
    """A 16-bit PNG, which Pillow cannot write: colour type 2 or 6."""
    h, w, channels = array.shape
    rows = b"".join(b"\0" + array[y].astype(">u2").tobytes() for y in range(h))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", w, h, 16, {3: 2, 4: 6}[channels], 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b""))


def swapped_profile():
    """An sRGB profile with red and blue exchanged: whoever applies it changes the colours a lot."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack_from(">I", data, 128)[0]
    at = {bytes(data[132 + 12 * i : 136 + 12 * i]): 132 + 12 * i for i in range(count)}
    r, b = at[b"rXYZ"], at[b"bXYZ"]
    data[r + 4 : r + 12], data[b + 4 : b + 12] = data[b + 4 : b + 12], data[r + 4 : r + 12]
    return bytes(data)


def with_alpha(array):
    h, w = array.shape[:2]
    alpha = np.broadcast_to(np.linspace(0, 255, w).astype(np.uint8), (h, w)).copy()
    alpha[: h // 4] = 0
    return np.dstack([array, alpha])


def make_files():
    FILES.mkdir(parents=True, exist_ok=True)
    for old in FILES.iterdir():
        old.unlink()
    p = lambda name: FILES / name  # noqa: E731
    png(p("gradient.png"), gradient(64, 48))
    png(p("noise.png"), noise(97, 61))
    png(p("edges.png"), edges(120, 90))
    png(p("tall.png"), gradient(30, 200))
    png(p("wide.png"), edges(200, 30))
    png(p("tiny.png"), noise(7, 5))
    png(p("dot.png"), noise(1, 1).reshape(1, 1, 3))
    png(p("exact.png"), noise(32, 32))
    png(p("exact-short.png"), noise(45, 32))
    # Long edges of 33, 35 and 37 after the resize: centre offsets of 0.5, 1.5 and 2.5.
    png(p("half-0.png"), edges(66, 64))
    png(p("half-1.png"), edges(64, 70))
    png(p("half-2.png"), edges(74, 64))
    png(p("rgba.png"), with_alpha(noise(50, 40)))
    png(p("rgba-exact.png"), with_alpha(noise(32, 32)))
    png(p("la.png"), np.dstack([gradient(40, 50, 1), gradient(40, 50, 1)[::-1]]))
    png(p("gray.png"), gradient(55, 41, 1))
    Image.fromarray(edges(60, 44)).quantize(16).save(p("palette.png"))
    Image.fromarray(with_alpha(edges(60, 44))).quantize(32).save(p("palette-alpha.png"))
    Image.fromarray(edges(60, 44)).convert("1").save(p("bilevel.png"))
    Image.fromarray(gradient(60, 44)).save(p("rgb-trns.png"), transparency=(0, 0, 0))
    png16(p("rgb16.png"), (noise(40, 30).astype(np.uint16) << 8) | noise(40, 30))
    png16(p("rgba16.png"), (with_alpha(noise(40, 30)).astype(np.uint16) << 8) | 0x80)
    photo = Image.fromarray(((edges(130, 98).astype(int) + gradient(130, 98)) // 2).astype(np.uint8))
    photo.save(p("photo-420.jpg"), quality=75, subsampling=2)
    photo.save(p("photo-444.jpg"), quality=95, subsampling=0)
    photo.save(p("photo-progressive.jpg"), quality=80, progressive=True)
    photo.convert("L").save(p("photo-gray.jpg"), quality=85)
    photo.convert("CMYK").save(p("photo-cmyk.jpg"), quality=85)
    exif = Image.Exif()
    exif[0x0112] = 6
    photo.save(p("photo-exif-6.jpg"), quality=85, exif=exif)
    photo.save(p("photo-icc.jpg"), quality=85, icc_profile=swapped_profile())
    photo.save(p("photo.webp"), quality=80)
    Image.fromarray(with_alpha(edges(60, 44))).save(p("lossless-alpha.webp"), lossless=True)
    frame = Image.fromarray(edges(60, 44)).quantize(16)
    frame.save(p("still.gif"))
    # Pillow 13 resizes these two vertically first.
    png(p("tall-down.png"), noise(60, 150))
    png(p("tall-alpha.png"), with_alpha(edges(64, 170)))
    frame.save(p("animated.gif"), save_all=True, append_images=[Image.fromarray(noise(60, 44)).quantize(8)], duration=100)


CROPS = {
    "gradient.png": [(0, 0, 48, 64), (3, 5, 40, 50)],
    "noise.png": [(7, 11, 50, 80), (1, 0, 60, 61), (0, 0, 32, 32)],
    "edges.png": [(2, 3, 85, 115), (10, 20, 64, 32)],
    "tiny.png": [(0, 1, 5, 6), (2, 2, 1, 1)],
    "tall.png": [(40, 0, 40, 30)],
    "tall-down.png": [(10, 5, 120, 50), (10, 5, 52, 42), (10, 5, 54, 42)],
    "rgba.png": [(1, 2, 38, 47)],
    "palette.png": [(3, 2, 40, 55)],
    "photo-420.jpg": [(4, 6, 90, 120), (0, 0, 98, 130)],
    "photo-gray.jpg": [(5, 5, 70, 90)],
    "photo-cmyk.jpg": [(5, 5, 70, 90)],
}


def main():
    make_files()
    out, cases = io.BytesIO(), []

    def add(kind, name, size, pixels, **more):
        array = np.asarray(pixels)
        assert array.shape == (size, size, 3) and array.dtype == np.uint8
        cases.append({"kind": kind, "file": name, "size": size, **more, "offset": out.tell()})
        out.write(array.tobytes())

    for path in sorted(FILES.iterdir()):
        for size in [32] + ([224] if path.name in ("photo-420.jpg", "edges.png") else []):
            image = Image.open(path)
            transform = image_transform(size, is_train=False)
            resized = image
            for step in transform.transforms[:-2]:
                resized = step(resized)
            normalised = transform(Image.open(path))
            sample = [[c, y, x, normalised[c, y, x].item()] for c, y, x in rng.integers(0, [3, size, size], (4, 3)).tolist()]
            add("eval", path.name, size, resized, mode=image.mode, normalised=sample)
    for name, boxes in CROPS.items():
        for i, j, h, w in boxes:
            image = Image.open(FILES / name)
            cropped = F.resized_crop(image, i, j, h, w, [32, 32], InterpolationMode.BICUBIC).convert("RGB")
            add("crop", name, 32, cropped, box={"top": i, "left": j, "height": h, "width": w})
    packed = gzip.compress(out.getvalue(), 9, mtime=0)
    (DATA / "transforms.bin.gz").write_bytes(packed)
    print(f"transforms.bin.gz: {len(packed) / 1024:.0f} KiB, {len(cases)} cases", file=sys.stderr)
    packages = ["open_clip_torch", "torchvision", "pillow", "numpy"]
    write_json("transforms.json", manifest("make_transforms.py", SEED, packages, cases=cases))


if __name__ == "__main__":
    main()
