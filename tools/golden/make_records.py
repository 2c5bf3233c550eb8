"""Writes tests/golden/data/records: small files of text and tar, and what Python reads in them.

The tars are written by tarfile in its three formats and read by webdataset; the others by json and csv.
"""

import base64
import csv
import gzip
import io
import json
import tarfile

import webdataset

from common import DATA, manifest, write_json

FOLDER = DATA / "records"
FOLDER.mkdir(parents=True, exist_ok=True)
LONG = "d" * 60 + "/" + "e" * 50 + "/" + "f" * 30
WORDS = ["größe 😀", "two\nlines", 'said "so", twice', "tab\there", "", " padded ", "日本語\u2028x", "back\\slash"]


def members():
    """Members as img2dataset has them, and what else may lie between them."""
    for i, key in enumerate(["000000000", "000000001", "sub.dir/é 2", LONG, "UP", "000000005"]):
        yield f"{key}.{'JPG' if key == 'UP' else 'jpg'}", bytes((i * 37 + j * 101) % 256 for j in range(400 + 300 * i))
        if i != 1:  # one sample has no caption
            yield f"{key}.txt", WORDS[i].encode()
        fields = {"url": f"https://example.org/{i}.jpg", "key": f"{i:09}", "width": 100 + i, "similarity": 0.3141592653589793}
        if i == 2:
            fields |= {"score": float("nan"), "nested": {"a": [1, None, "x"]}, "status": None}
        yield f"{key}.json", json.dumps(fields, indent=4).encode()
        if i == 3:
            yield f"{key}.seg.png", b"\x89PNG not one"
            yield f"{key}.cls", b"17"


def add(tar, name, data=b"", kind=tarfile.REGTYPE, link=""):
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname, info.mtime = len(data), kind, link, 1_700_000_000
    tar.addfile(info, io.BytesIO(data) if kind == tarfile.REGTYPE else None)


def write_tar(path, kind):
    with tarfile.open(path, "w", format=kind) as tar:
        add(tar, "./", kind=tarfile.DIRTYPE)
        add(tar, "__meta__/info.txt", b"not a sample")
        for i, (name, data) in enumerate(members()):
            add(tar, name, data)
            if i == 4:
                add(tar, "000000001.link", kind=tarfile.SYMTYPE, link="/etc/passwd")
                add(tar, "../../dev.jpg", kind=tarfile.CHRTYPE)
                add(tar, ".hidden", b"hidden")
                add(tar, "README", b"no dot")


def plain(value):
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, float) and value != value:
        return None  # as capstan reads it
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list) else value


def read_tar(path):
    rows = []
    for sample in webdataset.WebDataset(str(path), shardshuffle=False).decode():
        fields = sample.pop("json")
        own = {name: value for name, value in sample.items() if name not in ("__url__", "__local_path__")}
        rows.append(plain({**fields, **own}))
    return rows


expected = {}
for name, kind in [("ustar", tarfile.USTAR_FORMAT), ("gnu", tarfile.GNU_FORMAT), ("pax", tarfile.PAX_FORMAT)]:
    path = FOLDER / f"{name}.tar"
    write_tar(path, kind)
    expected[path.name] = read_tar(path)
packed = FOLDER / "packed.tar.gz"
packed.write_bytes(gzip.compress((FOLDER / "pax.tar").read_bytes(), mtime=0))
expected[packed.name] = expected["pax.tar"]

talks = [
    {
        "id": f"{i:09}",
        "image": f"00{i}/{i}.jpg",
        "conversations": [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": word}],
        **({"score": [0.5, -1e-7, 3, True, None, float("nan")]} if i % 3 == 1 else {}),
    }
    for i, word in enumerate(WORDS)
]
vecap = {f"https://example.org/{i},{{[\\\"]}}": word for i, word in enumerate(WORDS)}
texts = {
    "array.json": json.dumps(talks),
    "array-indented.json": "\ufeff" + json.dumps(talks, indent=2, ensure_ascii=False) + "\n",
    "entries.json": json.dumps(vecap, ensure_ascii=False),
    "entries-indented.json": json.dumps(vecap, indent=1),
    "lines.jsonl": "".join(json.dumps(talk) + "\n" for talk in talks),
    "lines-crlf.jsonlines": "\r\n\r\n".join(json.dumps(talk, ensure_ascii=False) for talk in talks),
    "lines.json": "\n".join(json.dumps(talk) for talk in talks),
}
for name, text in texts.items():
    (FOLDER / name).write_bytes(text.encode())
    value = json.loads(text.removeprefix("\ufeff")) if "lines" not in name else [
        json.loads(line) for line in text.split("\n") if line.strip()
    ]
    expected[name] = plain(value if isinstance(value, list) else [{"key": k, "value": v} for k, v in value.items()])
(FOLDER / "packed.jsonl.gz").write_bytes(gzip.compress(texts["lines.jsonl"].encode(), mtime=0))
expected["packed.jsonl.gz"] = expected["lines.jsonl"]

HEAD = ["Image Path", "raw_caption", "shortIB_captions", 'long "x", y', ""]
table = [[f"https://example.org/{i}", *(WORDS[(i * 3 + j) % len(WORDS)] for j in range(4))] for i in range(24)]
for name, options in {
    "minimal.csv": {},
    "all.csv": {"quoting": csv.QUOTE_ALL, "lineterminator": "\n"},
    "lines-cr.csv": {"quoting": csv.QUOTE_ALL, "lineterminator": "\r"},
    "tabs.tsv": {"delimiter": "\t", "lineterminator": "\n"},
}.items():
    with open(FOLDER / name, "w", newline="", encoding="utf-8-sig" if name == "all.csv" else "utf-8") as file:
        csv.writer(file, **options).writerows([HEAD, *table])
odd = 'a,b\r\nx"y,"p"q\n\n"",""""\n"no ""end""" ,2\r3,4'  # what Python takes and RFC 4180 does not know
(FOLDER / "odd.csv").write_bytes(odd.encode())
for path in sorted([*FOLDER.glob("*.csv"), *FOLDER.glob("*.tsv")]):
    with open(path, newline="", encoding="utf-8-sig") as file:
        head, *rows = [row for row in csv.reader(file, delimiter="\t" if path.suffix == ".tsv" else ",") if row]
    names = [name or f"Unnamed: {i}" for i, name in enumerate(head)]  # as pandas has it
    expected[path.name] = [dict(zip(names, row, strict=True)) for row in rows]

write_json("records.json", manifest("make_records.py", 0, ["webdataset"], files=expected))
