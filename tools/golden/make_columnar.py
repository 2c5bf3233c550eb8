"""Parquet and Arrow files of many kinds, and the values that pyarrow reads from them: columnar/*.
Of duckdb-integers.* DuckDB itself reads them.

A file `TABLE.VARIANT.parquet` (or `.arrow`) holds the values of `TABLE.json`, by column; that every variant reads
equal is checked here. `refused/` holds files that capstan is to refuse in words.

How a value is written in the JSON, which is how capstan hands it out:
  int64, uint64, duration (in its unit)     {"$bigint": "…"}
  binary of any kind                        {"$bytes": base64}
  more than 1000 times the same             {"$repeat": [byte or character, count]}
  NaN, Infinity, -Infinity                  {"$float": "…"}
  decimal                                   a number up to 15 digits of precision, else text
  date, time, timestamp                     ISO 8601 with the digits of its unit; Z if it has a time zone
  month_day_nano interval                   {"months", "days", "nanoseconds": {"$bigint"}}
  map                                       an object, keys as text
  struct<bytes, path>                       the bytes, or the path where there are none
"""

import base64
import datetime
import decimal
import io
import math
import shutil
import struct as packing
import sys
import tempfile
from pathlib import Path

import duckdb
import json
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from common import DATA, manifest

SEED = 4
OUT = DATA / "columnar"
D = decimal.Decimal


# ---- values as JSON

EPOCH = datetime.date(1970, 1, 1)
PER_SECOND = {"s": 1, "ms": 1000, "us": 10**6, "ns": 10**9}
DIGITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}


def clock(ticks, unit):
    """A count of units since midnight as HH:MM:SS and the unit's digits."""
    seconds, rest = divmod(ticks, PER_SECOND[unit])
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return text + (f".{rest:0{DIGITS[unit]}}" if unit != "s" else "")


