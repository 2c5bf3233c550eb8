"""Small files laid out as the public data sets are, and what capstan should read from them.

Each folder holds files as the data set's publisher names and encodes them: columns, types, nesting and codec; texts
and images are made up. `NAME.json` beside the folder NAME says by hand, not by capstan's code, which value is which column.
"""

import csv
import gzip
import hashlib
import io
import json
import tarfile

import pyarrow as pa
import pyarrow.parquet as pq
from common import DATA, manifest
from PIL import Image

SEED = 0
ROWS = 6
ROOT = DATA / "schemas"

NOUNS = ["pronghorn", "lighthouse", "bicycle", "teapot", "harbour", "orchid"]
PLACES = ["Seedskadee", "Cape Wrath", "Utrecht", "Kyoto", "Valparaíso", "Sikkim"]


def alt(i):
    return f"{NOUNS[i].title()} at {PLACES[i]} – photo {i}"


def ssc(i):
    return f"A {NOUNS[i]} seen from the front on a clear day."


def dsc(i):
    return (
        f"A {NOUNS[i]} fills the middle of the picture. It is lit from the left and throws a soft shadow to the "
        f"right. Behind it there is a plain background in a muted colour, with a few blurred shapes near the edge."
    )


def dense(i, who):
    return f"{who} sees this. " + " ".join([dsc(i)] * 3)


def url(i):
    return f"https://images.example.org/{i}/{NOUNS[i]}%20photo.jpg?w=640&n={i}"


def jpeg(i):
    picture = Image.new("RGB", (20 + i, 16), (40 * i, 200 - 30 * i, 90))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=80)
    return file.getvalue()


def sha256(data):
    return hashlib.sha256(data if isinstance(data, bytes) else data.encode()).hexdigest()


def url_key(i):
    return sha256(url(i))[:32]


def folder(name):
    path = ROOT / name
    path.mkdir(parents=True, exist_ok=True)
    return path


def expect(name, files, rows, *, schema=None, images=None, split="train"):
    """Writes what reading the files should give; an image stands as its SHA-256."""
    value = {
        "schema": schema or name,
        "files": files,
        "split": split,
        **({} if images is None else {"images": images}),
        "rows": rows,
    }
    write_json(ROOT / f"{name}.json", value)


def write_json(path, value):
    path.write_text(json.dumps(value, indent=1, ensure_ascii=True) + "\n", encoding="utf-8")


def write_images(name, names):
    for i, file in enumerate(names):
        path = folder(name) / "images" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(i))


def parquet(name, file, columns, **options):
    table = pa.table({column: pa.array(values, kind) for column, (kind, values) in columns.items()})
    pq.write_table(table, folder(name) / file, compression="snappy", row_group_size=4, **options)


def each(make):
    return [make(i) for i in range(ROWS)]


STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
TURNS = pa.list_(pa.struct([("from", pa.string()), ("value", pa.string())]))


def turns(question, answer):
    return [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]


def recap():
    name, file = "recap-datacomp-1b", "train-00000-of-04627.parquet"
    text, real, whole = pa.string(), pa.float64(), pa.int64()
    parquet(name, file, {
        "url": (text, each(url)),
        "re_caption": (text, each(dsc)),
        "org_caption": (text, [None if i == 2 else alt(i) for i in range(ROWS)]),
        "sha256": (text, each(lambda i: sha256(jpeg(i)))),
        "key": (text, each(lambda i: f"{i:012d}")),
        "re_clip_score": (real, each(lambda i: 0.3 + i / 100)),
        "org_clip_score": (real, each(lambda i: 0.2 + i / 100)),
        "re_length": (whole, each(lambda i: 49)),
        "org_length": (whole, each(lambda i: 10)),
        "re_gpt4v_score": (whole, each(lambda i: 4)),
        "org_gpt4v_score": (whole, each(lambda i: 2)),
        "re_condition_length": (whole, each(lambda i: 50)),
    })
    expect(name, [file], each(lambda i: {
        "key": f"{i:012d}", "url": url(i), "alt": None if i == 2 else alt(i), "dsc": dsc(i),
    }))


