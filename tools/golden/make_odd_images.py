"""Image files of unusual kinds and what Pillow makes of them: odd-images.json, odd-images.bin.gz and odd-images/*.

Each is brought to 32 pixels as open_clip's evaluation does: short edge by bicubic, centre crop, then RGB
(make_transforms.py calls the originals; this repeats them, so that it needs no PyTorch). `oriented` cases go through
ImageOps.exif_transpose first. A file that Pillow refuses has an `error`.
"""

import gzip
import io
import struct
import sys
import zlib

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from common import DATA, manifest, write_json

SEED, SIZE = 12, 32
FILES = DATA / "odd-images"
rng = np.random.default_rng(SEED)
ORIENTATION = 0x0112


def photo(w=52, h=40):
    """No two corners alike, so that each orientation shows."""
    y, x = np.mgrid[0:h, 0:w]
    image = Image.fromarray(np.stack([255 * x / w, 255 * y / h, 127 + 90 * np.sin(x / 5 + y / 9)], -1).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    draw.rectangle([2, 3, 14, 9], fill=(250, 20, 30))
    draw.line([(w - 4, 2), (w // 2, h - 3)], fill=(10, 240, 250), width=2)
    return image


def oriented(orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def raw_png(name, rows, w, h, depth, colour_type, interlace=0, extra=b""):
    header = struct.pack(">IIBBBBB", w, h, depth, colour_type, 0, 0, interlace)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")
    (FILES / name).write_bytes(data)


def interlaced(array):
    """Adam7: seven smaller images, one after the other."""
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    return b"".join(b"\0" + row.tobytes() for x, y, dx, dy in passes for row in array[y::dy, x::dx] if row.size)


def packed_gray(array, depth):
    rows = []
    for row in array >> (8 - depth):
        bits = "".join(f"{v:0{depth}b}" for v in row)
        bits += "0" * (-len(bits) % 8)
        rows.append(b"\0" + int(bits, 2).to_bytes(len(bits) // 8, "big"))
    return b"".join(rows)


def without_segment(data, marker):
    at = data.index(bytes([0xFF, marker]))
    length = struct.unpack_from(">H", data, at + 2)[0]
    return data[:at] + data[at + 2 + length :]


def make_files():
    FILES.mkdir(parents=True, exist_ok=True)
    for old in FILES.iterdir():
        old.unlink()
    p = lambda name: FILES / name  # noqa: E731
    image = photo()
    w, h = image.size
    for n in range(1, 9):
        image.save(p(f"exif-{n}.jpg"), quality=90, exif=oriented(n))
    image.save(p("exif-big-endian.jpg"), quality=90, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x03\0\0\0\0\0\0")
    image.save(p("exif-0.jpg"), quality=90, exif=oriented(0))
    image.save(p("exif-9.jpg"), quality=90, exif=oriented(9))
    image.convert("L").save(p("exif-gray.jpg"), quality=90, exif=oriented(5))
    image.convert("CMYK").save(p("exif-cmyk.jpg"), quality=90, exif=oriented(8))
    for n in (3, 6):
        image.save(p(f"exif-{n}.png"), exif=oriented(n))
        image.save(p(f"exif-{n}.webp"), quality=90, exif=oriented(n))
        image.save(p(f"orientation-{n}.tif"), tiffinfo={ORIENTATION: n})
    image.quantize(16).save(p("exif-palette.png"), exif=oriented(7))
    rgba = np.dstack([np.asarray(image), np.linspace(0, 255, w * h).reshape(h, w).astype(np.uint8)])
    Image.fromarray(rgba).save(p("exif-alpha.png"), exif=oriented(6))
    # JPEG of inks: as Adobe writes them, without Adobe's mark, and stored as luminance, chroma and black.
    file = io.BytesIO()
    image.convert("CMYK").save(file, "JPEG", quality=90)
    inks = file.getvalue()
    p("cmyk-adobe.jpg").write_bytes(inks)
    p("cmyk-plain.jpg").write_bytes(without_segment(inks, 0xEE))
    p("cmyk-ycck.jpg").write_bytes(inks.replace(b"Adobe\0d\0\0\0\0\0", b"Adobe\0d\0\0\0\0\x02"))
    image.save(p("progressive.jpg"), quality=85, progressive=True, optimize=True)
    image.save(p("restarts.jpg"), quality=85, restart_marker_blocks=2)
    image.save(p("rgb.jpg"), quality=90, keep_rgb=True)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=85)
    data = file.getvalue()
    p("trailing.jpg").write_bytes(data + b"\0" * 100)
    p("no-end.jpg").write_bytes(data[:-2])
    p("cut.jpg").write_bytes(data[: len(data) * 2 // 3])
    p("cut-head.jpg").write_bytes(data[:300])
    # PNG
    array = np.asarray(image)
    raw_png("interlaced.png", interlaced(array), w, h, 8, 2, interlace=1)
    gray = np.asarray(image.convert("L"))
    for depth in (1, 2, 4):
        raw_png(f"gray-{depth}.png", packed_gray(gray, depth), w, h, depth, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in gray.astype(np.uint16) * 257)
    raw_png("gray-16.png", rows, w, h, 16, 0)
    la16 = np.dstack([gray, rgba[..., 3]]).astype(np.uint16) * 257
    raw_png("gray-alpha-16.png", b"".join(b"\0" + row.astype(">u2").tobytes() for row in la16), w, h, 16, 4)
    raw_png("gray-transparent.png", packed_gray(gray, 8), w, h, 8, 0, extra=chunk(b"tRNS", struct.pack(">H", int(gray[5, 5]))))
    image.quantize(8).save(p("palette-transparent.png"), transparency=3)
    Image.fromarray(rgba).convert("LA").save(p("gray-alpha.png"))
    frames = [image.rotate(a) for a in (0, 90, 180)]
    frames[0].save(p("animated.png"), save_all=True, append_images=frames[1:], duration=80)
    frames[0].save(p("animated-default.png"), save_all=True, append_images=frames[1:], duration=80, default_image=True)
    frames[0].save(p("animated.webp"), save_all=True, append_images=frames[1:], duration=80, quality=80)
    frames[0].save(p("animated.gif"), save_all=True, append_images=frames[1:], duration=80)
    image.quantize(8).save(p("transparent.gif"), transparency=2)
    data = p("interlaced.png").read_bytes()
    p("cut.png").write_bytes(data[: len(data) // 2])
    bomb = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    p("bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", bomb) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b""))
    # TIFF
    for name, mode in (("rgb", "RGB"), ("gray", "L"), ("bilevel", "1"), ("palette", "P"), ("inks", "CMYK"), ("alpha", "RGBA")):
        source = Image.fromarray(rgba) if mode == "RGBA" else image.quantize(16) if mode == "P" else image.convert(mode)
        source.save(p(f"{name}.tif"), compression="tiff_lzw" if mode != "1" else "group4")
    Image.fromarray(gray.astype(np.uint16) * 257).save(p("gray-16.tif"))
    Image.fromarray(gray.astype(np.float32)).save(p("float.tif"))
    frames[0].save(p("pages.tif"), save_all=True, append_images=frames[1:])
    # WebP, AVIF
    Image.fromarray(rgba).save(p("alpha.webp"), quality=85)
    image.save(p("lossless.webp"), lossless=True)
    image.save(p("picture.avif"), quality=80)
    image.save(p("exif-6.avif"), quality=80, exif=oriented(6))
    p("empty.jpg").write_bytes(b"")


def evaluated(image):
    """torchvision's Resize(SIZE, BICUBIC) and CenterCrop(SIZE), and open_clip's conversion."""
    w, h = image.size
    new = (SIZE, int(SIZE * h / w)) if w <= h else (int(SIZE * w / h), SIZE)
    image = image if (w, h) == new else image.resize(new, Image.BICUBIC)
    left, top = (round((n - SIZE) / 2) for n in new)
    return image.crop((left, top, left + SIZE, top + SIZE)).convert("RGB")


def main():
    make_files()
    out, cases = io.BytesIO(), []
    for path in sorted(FILES.iterdir()):
        for transposed in (False, True):
            case = {"file": path.name, "oriented": transposed}
            try:
                image = Image.open(path)
                image.load()
                case["mode"] = image.mode
                pixels = np.asarray(evaluated(ImageOps.exif_transpose(image) if transposed else image))
                assert pixels.shape == (SIZE, SIZE, 3)
                case["offset"] = out.tell()
                out.write(pixels.tobytes())
            except Exception as error:  # noqa: BLE001 - whatever Pillow says of the file is the result
                case["error"] = f"{type(error).__name__}: {error}".replace(str(FILES), "")
            cases.append(case)
    packed = gzip.compress(out.getvalue(), 9, mtime=0)
    (DATA / "odd-images.bin.gz").write_bytes(packed)
    print(f"odd-images.bin.gz: {len(packed) / 1024:.0f} KiB, {len(cases)} cases", file=sys.stderr)
    write_json("odd-images.json", manifest("make_odd_images.py", SEED, ["pillow", "numpy"], cases=cases))


if __name__ == "__main__":
    main()
