"""Checks who includes whom (docs/architecture.md, "Layers").

    check_layers.py [ROOT]

Reads every #include of the tree below ROOT and prints each one that the table
does not allow. A change of the layers changes the table here and in the docs.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

# Folder -> what it may include: folders of the project (with all below them),
# single headers, and the outside libraries named in OUTSIDE. The longest folder
# that matches a file rules it. Every file may include its own layer.
ALLOWED: dict[str, set[str]] = {
    "runtime/abi": set(),
    "runtime": {"runtime"},
    "runtime/images": {"runtime", "images"},
    "runtime/regex": {"runtime", "re2"},
    "dialects": {"mlir"},
    "frontends/onnx": {"compiler/support", "dialects", "runtime/abi/nacre_regex.h", "mlir", "protobuf"},
    "frontends/builder": {"compiler/api", "frontends/onnx", "runtime/api", "mlir", "protobuf"},
    "frontends/python": {"compiler/api", "frontends/builder", "runtime/api", "nanobind"},
    "compiler/support": {"mlir"},
    "compiler": {"dialects", "runtime/abi", "mlir", "lld"},
    "compiler/train": {"compiler", "dialects", "runtime/abi", "runtime/api/nacre_spec.hpp", "mlir"},
    "compiler/api": {
        "compiler",
        "dialects",
        "runtime/abi",
        "runtime/api",
        "frontends/onnx/OnnxImporter.h",
        "frontends/onnx/OnnxExporter.h",
        "mlir",
        "lld",
    },
}
# May include everything, and nothing may include them.
UNBOUND = ("tools", "test", "benchmarks", "examples")

# Headers that are installed side by side include each other by their bare names.
INSTALLED = "runtime/api"
INSTALLED_HEADERS = ("nacre.h", "nacre.hpp", "nacre_spec.hpp", "nacre_schedule.hpp", "nacre_loop.hpp", "nacre_metric.hpp",
                     "nacre_data.hpp", "nacre_reader.hpp", "nacre_evaluate.hpp", "nacre_train.hpp",
                     "nacre_best.hpp")

# First component of an include -> library.
OUTSIDE = {
    "mlir": "mlir",
    "llvm": "mlir",
    "llvm-c": "mlir",
    "lld": "lld",
    "google": "protobuf",
    "nanobind": "nanobind",
    "re2": "re2",
    "jpeglib.h": "images",
    "openjpeg.h": "images",
    "png.h": "images",
    "tiffio.h": "images",
    "webp": "images",
}
PROJECT = {folder.split("/")[0] for folder in ALLOWED} | set(UNBOUND) | {"cmake"}
SOURCES = {".h", ".c", ".cpp", ".hpp", ".cc", ".td", ".inc"}
INCLUDE = re.compile(r'^\s*#?\s*include\s+(?:"([^"]+)"|<([^>]+)>)')


@dataclass(frozen=True)
class Fault:
    file: str
    line: int
    include: str
    why: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: includes '{self.include}': {self.why}"


def layer_of(path: str) -> str | None:
    """The longest folder of the table that holds `path`."""
    matches = [f for f in ALLOWED if path == f or path.startswith(f + "/")]
    return max(matches, key=len, default=None)


def within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + "/")


def check_include(file: str, include: str, quoted: bool) -> str | None:
    """Why `file` may not include `include`, or None if it may."""
    layer = layer_of(file)
    if layer is None:
        return "the file stands in no layer of the table"
    allowed = ALLOWED[layer]
    first = include.split("/")[0]
    library = OUTSIDE.get(first) or ("protobuf" if include.endswith(".pb.h") else None)
    if library:
        return None if library in allowed else f"{layer} may not use {library}"
    if first not in PROJECT:
        # System headers, and MLIR's interface files in .td, have no rule.
        if within(file, INSTALLED) and include in INSTALLED_HEADERS:
            return None
        if quoted and not file.endswith(".td"):
            return "headers of the project are included from its root"
        return None
    if within(include, layer):
        return None
    if any(within(include, folder) for folder in allowed):
        return None
    return f"{layer} may not include {layer_of(include) or first}"


def check_tree(root: Path) -> tuple[list[Fault], int]:
    faults: list[Fault] = []
    count = 0
    for top in sorted(PROJECT - set(UNBOUND)):
        for path in sorted((root / top).rglob("*")):
            if path.suffix not in SOURCES or top == "cmake":
                continue
            name = path.relative_to(root).as_posix()
            count += 1
            for number, line in enumerate(path.read_text().splitlines(), 1):
                match = INCLUDE.match(line)
                if not match:
                    continue
                include = match[1] or match[2]
                why = check_include(name, include, quoted=match[1] is not None)
                if why:
                    faults.append(Fault(name, number, include, why))
    return faults, count


def main() -> int:
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[2]
    faults, count = check_tree(root)
    for fault in faults:
        print(fault)
    if count == 0:
        print(f"no sources below {root}")
        return 1
    print(f"{count} files, {len(faults)} includes against the layers")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
