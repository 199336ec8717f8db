"""The command `nacre`, as `python -m nacre` and as the script that pip installs."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main() -> None:
    """Becomes the command: of the wheel, or of the build tree that the package lies in."""
    os.environ.setdefault("NACRE_PYTHON", sys.executable)  # what `nacre verify` runs
    package = Path(__file__).parent
    for program in (package / "bin" / "nacre", package.parents[1] / "bin" / "nacre"):
        if program.exists():
            os.execv(program, [str(program), *sys.argv[1:]])
    sys.exit(f"nacre: the command is missing in {package / 'bin'}")


if __name__ == "__main__":
    main()
