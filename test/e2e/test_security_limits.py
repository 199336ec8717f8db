"""docs/security.md states the limits that the code has."""

from __future__ import annotations

import re

import pytest

from support import ROOT

# What the table says, in which file the code does, and how.
LIMITS = [
    ("functions in functions | 64 |", "frontends/onnx/OnnxImporter.h", "unsigned depth = 64;"),
    ("functions have been expanded | 1,000,000 |", "frontends/onnx/OnnxImporter.h", "uint64_t nodes = 1'000'000;"),
    ("records of the Protobuf message | 32,000,000 |", "frontends/onnx/OnnxImporter.h", "uint64_t records = 32'000'000;"),
    ("messages in it | 10,000,000 |", "frontends/onnx/OnnxImporter.h", "uint64_t messages = 10'000'000;"),
    ("without tensor data | 1 GiB |", "frontends/onnx/OnnxImporter.h", "uint64_t structureBytes = uint64_t(1) << 30;"),
    ("faults that are listed | 100 |", "frontends/onnx/GraphImporter.cpp", "kMaxReported = 100;"),
    ("of an input or output | 64; 16 |", "frontends/onnx/TensorData.cpp", "dims_size() > kMaxRank"),
    ("of an input or output | 64; 16 |", "runtime/api/nacre.h", "#define NACRE_MAX_RANK 16"),
    ("whose sizes are known | 2^40 |", "dialects/nn/NNShapes.h", "kMaxElements = int64_t(1) << 40;"),
    ("pads of windows | 2^20; 2^31 |", "dialects/nn/NNWindow.cpp", "kMaxStep = int64_t(1) << 20, kMaxPad = int64_t(1) << 31;"),
    ("folded as it is imported | 1,024 |", "frontends/onnx/Converter.cpp", "kMaxFoldedElements = 1024;"),
    ("ahead of time | 256 MiB, and twice", "compiler/graph/Passes.td", '"256 << 20"'),
    ("in a location | 120; 512 |", "dialects/nn/NodeLocation.h", "maxLength = 120"),
    ("in a location | 120; 512 |", "frontends/onnx/GraphImporter.cpp", "kMaxName = 512;"),
]


@pytest.mark.parametrize("stated, file, constant", LIMITS)
def test_limit(stated: str, file: str, constant: str) -> None:
    assert stated in (ROOT / "docs" / "security.md").read_text()
    assert constant in (ROOT / file).read_text()


def test_every_limit_is_looked_at() -> None:
    page = (ROOT / "docs" / "security.md").read_text().split("### What the checks cost")[0]
    rows = re.findall(r"^\| .* \| [^|]*\d[^|]* \| [^|]* \|$", page, re.M)
    assert rows
    for row in rows:
        assert any(stated in row for stated, _, _ in LIMITS), row
