"""Every pass has a test of its own: `fuse-things` of the tile phase in tile/fuse_things*.

check_pass_tests.py COMPILER TESTS INCLUDE...

The test must name the pass in a RUN line. The lowering has one file for each theme instead.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

TBLGEN = "/usr/lib/llvm-22/bin/llvm-tblgen"


def main() -> int:
    compiler, tests, *includes = sys.argv[1:]
    count = faults = 0
    for td in sorted(Path(compiler).glob("*/Passes.td")):
        command = [TBLGEN, "--dump-json", str(td), *(f"-I{i}" for i in includes)]
        records = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
        folder = Path(tests) / td.parent.name
        for name in records["!instanceof"]["Pass"]:
            argument = records[name]["argument"]
            pattern = "*" if argument == "nn-to-linalg" else argument.removeprefix("convert-").replace("-", "_") + "*"
            runs = re.compile(rf"RUN: .*(?:--?|[(,]){re.escape(argument)}\b")
            count += 1
            if not any(runs.search(path.read_text()) for path in folder.glob(pattern) if path.is_file()):
                faults += 1
                print(f"{argument}: no test {folder.name}/{pattern} runs it")
    print(f"{count} passes, {faults} faults")
    return 1 if faults or not count else 0


if __name__ == "__main__":
    sys.exit(main())
