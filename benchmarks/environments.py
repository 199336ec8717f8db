"""The virtual environments that the engines run in, made when they are first asked for.

What the tests need too is in .venv (tools/dev/setup); the rest lies in build/benchmarks-venv, after
requirements-NAME.txt.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from functools import cache
from pathlib import Path

from .engines import ENGINES, ROOT

FOLDER = ROOT / "build" / "benchmarks-venv"


@cache
def python_of(environment: str | None) -> str:
    """The environment's interpreter, with everything installed."""
    if environment is None:
        return sys.executable
    folder = FOLDER / environment
    requirements = Path(__file__).with_name(f"requirements-{environment}.txt")
    python, stamp = folder / "bin" / "python", folder / "requirements"
    key = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    if not stamp.exists() or stamp.read_text() != key:
        print(f"filling {folder.relative_to(ROOT)} with {requirements.relative_to(ROOT)}", file=sys.stderr, flush=True)
        if not python.exists():
            subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-input"]
        subprocess.run([*pip, "-r", str(requirements)], check=True)
        stamp.write_text(key)
    return str(python)


def versions(engine: str) -> dict[str, str]:
    """Of the packages that the engine consists of."""
    packages = ENGINES[engine].packages
    code = "import json, sys; from importlib.metadata import version as v; "
    code += "print(json.dumps({p: v(p) for p in sys.argv[1:]}))"
    command = [python_of(ENGINES[engine].environment), "-c", code, *packages]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
