"""Every op of a dialect has a test that it is accepted, and one that it is refused.

check_op_tests.py TD TESTS INCLUDE...

Accepted: stands in a line of code of a .mlir file under TESTS. Refused: stands in the first line
of code after an `expected-error` comment there. Ops that take nothing that could be wrong (no
operand, no attribute) need no refusal.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from check_op_docs import read_ops


def refused_ops(text: str) -> set[str]:
    found: set[str] = set()
    pending = False
    for line in text.splitlines():
        if "expected-error" in line:
            pending = True
        elif pending and (name := re.search(r"\b(?:nn|kern|rt)\.\w+", line)):
            found.add(name.group())
            pending = False
    return found


def main() -> int:
    td, tests, *includes = sys.argv[1:]
    accepted: set[str] = set()
    refused: set[str] = set()
    for path in Path(tests).rglob("*.mlir"):
        text = path.read_text()
        refused |= refused_ops(text)
        if not path.stem.endswith("_errors"):
            accepted |= set(re.findall(r"^[^/]*?\b((?:nn|kern|rt)\.\w+)", text, re.MULTILINE))
    ops = read_ops(td, includes)
    count = 0
    for name, op in ops.items():
        missing = [] if name in accepted else ["no test that accepts it"]
        if op["arguments"]["args"] and name not in refused:
            missing.append("no test that refuses it")
        for fault in missing:
            count += 1
            print(f"{name}: {fault}")
    print(f"{len(ops)} ops, {count} faults")
    return 1 if count or not ops else 0


if __name__ == "__main__":
    sys.exit(main())
