"""Token ids of 2,000 awkward strings from open_clip 3.3.0's SimpleTokenizer: tokenizer.json.gz.

`make_tokenizer.py --fuzz SEED COUNT FILE` writes as many others, for a longer comparison by hand.
"""

import gzip
import json
import sys
from pathlib import Path

import ftfy
from open_clip.tokenizer import SimpleTokenizer

from common import DATA, manifest
from strings import strings

SEED, COUNT = 7, 2000
# Mostly CLIP's context; every seventh string in a short one, every eleventh in a long one.
CONTEXTS = (77, 16, 128)


def joined(text: str) -> str:
    """Surrogate pairs as one character: what a JSON reader makes of them in either language."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def main() -> None:
    seed, count, path = SEED, COUNT, DATA / "tokenizer.json.gz"
    if sys.argv[1:2] == ["--fuzz"]:
        seed, count, path = int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    tokenizer = SimpleTokenizer()
    cases = []
    for i, (kind, text) in enumerate(strings(seed, count)):
        text = joined(text)
        context = CONTEXTS[1] if i % 7 == 6 else CONTEXTS[2] if i % 11 == 10 else CONTEXTS[0]
        ids = tokenizer.encode(text)
        row = tokenizer([text], context)[0].tolist()
        length = min(len(ids) + 2, context)
        assert not any(row[length:])
        cases.append({"kind": kind, "text": text, "fixed": ftfy.fix_text(text), "context": context, "numTokens": len(ids) + 2, "row": row[:length]})
    assert len(cases) == count
    packages = ["open_clip_torch", "ftfy", "regex", "wcwidth"]
    golden = {**manifest("make_tokenizer.py", seed, packages), "cases": cases}
    data = json.dumps(golden, ensure_ascii=True, separators=(",", ":")).encode()
    path.write_bytes(gzip.compress(data, 9, mtime=0))
    print(f"{path.name}: {path.stat().st_size / 1024:.0f} KiB, {len(cases)} strings", file=sys.stderr)


if __name__ == "__main__":
    main()
