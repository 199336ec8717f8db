"""Every op of a dialect has a summary, a description and an example.

check_op_docs.py TD INCLUDE...
"""

from __future__ import annotations

import json
import subprocess
import sys

TBLGEN = "/usr/lib/llvm-22/bin/llvm-tblgen"


def faults(op: dict) -> list[str]:
    found = []
    if not (op["summary"] or "").strip():
        found.append("no summary")
    description = op["description"] or ""
    if not description.strip():
        found.append("no description")
    elif "```mlir" not in description:
        found.append("no example (```mlir) in the description")
    return found


def read_ops(td: str, includes: list[str]) -> dict[str, dict]:
    """The ops that a .td file defines, by their full names."""
    command = [TBLGEN, "--dump-json", td, *(f"-I{i}" for i in includes)]
    records = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    ops = [records[name] for name in records["!instanceof"]["Op"]]
    return {f"{records[op['opDialect']['def']]['name']}.{op['opName']}": op for op in ops}


def main() -> int:
    td, *includes = sys.argv[1:]
    ops = read_ops(td, includes)
    count = 0
    for name, op in ops.items():
        for fault in faults(op):
            count += 1
            print(f"{name}: {fault}")
    print(f"{len(ops)} ops, {count} faults")
    return 1 if count or not ops else 0


if __name__ == "__main__":
    sys.exit(main())
