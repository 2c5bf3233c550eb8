"""Writes src/data/text/html5-entities.ts: the named character references of HTML5.

The names and code points are the WHATWG's; Python's copy is used so that the two agree.
"""

import html.entities
from pathlib import Path

OUT = Path(__file__).resolve().parents[2] / "src" / "data" / "text" / "html5-entities.ts"

HEADER = """/**
 * The named character references of HTML5 (WHATWG HTML, section 13.5), made by
 * tools/golden/make_entities.py. A record is the name, a mark, and the code points in base 36 joined
 * by `-`: the mark `.` for a name that needs its semicolon, `!` for one that may go without.
 */
export const HTML5_ENTITIES = `
"""

table = html.entities.html5
records = []
for name in sorted(n[:-1] for n in table if n.endswith(";")):
    chars = table[name + ";"]
    assert table.get(name, chars) == chars
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"

    def base36(n: int) -> str:
        return digits[n] if n < 36 else base36(n // 36) + digits[n % 36]

    records.append(name + ("!" if name in table else ".") + "-".join(base36(ord(c)) for c in chars))
assert all(n.endswith(";") or n + ";" in table for n in table)

lines, line = [], ""
for record in records:
    if len(line) + len(record) + 1 > 108:
        lines.append(line)
        line = ""
    line = f"{line} {record}" if line else record
lines.append(line)
OUT.write_text(HEADER + "\n".join(lines) + "\n`;\n")
