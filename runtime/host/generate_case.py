"""Writes CaseTable.inc: Unicode's full case mapping, without context.

    python3 runtime/host/generate_case.py > runtime/host/CaseTable.inc

Python's own tables are Unicode's; the version is named at the top of the file.
"""

from __future__ import annotations

import sys
import unicodedata


def mapped(code: int, lower: bool) -> list[int]:
    text = chr(code).lower() if lower else chr(code).upper()
    return [ord(c) for c in text]


def ranges(lower: bool) -> tuple[list[tuple[int, int, int, int]], list[tuple[int, list[int]]]]:
    """(first, last, step, difference) of letters that become one letter; the others."""
    single: list[tuple[int, int]] = []
    multiple: list[tuple[int, list[int]]] = []
    for code in range(sys.maxunicode + 1):
        if 0xD800 <= code <= 0xDFFF:
            continue
        result = mapped(code, lower)
        if len(result) > 1:
            multiple.append((code, result))
        elif result[0] != code:
            single.append((code, result[0] - code))
    rows: list[tuple[int, int, int, int]] = []
    for code, difference in single:
        if rows:
            first, last, step, known = rows[-1]
            gap = code - last
            if known == difference and (gap == step or (first == last and gap <= 2)):
                rows[-1] = (first, code, gap, difference)
                continue
        rows.append((code, code, 1, difference))
    return rows, multiple


def main() -> None:
    print(f"// Made by generate_case.py from Unicode {unicodedata.unidata_version}; not to be edited.")
    for lower in (True, False):
        name = "Lower" if lower else "Upper"
        rows, multiple = ranges(lower)
        print(f"constexpr Range k{name}[] = {{")
        for row in rows:
            print("    {0x%X, 0x%X, %d, %d}," % row)
        print("};")
        print(f"constexpr Special k{name}Special[] = {{")
        for code, result in multiple:
            padded = result + [0] * (3 - len(result))
            print("    {0x%X, {0x%X, 0x%X, 0x%X}}," % (code, *padded))
        print("};")


if __name__ == "__main__":
    main()
