"""Hostile and mistaken models: each must get its message within a second and memory.

    gate.py [NAME...]

Each case is a function that writes a model into a folder and says what nacre-import
must answer. A case fails on any other text, a crash, a second of CPU or 3 GiB.
"""

import resource
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import files  # noqa: F401 (each registers its cases)
import graphs  # noqa: F401
import large  # noqa: F401
import nodes  # noqa: F401
import onnx
import ranges  # noqa: F401
from building import CASES


def limit() -> None:
    # Against a hang; the second is measured.
    resource.setrlimit(resource.RLIMIT_CPU, (10, 10))
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
    resource.setrlimit(resource.RLIMIT_DATA, (3 << 30, 3 << 30))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run(name: str) -> str | None:
    """What went wrong, or None. The time counts at its best of three: a disturbed
    machine can take twice as long for the same work."""
    for _ in range(3):
        problem, taken = try_once(name)
        if problem or taken <= 1:
            return problem
    return f"it takes {taken:.2f} s"


def try_once(name: str) -> tuple[str | None, float]:
    """What went wrong, or None, and the seconds that the command took."""
    build, expected, options, file, code = CASES[name]
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        made = build(folder)
        if isinstance(made, onnx.ModelProto):
            made = made.SerializeToString()
        if made is not None:
            (folder / file).write_bytes(made)
        before = seconds()
        quiet = ["--mlir-elide-resource-strings-if-larger=16"]
        command = ["nacre-import", *quiet, *options, str(folder / file)]
        try:
            result = subprocess.run(
                command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, preexec_fn=limit
            )
        except subprocess.TimeoutExpired:
            return "it hangs", 0
    # Of the processor, from the process's start to its end: the machine may be busy.
    taken = seconds() - before
    if result.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        return "it takes more than 10 s", taken
    output = result.stdout.decode(errors="replace")
    if result.returncode != code:
        return f"exit code {result.returncode}, expected {code}\n{output[:2000]}", taken
    if expected not in output:
        return f"expected: {expected}\nfound: {output[:2000]}", taken
    if code and len(output) > 16000:
        return f"{len(output)} characters of output", taken
    return None, taken


def main() -> int:
    failed = 0
    names = sys.argv[1:] or list(CASES)
    for name in names:
        problem = run(name)
        if problem:
            failed += 1
            print(f"FAILED {name}: {problem}", flush=True)
    print(f"{len(names) - failed} of {len(names)} cases passed")
    return 1 if failed else 0


sys.exit(main())
