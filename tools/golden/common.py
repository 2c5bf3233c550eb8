"""What every generator shares: where the files go, and the manifest that says how they came to be."""

import json
import platform
import sys
from importlib.metadata import version
from pathlib import Path

DATA = Path(__file__).resolve().parents[2] / "tests" / "golden" / "data"


def manifest(script: str, seed: int, packages: list[str], **fields) -> dict:
    """The header of each golden: command, seed and versions, then the golden's own fields."""
    return {
        "command": f"python tools/golden/{script}",
        "seed": seed,
        "python": platform.python_version(),
        "unicode": __import__("unicodedata").unidata_version,
        "versions": {name: version(name) for name in packages},
        **fields,
    }


def write_json(name: str, value) -> None:
    DATA.mkdir(parents=True, exist_ok=True)
    path = DATA / name
    path.write_text(json.dumps(value, indent=1, ensure_ascii=True) + "\n", encoding="utf-8")
    print(f"{path.name}: {path.stat().st_size / 1024:.0f} KiB", file=sys.stderr)
