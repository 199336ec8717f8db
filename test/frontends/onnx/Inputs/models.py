"""Imports models written in ONNX's text form, for lit tests.

    models.py FILE [OPTION...]

FILE holds one model or several, each after a line `#--- NAME`. Each is parsed by
onnx.parser, written to a file NAME.onnx in a folder of its own, and given to
nacre-import with the OPTIONs; what that prints on both streams is printed here after
a line `NAME: exit N`. Lines that start with `#` are comments: RUN and CHECK lines
stand there. Attributes that the text form cannot say: see `#edit`, a line of Python
that changes `model` before it is written.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import onnx
import onnx.parser


def split(text: str) -> list[tuple[str, str]]:
    parts = re.split(r"^#--- *(\S+) *$", text, flags=re.MULTILINE)
    if len(parts) == 1:
        return [("model", text)]
    return list(zip(parts[1::2], parts[2::2]))


def build(text: str) -> onnx.ModelProto:
    lines = text.splitlines()
    edits = [line.removeprefix("#edit ") for line in lines if line.startswith("#edit ")]
    body = "\n".join(line for line in lines if not line.startswith("#"))
    model = onnx.parser.parse_model(body)
    for edit in edits:
        exec(edit, {"model": model, "graph": model.graph, "onnx": onnx, "helper": onnx.helper})
    return model


def main() -> None:
    source, options = Path(sys.argv[1]), sys.argv[2:]
    with tempfile.TemporaryDirectory() as folder:
        for name, text in split(source.read_text()):
            path = Path(folder) / f"{name}.onnx"
            try:
                path.write_bytes(build(text).SerializeToString())
            except onnx.parser.ParseError as error:
                sys.exit(f"{source}: model {name}: {error}")
            result = subprocess.run(
                ["nacre-import", str(path), *options],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=60,
            )
            print(f"{name}: exit {result.returncode}")
            print(result.stdout.decode(errors="replace"), flush=True)


main()