def datacomp():
    name, file = "datacomp", "0a0b0c0d-metadata.parquet"
    text, score = pa.string(), pa.float32()
    uid = [sha256(f"uid {i}")[:32] for i in range(ROWS)]
    parquet(name, file, {
        "uid": (text, uid),
        "url": (text, each(url)),
        "text": (text, each(alt)),
        "original_width": (pa.int64(), each(lambda i: 640)),
        "original_height": (pa.int64(), each(lambda i: 480)),
        "clip_b32_similarity_score": (score, each(lambda i: 0.25)),
        "clip_l14_similarity_score": (score, each(lambda i: 0.21)),
        "face_bboxes": (pa.list_(pa.list_(pa.float64())), each(lambda i: [[0.1, 0.2, 0.3, 0.4]] * (i % 3))),
        "sha256": (text, each(lambda i: sha256(jpeg(i)))),
    })
    expect(name, [file], each(lambda i: {"key": uid[i], "url": url(i), "alt": alt(i)}))


def coyo():
    """Hugging Face's `datasets` writes .arrow as an IPC stream and puts its features into the schema's metadata."""
    name = "coyo-hd"
    text, score = pa.string(), pa.float64()
    fields = [
        ("url", text), ("caption_llava", text), ("caption_llava_short", text), ("caption", text),
        ("tags_open_images", text), ("tags_booru", text), ("key", pa.int64()),
        ("clip_similarity_vitb32", score), ("clip_similarity_vitl14", score),
        ("nsfw_score_opennsfw2", score), ("watermark_score", score), ("aesthetic_score_laion_v2", score),
        ("original_width", pa.int64()), ("original_height", pa.int64()), ("sha256", text),
    ]
    features = {field: {"dtype": str(kind).replace("double", "float64"), "_type": "Value"} for field, kind in fields}
    schema = pa.schema(fields, metadata={"huggingface": json.dumps({"info": {"features": features}})})
    keys = [25, 7, 450_000_001, 3, 11, 2**40]
    rows = [
        {
            "url": url(i), "caption_llava": dsc(i), "caption_llava_short": ssc(i),
            "caption": None if i == 1 else alt(i),
            "tags_open_images": json.dumps(["Black", NOUNS[i]]), "tags_booru": json.dumps(["no_humans"]),
            "key": keys[i], "clip_similarity_vitb32": 0.2, "clip_similarity_vitl14": 0.2,
            "nsfw_score_opennsfw2": 0.01, "watermark_score": 0.1, "aesthetic_score_laion_v2": 5.5,
            "original_width": 640, "original_height": 480, "sha256": sha256(jpeg(i)),
        }
        for i in range(ROWS)
    ]
    files = []
    for shard, part in enumerate([rows[:4], rows[4:]]):
        files.append(f"data-0000{shard}-of-00002.arrow")
        with pa.OSFile(str(folder(name) / files[-1]), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
            writer.write_table(pa.Table.from_pylist(part, schema), max_chunksize=3)
    write_images(name, [f"{key}.jpg" for key in keys])
    expect(name, files, each(lambda i: {
        "key": keys[i], "url": url(i), "alt": None if i == 1 else alt(i), "ssc": ssc(i), "dsc": dsc(i),
        "image": sha256(jpeg(i)), "tags_open_images": json.dumps(["Black", NOUNS[i]]),
    }), images="images/{key}.jpg")


def cc12m():
    name, file = "cc12m-llavanext", "train.jsonl.gz"
    keys = [f"{i:09d}" for i in range(ROWS)]
    lines = each(lambda i: json.dumps({
        "url": url(i), "caption_llava": dsc(i), "caption_llava_short": ssc(i), "caption": alt(i), "key": keys[i],
        "status": "success", "original_width": 640, "original_height": 480,
    }, ensure_ascii=i % 2 == 0))
    data = gzip.compress(("\n".join(lines) + "\n").encode(), mtime=0)
    (folder(name) / file).write_bytes(data)
    write_images(name, [f"{key}.jpg" for key in keys])
    expect(name, [file], each(lambda i: {
        "key": keys[i], "url": url(i), "alt": alt(i), "ssc": ssc(i), "dsc": dsc(i), "image": sha256(jpeg(i)),
    }), images="images/{key}.jpg")


def dreamlip():
    name, file = "dreamlip", "cc3m_3long_3short_1raw_captions_url.csv"
    models = ["IB", "SV", "LLA"]
    with open(folder(name) / file, "w", newline="", encoding="utf-8") as sink:
        table = csv.writer(sink)
        table.writerow(
            ["Image Path", "raw_caption"]
            + [f"{length}{model}_captions" for model in models for length in ("short", "long")]
        )
        for i in range(ROWS):
            cells = [text for model in models for text in (f"{model}: {ssc(i)}", f'{dense(i, model)}\nSo "it" ends.')]
            table.writerow([url(i), alt(i), *cells])
    write_images(name, [f"{url_key(i)}.jpg" for i in range(ROWS)])
    expect(name, [file], each(lambda i: {
        "key": url_key(i), "url": url(i), "alt": alt(i),
        "ssc": [f"{model}: {ssc(i)}" for model in models],
        "dsc+": [f'{dense(i, model)}\nSo "it" ends.' for model in models],
        "image": sha256(jpeg(i)),
    }), images="images/{key}.jpg")


def capsfusion():
    name, text = "capsfusion", pa.string()
    fused = each(lambda i: f"{ssc(i)} It stands at {PLACES[i]}.")
    parquet(name, "capsfusion_1.parquet", {
        "image_url": (text, each(url)),
        "laion_2b": (text, each(alt)),
        "laion_coco": (text, each(ssc)),
        "capsfusion": (text, fused),
    })
    expect(name, ["capsfusion_1.parquet"], each(lambda i: {
        "key": url_key(i), "url": url(i), "alt": alt(i), "ssc": ssc(i), "afc": fused[i],
    }))


def pixelprose():
    name, file, text = "pixelprose", "vlm_captions_cc12m_00.parquet", pa.string()
    uid = [sha256(f"pixel {i}")[:32] for i in range(ROWS)]
    parquet(name, file, {
        "uid": (text, uid), "url": (text, each(url)), "key": (text, each(lambda i: f"{i:09d}")),
        "status": (text, each(lambda i: "success")), "original_caption": (text, each(alt)),
        "vlm_model": (text, each(lambda i: "gemini-pro-vision")),
        "vlm_caption": (text, each(lambda i: dense(i, "Gemini"))),
        "toxicity": (pa.float64(), each(lambda i: 0.001)),
        "width": (pa.float64(), each(lambda i: 640.0)), "height": (pa.float64(), each(lambda i: 480.0)),
        "sha256": (text, each(lambda i: sha256(jpeg(i)))),
    })
    expect(name, [file], each(lambda i: {
        "key": uid[i], "url": url(i), "alt": alt(i), "dsc+": dense(i, "Gemini"), "vlm_model": "gemini-pro-vision",
    }))


def llava_pretrain():
    name, file = "llava-pretrain", "blip_laion_cc_sbu_558k.json"
    paths = [f"0045{i}/0045{i}{NOUNS[i]}.jpg" for i in range(ROWS)]
    rows = each(lambda i: {
        "id": f"0045{i}", "image": paths[i],
        "conversations": turns("<image>\nWhat is this?", ssc(i)),
    })
    (folder(name) / file).write_text(json.dumps(rows, indent=2), encoding="utf-8")
    write_images(name, paths)
    wanted = each(lambda i: {"key": f"0045{i}", "ssc": ssc(i), "image": sha256(jpeg(i))})
    expect(name, [file], wanted, images="images")
    meta, file = "llava-pretrain-meta", "blip_laion_cc_sbu_558k_meta.json"
    rows = each(lambda i: {"id": f"0045{i}", "image": paths[i], "blip_caption": ssc(i), "url": url(i)})
    (folder(meta) / file).write_text(json.dumps(rows), encoding="utf-8")
    expect(meta, [file], each(lambda i: {**wanted[i], "url": url(i)}), schema=name, images="../llava-pretrain/images")


def llava_recap():
    name, file, text = "llava-recap", "train-00000-of-00075.parquet", pa.string()
    parquet(name, file, {
        "id": (text, each(lambda i: f"{i:09d}")),
        "image": (STRUCT, each(lambda i: {"bytes": jpeg(i), "path": f"{i:09d}.jpg"})),
        "conversations": (TURNS, each(lambda i: turns("<image>\nDescribe it.", dense(i, "LLaVA")))),
        "data_source": (text, each(lambda i: "blip558k")),
    })
    expect(name, [file], each(lambda i: {
        "key": f"{i:09d}", "dsc+": dense(i, "LLaVA"), "image": sha256(jpeg(i)), "data_source": "blip558k",
    }))


def sharegpt4v():
    name, file = "sharegpt4v", "share-captioner_coco_lcs_sam_1246k_1107.json"
    paths = [f"sam/images/sa_{i}.jpg" if i % 2 else f"coco/train2017/{i:012d}.jpg" for i in range(ROWS)]
    rows = each(lambda i: {
        "id": f"sa_{i}", "image": paths[i],
        "conversations": turns("Describe it.\n<image>", dense(i, "GPT")),
    })
    (folder(name) / file).write_text(json.dumps(rows), encoding="utf-8")
    write_images(name, paths)
    expect(name, [file], each(lambda i: {
        "key": f"sa_{i}", "dsc+": dense(i, "GPT"), "image": sha256(jpeg(i)),
    }), images="images")


def vecap():
    name, file = "vecap", "wit_300m-00-of-10.json"
    fused = each(lambda i: f"{ssc(i)} Taken at {PLACES[i]}.")
    (folder(name) / file).write_text(json.dumps({url(i): fused[i] for i in range(ROWS)}), encoding="utf-8")
    expect(name, [file], each(lambda i: {"key": url_key(i), "url": url(i), "afc": fused[i]}))


def docci():
    name, file = "docci", "docci_descriptions.jsonlines"
    splits = ["train", "train", "test", "qual_dev", "qual_test", "train"]
    ids = [f"{split}_{i:05d}" for i, split in enumerate(splits)]
    lines = each(lambda i: json.dumps({
        "example_id": ids[i], "split": splits[i], "description": dense(i, "A person"), "image_file": f"{ids[i]}.jpg",
    }))
    (folder(name) / file).write_text("\n".join(lines) + "\n", encoding="utf-8")
    write_images(name, [f"{one}.jpg" for one in ids])
    rows = each(lambda i: {
        "key": ids[i], "split": splits[i], "dsc+": dense(i, "A person"), "image": sha256(jpeg(i)),
    })
    expect(name, [file], [rows[3]], images="images", split="qual_dev")
    hub, text = "docci-parquet", pa.string()
    file = "train-00000-of-00001.parquet"
    parquet(hub, file, {
        "image": (STRUCT, each(lambda i: {"bytes": jpeg(i), "path": f"{ids[i]}.jpg"})),
        "example_id": (text, ids),
        "description": (text, each(lambda i: dense(i, "A person"))),
    })
    expect(hub, [file], [{key: row[key] for key in ("key", "dsc+", "image")} for row in rows], schema=name)


def webdataset():
    """As img2dataset writes it: picture, AltText and what is known of the row, under one nine-digit key."""
    name, file = "webdataset", "00000.tar"
    with tarfile.open(folder(name) / file, "w") as tar:
        for i in range(ROWS):
            facts = {"caption": alt(i), "url": url(i), "key": f"{i:09d}", "status": "success", "org_caption": ssc(i)}
            for ending, data in [("jpg", jpeg(i)), ("json", json.dumps(facts).encode()), ("txt", alt(i).encode())]:
                info = tarfile.TarInfo(f"{i:09d}.{ending}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    expect(name, [file], each(lambda i: {
        "key": f"{i:09d}", "url": url(i), "alt": alt(i), "image": sha256(jpeg(i)),
    }))


if __name__ == "__main__":
    for make in [
        recap, datacomp, coyo, cc12m, dreamlip, capsfusion, pixelprose, llava_pretrain, llava_recap, sharegpt4v,
        vecap, docci, webdataset,
    ]:
        make()
    write_json(ROOT / "manifest.json", manifest("make_schemas.py", SEED, ["pyarrow", "pillow"]))