def plain(scalar):
    """One pyarrow scalar in the mapping above."""
    t = scalar.type
    if pa.types.is_dictionary(t) or pa.types.is_run_end_encoded(t):
        scalar = scalar.as_py() if not scalar.is_valid else scalar.value if hasattr(scalar, "value") else scalar
        return None if scalar is None else plain(scalar)
    if not scalar.is_valid:
        return None
    if pa.types.is_union(t):
        return plain(scalar.value)
    if pa.types.is_int64(t) or pa.types.is_uint64(t):
        return {"$bigint": str(scalar.as_py())}
    if pa.types.is_duration(t):
        return {"$bigint": str(scalar.value)}
    if pa.types.is_floating(t):
        value = float(scalar.as_py())
        return value if math.isfinite(value) else {"$float": {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN")}
    if pa.types.is_decimal(t):
        return float(scalar.as_py()) if t.precision <= 15 else f"{scalar.as_py():f}"
    if pa.types.is_date32(t):
        return (EPOCH + datetime.timedelta(days=scalar.value)).isoformat()
    if pa.types.is_date64(t):
        return (EPOCH + datetime.timedelta(days=scalar.value // 86400000)).isoformat()
    if pa.types.is_time(t):
        return clock(scalar.value, t.unit)
    if pa.types.is_timestamp(t):
        days, ticks = divmod(scalar.value, 86400 * PER_SECOND[t.unit])
        date = (EPOCH + datetime.timedelta(days=days)).isoformat()
        return f"{date}T{clock(ticks, t.unit)}{'Z' if t.tz else ''}"
    if pa.types.is_interval(t):
        months, days, nanos = scalar.as_py()
        return {"months": months, "days": days, "nanoseconds": {"$bigint": str(nanos)}}
    if pa.types.is_map(t):
        # A key that comes twice keeps its last value, as in any object.
        return {key_text(pair["key"].as_py()): plain(pair["value"]) for pair in scalar.values}
    if pa.types.is_nested(t) and not pa.types.is_struct(t):
        return [plain(each) for each in scalar.values]
    if pa.types.is_struct(t):
        fields = {name: plain(scalar[name]) for name in scalar.keys()}
        if sorted(fields) == ["bytes", "path"]:
            return fields["path"] if fields["bytes"] is None else fields["bytes"]
        return fields
    value = scalar.as_py()
    if isinstance(value, (bytes, str)) and len(value) > 1000 and value == value[:1] * len(value):
        return {"$repeat": [value[0], len(value)]}
    return {"$bytes": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def key_text(key):
    return key if isinstance(key, str) else json.dumps(key)


def columns_of(table):
    return {name: [plain(each) for each in table[name]] for name in table.column_names}


expected = {}


def expect(path, table):
    """Holds what was read from the file against the other variants of its table."""
    name = path.name.split(".")[0]
    values = columns_of(table)
    if expected.setdefault(name, values) != values:
        wrong = [c for c in values if expected[name].get(c) != values[c]]
        raise SystemExit(f"{path.name}: reads unlike the other variants of {name}: {wrong}")


# ---- tables

N = 24
PATTERNS = {
    "none": lambda i: False,
    "all": lambda i: True,
    "alternating": lambda i: i % 2 == 1,
    "ends": lambda i: i < 5 or i >= N - 5,
}


def holes(values, pattern):
    return [None if PATTERNS[pattern](i) else value for i, value in enumerate(values)]


def edge(low, high):
    return [low, high, 0, 1, -1 if low < 0 else 2] + [(i * 7919) % 100 for i in range(N - 5)]


def primitives():
    floats = [0.0, -1.5, math.nan, math.inf, -math.inf, 1 / 3] + [i / 8 for i in range(N - 6)]
    us = [0, -1, 1, 1700000000123456, -62135596800000000] + [86400000000 * i + i * 1001 for i in range(N - 5)]
    ticks = [(i * 3601001) % 86400 for i in range(N)]
    words = ["", "größe", "😀 a\u0000b", "x" * 40] + [f"word {i % 5}" for i in range(N - 4)]
    blobs = [bytes([255, 254, i]) * (i % 4) for i in range(N)]
    p = "alternating"
    columns = {}
    for bits in (8, 16, 32, 64):
        columns[f"int{bits}"] = pa.array(holes(edge(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1), p), f"int{bits}")
        columns[f"uint{bits}"] = pa.array(holes(edge(0, 2**bits - 1), p), f"uint{bits}")
    columns["float16"] = pa.array([None if v is None else np.float16(v) for v in holes(floats, p)], pa.float16())
    columns["float32"] = pa.array(holes(floats, p), pa.float32())
    columns["float64"] = pa.array(holes(floats, "ends"), pa.float64())
    columns["bool"] = pa.array(holes([i % 3 == 0 for i in range(N)], p))
    columns["bool_full"] = pa.array([i % 5 < 2 for i in range(N)])
    for unit in ("s", "ms", "us", "ns"):
        scaled = [v * PER_SECOND[unit] // 10**6 for v in us]
        if unit == "ns":
            scaled[4] = 1  # the year 1 is out of its range
        columns[f"timestamp_{unit}"] = pa.array(holes(scaled, p), pa.timestamp(unit))
        columns[f"timestamp_{unit}_tz"] = pa.array(scaled, pa.timestamp(unit, "Europe/Berlin"))
        columns[f"time_{unit}"] = pa.array(
            holes([t * PER_SECOND[unit] + (t if unit != "s" else 0) for t in ticks], p),
            (pa.time32 if unit in ("s", "ms") else pa.time64)(unit),
        )
    columns["date32"] = pa.array(holes([0, -1, 19000, -719162] + list(range(N - 4)), p), pa.date32())
    columns["duration"] = pa.array(holes(us, p), pa.duration("us"))
    for precision, scale in ((5, 2), (15, 3), (18, 4), (30, 10), (50, 5)):
        whole = [0, -1, 10**precision - 1, -(10**precision) + 1] + list(range(N - 4))
        make = pa.decimal256 if precision > 38 else pa.decimal128
        context = decimal.Context(prec=76)
        columns[f"decimal_{precision}"] = pa.array(
            holes([context.scaleb(D(v), -scale) for v in whole], p), make(precision, scale)
        )
    columns["string"] = pa.array(holes(words, p))
    columns["large_string"] = pa.array(words, pa.large_string())
    columns["string_view"] = pa.array(holes(words, p), pa.string_view())
    columns["binary"] = pa.array(holes(blobs, p), pa.binary())
    columns["large_binary"] = pa.array(blobs, pa.large_binary())
    columns["binary_view"] = pa.array(holes(blobs, p), pa.binary_view())
    columns["fixed_binary"] = pa.array(holes([bytes([i, 255, 0]) for i in range(N)], p), pa.binary(3))
    columns["category"] = pa.array(holes(words, p)).dictionary_encode()
    columns["null"] = pa.nulls(N)
    return pa.table(columns)


def texts():
    words = [f"a caption of image {i % 4}: größe" for i in range(N)]
    lists = [[words[j] for j in range(i % 4)] for i in range(N)]
    return pa.table(
        {
            "key": pa.array([f"row/{i}" for i in range(N)]),
            "alt": pa.array(holes(words, "alternating")),
            "noise": pa.array([np.random.default_rng(i).bytes(i) for i in range(N)]),
            "captions": pa.array(holes(lists, "ends"), pa.list_(pa.string())),
            "width": pa.array(range(N), pa.int32()),
        }
    )


def every_pattern(make, type_):
    """A column for each pattern of nulls; `make(i, hole)` has a chance for holes inside as well."""
    columns = {}
    for name, pattern in PATTERNS.items():
        columns[name] = pa.array([None if pattern(i) else make(i, False) for i in range(N)], type_)
    columns["inside"] = pa.array([make(i, True) for i in range(N)], type_)
    columns["empty"] = pa.array([None if i % 3 == 0 else make(0 if i % 3 == 1 else i, i % 2 == 1) for i in range(N)], type_)
    return pa.table(columns)


def hole(value, i, inside):
    return None if inside and i % 3 == 1 else value


def make_list(i, inside):
    return [hole(j * 10 + i, i + j, inside) for j in range(i % 4)]


def make_struct(i, inside):
    return {"a": hole(i, i, inside), "b": hole(f"s{i}", i + 1, inside)}


inner = pa.struct([("a", pa.int32()), ("b", pa.string())])
NESTED = {
    "list": (make_list, pa.list_(pa.int32())),
    "list-list": (lambda i, h: [hole(make_list(i + j, h), j, h) for j in range(i % 3)], pa.list_(pa.list_(pa.int32()))),
    "struct": (make_struct, inner),
    "list-struct": (lambda i, h: [hole(make_struct(i + j, h), j, h) for j in range(i % 4)], pa.list_(inner)),
    "map": (lambda i, h: [(f"k{j}", hole(j, i + j, h)) for j in range(i % 4)], pa.map_(pa.string(), pa.int32())),
    "map-int": (lambda i, h: [(j - 1, hole([j], j, h)) for j in range(i % 3)], pa.map_(pa.int32(), pa.list_(pa.int32()))),
    "struct-list": (
        lambda i, h: {"n": i, "l": hole(make_list(i, h), i, h), "s": hole(make_struct(i, h), i + 1, h)},
        pa.struct([("n", pa.int32()), ("l", pa.list_(pa.int32())), ("s", inner)]),
    ),
    "list-map": (
        lambda i, h: [hole([(f"k{k}", k) for k in range(j)], j, h) for j in range(i % 4)],
        pa.list_(pa.map_(pa.string(), pa.int32())),
    ),
    "list-list-struct": (
        lambda i, h: [[hole(make_struct(j, h), k, h) for k in range(j)] for j in range(i % 4)],
        pa.list_(pa.list_(inner)),
    ),
}


def pictures():
    def jpeg(i):
        out = io.BytesIO()
        Image.new("RGB", (8, 6), (i * 40, 90, 200 - i * 30)).save(out, "JPEG")
        return out.getvalue()

    return [jpeg(i) for i in range(6)]


# ---- Parquet


def write_parquet(name, table, **options):
    path = OUT / f"{name}.parquet"
    options = {"compression": "none", "store_schema": True, **options}
    pq.write_table(table, path, **options)
    expect(path, pq.read_table(path))


def make_parquet():
    flat = primitives().drop_columns(["null", "timestamp_s", "timestamp_s_tz", "time_s", "date32"])
    flat = flat.append_column("date32", primitives()["date32"]).append_column("null", pa.nulls(N))
    for version in ("1.0", "2.0"):
        v = f"v{version[0]}"
        for dictionary in (True, False):
            kind = "dictionary" if dictionary else "plain"
            write_parquet(f"primitives.{v}-{kind}", flat, data_page_version=version, use_dictionary=dictionary)
            for codec in ("none", "snappy", "gzip", "zstd", "lz4", "brotli"):
                write_parquet(
                    f"texts.{v}-{kind}-{codec}", texts(), data_page_version=version, use_dictionary=dictionary, compression=codec
                )
        make_encodings(v, version)
        for name, (make, type_) in NESTED.items():
            write_parquet(f"{name}.{v}", every_pattern(make, type_), data_page_version=version)
        # Many pages and row groups, with and without their index.
        for index in (True, False):
            write_parquet(
                f"pages.{v}-{'index' if index else 'no-index'}",
                many(),
                data_page_version=version,
                row_group_size=130,
                data_page_size=64,
                write_batch_size=16,
                dictionary_pagesize_limit=600,
                write_page_index=index,
                compression="snappy",
            )
        for dictionary in (True, False):
            for index in (True, False):
                write_parquet(
                    f"large.{v}-{'dictionary' if dictionary else 'plain'}-{'index' if index else 'no-index'}",
                    large(),
                    data_page_version=version,
                    use_dictionary=dictionary,
                    write_batch_size=4,
                    data_page_size=300_000,
                    write_page_index=index,
                    compression="zstd",
                )
    write_parquet("list-struct.old-names", every_pattern(*NESTED["list-struct"]), use_compliant_nested_type=False)
    required = pa.schema(
        [
            pa.field("n", pa.int64(), False),
            pa.field("l", pa.list_(pa.field("element", pa.string(), False)), False),
            pa.field("s", pa.struct([pa.field("x", pa.float64(), False)]), False),
            pa.field("a.b", pa.string(), False),
        ]
    )
    rows = {"n": list(range(9)), "l": [["x"] * (i % 3) for i in range(9)], "s": [{"x": i / 2} for i in range(9)], "a.b": list("abcdefghi")}
    write_parquet("required.v1", pa.table(rows, required))
    write_parquet("required.v2", pa.table(rows, required), data_page_version="2.0", compression="zstd")
    stamps = pa.table({"t": pa.array([0, None, 1700000000123456789, -5], pa.timestamp("ns"))})
    write_parquet("int96.v1", stamps, use_deprecated_int96_timestamps=True)
    write_parquet("no-rows.v1", texts().slice(0, 0))
    write_parquet("no-schema.v1", primitives().select(["uint8", "uint16", "uint32", "int8", "float16", "decimal_18"]), store_schema=False)


def make_encodings(v, version):
    integers = pa.table({f"{kind}{bits}": pa.array(holes(edge(*limits(kind, bits)), p), f"{kind}{bits}")
                         for kind in ("int", "uint") for bits in (8, 16, 32, 64) for p in ("alternating",)})
    integers = integers.append_column("rising", pa.array(range(1000, 1000 + N), pa.int64()))
    integers = integers.append_column("far", pa.array([(-1) ** i * (2**62 - i) for i in range(N)], pa.int64()))
    strings = primitives().select(["string", "large_string", "binary"])
    strings = strings.append_column("shared", pa.array([f"https://example.org/image/{i // 3}/{i}.jpg" for i in range(N)]))
    fixed = primitives().select(["fixed_binary", "float16", "decimal_30"])
    floats = primitives().select(["float32", "float64"])
    for name, table, encodings in (
        ("integers", integers, ("PLAIN", "DELTA_BINARY_PACKED", "BYTE_STREAM_SPLIT")),
        ("strings", strings, ("PLAIN", "DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY")),
        ("fixed", fixed, ("PLAIN", "DELTA_BYTE_ARRAY", "BYTE_STREAM_SPLIT")),
        ("floats", floats, ("PLAIN", "BYTE_STREAM_SPLIT")),
        ("booleans", primitives().select(["bool", "bool_full"]), ("PLAIN", "RLE")),
    ):
        for encoding in encodings:
            write_parquet(
                f"{name}.{v}-{encoding.lower().replace('_', '-')}",
                table,
                data_page_version=version,
                use_dictionary=False,
                column_encoding={c: encoding for c in table.column_names},
                compression="zstd",
            )


def limits(kind, bits):
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if kind == "int" else (0, 2**bits - 1)


def many():
    n = 300
    return pa.table(
        {
            "i": pa.array(range(n), pa.int64()),
            "text": pa.array([None if i % 7 == 3 else f"text {i % 90}" for i in range(n)]),
            "blob": pa.array([bytes([i % 256]) * (i % 9) for i in range(n)]),
            "list": pa.array([None if i % 11 == 0 else [f"{i}.{j}" for j in range(i % 5)] for i in range(n)]),
            "image": pa.array(
                [{"bytes": bytes([i % 256, 255]) * 4, "path": None} if i % 2 else {"bytes": None, "path": f"{i}.jpg"} for i in range(n)],
                pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
            ),
        }
    )


def large():
    """Columns so large that capstan reads them by pages, of values that take next to nothing."""
    n = 110
    sizes = [90_000 + i for i in range(n)]
    return pa.table(
        {
            "image": pa.array(
                [None if i % 13 == 5 else {"bytes": None if i % 7 == 3 else bytes([i % 9]) * size, "path": f"{i}.jpg"} for i, size in enumerate(sizes)],
                pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
            ),
            "text": pa.array([None if i % 5 == 1 else "abc"[i % 3] * size for i, size in enumerate(sizes)]),
            "deep": pa.array([{"a": {"b": b"x" * size, "c": i}, "d": None} for i, size in enumerate(sizes)],
                             pa.struct([("a", pa.struct([("b", pa.binary()), ("c", pa.int32())])), ("d", pa.string())])),
            "i": pa.array(range(n), pa.int32()),
        }
    )


def make_duckdb():
    query = """select i::integer as i, i::bigint * 3000000000 as big, 'text ' || i as text, i / 7 as ratio,
      case when i % 3 = 0 then null else i % 2 = 0 end as flag, (i / 10)::decimal(6, 2) as price,
      [i, null, i + 1] as list, {'a': i, 'b': 'x' || i} as struct, map {'k' || i: i} as map,
      date '2020-01-01' + i::integer as day, timestamp '2020-01-01 00:00:00' + interval (i) minute as at,
      ('\\xFF\\x00' || i)::blob as blob, [{'from': 'human', 'value': 'hi ' || i}] as turns,
      i::hugeint as huge, uuid '00000000-0000-0000-0000-0000000000aa' as id
      from range(20) t(i)"""
    for codec in ("uncompressed", "snappy", "gzip", "zstd", "lz4_raw", "brotli"):
        for version in ("V1", "V2"):
            path = OUT / f"duckdb.{codec}-{version.lower()}.parquet"
            duckdb.sql(query).write_parquet(str(path), compression=codec) if version == "V1" else duckdb.sql(
                f"copy ({query}) to '{path}' (format parquet, compression {codec}, parquet_version v2)"
            )
            # capstan gives a UUID as text, pyarrow as bytes.
            table = pq.read_table(path)
            ids = [None if v is None else str(v) if not isinstance(v, bytes) else str(__import__("uuid").UUID(bytes=v)) for v in table["id"].to_pylist()]
            expect(path, table.set_column(table.column_names.index("id"), "id", pa.array(ids)))


def make_duckdb_integers():
    """DuckDB's second version writes DELTA_BINARY_PACKED with first values of 64 bits, whatever the column's width."""
    columns = []
    for bits, signed in ((8, "tinyint"), (16, "smallint"), (32, "integer"), (64, "bigint")):
        for kind, sql in (("int", signed), ("uint", f"u{signed}")):
            low, high = limits(kind, bits)
            # What comes first is the header's number; what is next to it, the least difference. Distinct values, so
            # that no dictionary is written.
            for name, ends in (("high", (high, low)), ("low", (low, high))):
                values = [*ends, ends[0] + (1 if name == "low" else -1), *(i * 5 + 3 for i in range(20)), high // 2, high // 2 + 1]
                columns.append((f"{kind}{bits}_{name}", sql, values))
    columns.append(("uint32_upper", "uinteger", [4294967295 - 214748364 * (i % 10) - i for i in range(25)]))
    columns.append(("uint32_nulls", "uinteger", [None if i % 4 == 0 else 4164216853 + i for i in range(25)]))
    columns.append(("int32_nulls", "integer", [None if i % 5 == 1 else -(2**31) + 3 * i for i in range(25)]))
    columns.append(("text", "varchar", [None if i % 6 == 5 else f"größe {i}" * (i % 3) for i in range(25)]))
    columns.append(("double", "double", [None if i % 7 == 2 else (-1) ** i * i / 3 for i in range(25)]))
    columns.append(("boolean", "boolean", [None if i % 3 == 1 else i % 2 == 0 for i in range(25)]))
    select = ", ".join(f"unnest({values!r}::{sql}[]) as {name}".replace("None", "null") for name, sql, values in columns)
    for codec in ("uncompressed", "snappy", "zstd"):
        path = OUT / f"duckdb-integers.{codec}-v2.parquet"
        duckdb.sql(f"copy (select {select}) to '{path}' (format parquet, compression {codec}, parquet_version v2)")
        encodings = duckdb.sql(f"select path_in_schema, encodings from parquet_metadata('{path}')").fetchall()
        wrong = [name for name, kinds in encodings if "int" in name and "DELTA_BINARY_PACKED" not in kinds]
        if wrong:
            raise SystemExit(f"{path.name}: not written as differences: {wrong}")
        expect(path, duckdb.read_parquet(str(path)).to_arrow_table())


# ---- Arrow


def write_arrow(name, table, kind="file", batch_rows=10, batches=None, **options):
    path = OUT / f"{name}.arrow"
    options = pa.ipc.IpcWriteOptions(**options)
    new = pa.ipc.new_file if kind == "file" else pa.ipc.new_stream
    with new(path, table.schema, options=options) as writer:
        for batch in batches or table.to_batches(max_chunksize=batch_rows):
            writer.write_batch(batch)
    opened = pa.ipc.open_file(path) if kind == "file" else pa.ipc.open_stream(path)
    expect(path, opened.read_all())


def make_arrow():
    more = {
        "date64": pa.array([None, 0, 86400000 * 19000] + [0] * (N - 3), pa.date64()),
        "decimal32": pa.array([D("1.25"), None] + [D("-0.5")] * (N - 2), pa.decimal32(5, 2)),
        "decimal64": pa.array([D("1.25"), None] + [D("-0.5")] * (N - 2), pa.decimal64(17, 2)),
        "interval": pa.array([(1, -2, 3), None] + [(0, 0, 2**40)] * (N - 2), pa.month_day_nano_interval()),
        "fixed_list": pa.array([[1, 2], None, [None, 3]] + [[4, 5]] * (N - 3), pa.list_(pa.int16(), 2)),
        "large_list": pa.array([["a"], None, []] + [["b", None]] * (N - 3), pa.large_list(pa.string())),
        "category_int64": pa.array([2**40, None] * (N // 2)).dictionary_encode(),
    }
    flat = primitives()
    for name, array in more.items():
        flat = flat.append_column(name, array)
    for kind in ("file", "stream"):
        for codec in (None, "lz4", "zstd"):
            write_arrow(f"arrow-primitives.{kind}-{codec}", flat, kind, compression=codec)
            write_arrow(f"arrow-texts.{kind}-{codec}", texts(), kind, compression=codec)
    for name, (make, type_) in NESTED.items():
        write_arrow(f"arrow-{name}.file", every_pattern(make, type_))
    write_arrow("arrow-many.stream-zstd", many(), "stream", 64, compression="zstd")
    write_arrow("arrow-many.file", many(), "file", 64)
    # Slices begin at an offset; with nulls, lists and dictionaries in them.
    sliced = [batch for start in (0, 101, 202) for batch in many().slice(start, 101 if start < 202 else 98).to_batches()]
    write_arrow("arrow-many.sliced", many(), "file", batches=sliced)
    words = [pa.array(["a", "b", "a", None]), pa.array(["c", "a", "b", "d"]), pa.array(["e", None, "a", "e"])]
    grown = pa.array(["a", "b", "c", "d", "e"])
    schema = pa.schema([("word", pa.dictionary(pa.int8(), pa.string()))])
    deltas = [
        pa.record_batch([pa.DictionaryArray.from_arrays(pa.array([grown.index(v).as_py() if v.is_valid else None for v in part], pa.int8()), grown[:n])], schema)
        for part, n in zip(words, (2, 4, 5))
    ]
    whole = pa.Table.from_batches(deltas)
    write_arrow("arrow-dictionary.deltas-file", whole, "file", batches=deltas, emit_dictionary_deltas=True)
    write_arrow("arrow-dictionary.deltas-stream", whole, "stream", batches=deltas, emit_dictionary_deltas=True, compression="lz4")
    replaced = [pa.record_batch([part.dictionary_encode().cast(schema[0].type)], schema) for part in words]
    write_arrow("arrow-dictionary.replaced-stream", whole, "stream", batches=replaced)
    nested = pa.array([["a", "b"], None, ["b", None], []], pa.list_(pa.string()))
    write_arrow("arrow-nested-dictionary.file", pa.table({"tags": nested.cast(pa.list_(pa.dictionary(pa.int32(), pa.string())))}))
    write_arrow("arrow-no-rows.stream", texts().slice(0, 0), "stream")
    write_arrow("arrow-no-rows.file", texts().slice(0, 0), "file")
    # Compressed bodies whose buffers did not get smaller are kept as they are.
    blobs = pa.table({"noise": pa.array([np.random.default_rng(i).bytes(400) for i in range(8)])})
    write_arrow("arrow-noise.lz4", blobs, compression="lz4")
    write_arrow("arrow-noise.zstd", blobs, compression="zstd")


def make_datasets():
    """Hugging Face's own shards: Parquet, and the Arrow streams that its cache and save_to_disk are made of."""
    import datasets

    features = datasets.Features({"image": datasets.Image(), "text": datasets.Value("string"), "label": datasets.ClassLabel(names=["a", "b"])})
    with tempfile.TemporaryDirectory() as folder:
        rows = {
            "image": [{"bytes": jpeg, "path": f"{i}.jpg" if i % 2 else None} for i, jpeg in enumerate(pictures())],
            "text": ["one", None, "three", "", "five", "six"],
            "label": [0, 1, 0, None, 1, 1],
        }
        dataset = datasets.Dataset.from_dict(rows, features)
        path = OUT / "hub.parquet.parquet"
        dataset.to_parquet(str(path))
        expect(path, pq.read_table(path))
        dataset.save_to_disk(folder + "/saved")
        [shard] = sorted(Path(folder, "saved").glob("data-*.arrow"))
        path = OUT / "hub.saved.arrow"
        shutil.copy(shard, path)
        expect(path, pa.ipc.open_stream(path).read_all())


# ---- what is refused


def make_refused():
    (OUT / "refused").mkdir()
    folder = OUT / "refused"
    plain_column = pa.array(["a", "b"])
    kinds = {
        "list-view": pa.array([[1], [2, 3]], pa.list_view(pa.int32())),
        "run-end": pa.RunEndEncodedArray.from_arrays(pa.array([1, 2], pa.int32()), pa.array(["x", "y"])),
    }
    for name, array in kinds.items():
        table = pa.table({"key": plain_column, "odd": array})
        with pa.ipc.new_file(folder / f"{name}.arrow", table.schema) as writer:
            writer.write_table(table)
    import pyarrow.parquet.encryption as pe

    class Kms(pe.KmsClient):
        def wrap_key(self, key, master):
            return base64.b64encode(key)

        def unwrap_key(self, wrapped, master):
            return base64.b64decode(wrapped)

    factory = pe.CryptoFactory(lambda _: Kms())
    for name, plaintext in (("encrypted-column", True), ("encrypted-footer", False)):
        config = pe.EncryptionConfiguration(footer_key="f", column_keys={"c": ["secret"]}, plaintext_footer=plaintext)
        properties = factory.file_encryption_properties(pe.KmsConnectionConfig(), config)
        table = pa.table({"key": plain_column, "secret": plain_column})
        with pq.ParquetWriter(folder / f"{name}.parquet", table.schema, encryption_properties=properties) as writer:
            writer.write_table(table)


def main():
    if OUT.exists():
        shutil.rmtree(OUT)
    OUT.mkdir(parents=True)
    make_parquet()
    make_duckdb()
    make_duckdb_integers()
    make_arrow()
    make_datasets()
    make_refused()
    for name, values in expected.items():
        text = ",\n".join(f"{json.dumps(c)}: {json.dumps(v, separators=(',', ':'))}" for c, v in values.items())
        (OUT / f"{name}.json").write_text("{\n" + text + "\n}\n", encoding="utf-8")
    header = manifest("make_columnar.py", SEED, ["pyarrow", "datasets", "duckdb", "pillow", "numpy"])
    (OUT / "manifest.txt").write_text(json.dumps(header, indent=1) + "\n", encoding="utf-8")
    files = [p for p in OUT.rglob("*") if p.is_file()]
    print(f"columnar: {len(files)} files, {sum(p.stat().st_size for p in files) / 1024:.0f} KiB", file=sys.stderr)


if __name__ == "__main__":
    main()
