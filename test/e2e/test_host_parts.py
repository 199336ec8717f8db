"""Regular expressions and images: the parts of the host library that are made of other
libraries. Against Python's `re` and Pillow; in process, and in files of all kinds.
"""

from __future__ import annotations

import io
import re
import subprocess
from pathlib import Path

import numpy as np
import onnx
import PIL.Image
import pytest
from onnx import numpy_helper, parser

from support import module, nacre

HEAD = '<ir_version: 10, opset_import: ["": 21]>\n'

PATTERNS = ["", "a*", r"(?i)Ä+", r"[[:alpha:]]{2,3}\d", r"(www\.)?\w+\.(org|com)", ".", r"\pL+", r"a|ab|abc"]
WORDS = ["", "a", "aaaa", "b", "ää", "ÄÄ", "ab1", "abcd1", "www.nacre.org", "nacre.com\n", "\U0001f41a", "abc", "a\0b", "x" * 70000]


def matcher(pattern: str) -> onnx.ModelProto:
    made = parser.parse_model(HEAD + 'g (string[N] x) => (bool[N] y) { y = RegexFullMatch <pattern = ""> (x) }')
    made.graph.node[0].attribute[0].s = pattern.encode()
    return made


@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns(pattern: str) -> None:
    python = pattern.replace("[[:alpha:]]", "[A-Za-z]").replace(r"\pL", r"[^\W\d_]").replace(r"\w", r"[0-9A-Za-z_]")
    expected = [re.fullmatch(python, word) is not None for word in WORDS]
    found = module().compile(matcher(pattern))(np.array(WORDS, object))
    assert found.tolist() == expected


@pytest.mark.parametrize(("pattern", "message"), [("(", "missing \\)"), (r"(a)\1", "invalid escape"), ("a{2000}", "invalid repetition size")])
def test_what_re2_refuses(pattern: str, message: str) -> None:
    made = matcher(pattern)
    made.graph.node[0].name = "n"
    with pytest.raises(module().CompileError, match=rf"node 'n' \(RegexFullMatch\): .*no regular expression of RE2's: {message}"):
        module().compile(made)


def decoder(form: str) -> onnx.ModelProto:
    return parser.parse_model(
        HEAD + f'g (uint8[N] x) => (uint8[H, W, C] y) {{ y = ImageDecoder <pixel_format = "{form}"> (x) }}'
    )


def draw(mode: str, size: tuple[int, int] = (37, 23)) -> PIL.Image.Image:
    """Smooth, so that the lossy formats' decoders agree."""
    x, y = np.meshgrid(np.linspace(0, 255, size[0]), np.linspace(0, 255, size[1]))
    channels = np.stack([x, y, 255 - x, (x + y) / 2], -1).astype(np.uint8)
    if mode == "RGBA":
        return PIL.Image.fromarray(channels)
    return PIL.Image.fromarray(channels[..., :3]).convert(mode)


def encode(image: PIL.Image.Image, form: str, **options: object) -> np.ndarray:
    file = io.BytesIO()
    image.save(file, form, **options)
    return np.frombuffer(file.getvalue(), np.uint8)


FILES = [
    ("BMP", "RGB", {}), ("BMP", "L", {}), ("BMP", "P", {}), ("BMP", "1", {}), ("BMP", "RGBA", {}),
    ("PNG", "RGB", {}), ("PNG", "RGBA", {}), ("PNG", "P", {}), ("PNG", "L", {}), ("PNG", "1", {}),
    ("PPM", "RGB", {}), ("PPM", "L", {}), ("PPM", "1", {}),
    ("TIFF", "RGB", {}), ("TIFF", "L", {"compression": "tiff_lzw"}), ("TIFF", "RGB", {"compression": "tiff_adobe_deflate"}),
    ("TIFF", "1", {"compression": "group4"}), ("TIFF", "P", {}),
    ("WEBP", "RGB", {"lossless": True}), ("WEBP", "RGB", {"quality": 90}),
    ("JPEG2000", "RGB", {}), ("JPEG2000", "L", {}), ("JPEG2000", "RGB", {"no_jp2": True}),
    ("JPEG", "RGB", {"quality": 95}), ("JPEG", "L", {}), ("JPEG", "RGB", {"progressive": True}), ("JPEG", "CMYK", {"quality": 95}),
]  # fmt: skip


@pytest.mark.parametrize(("form", "mode", "options"), FILES)
def test_files_of_each_kind(form: str, mode: str, options: dict[str, object]) -> None:
    data = encode(draw(mode), form, **options)
    expected = np.asarray(PIL.Image.open(io.BytesIO(data.tobytes())).convert("RGB"))
    found = module().compile(decoder("RGB"))(data)
    assert found.shape == expected.shape
    # Inks are no colours by themselves: what Pillow makes of them is cut, not rounded.
    tolerance = {"JPEG": 1 + (mode == "CMYK"), "WEBP": 1}.get(form, 0)
    assert np.abs(found.astype(int) - expected).max() <= tolerance
    np.testing.assert_array_equal(module().compile(decoder("BGR"))(data), found[..., ::-1])
    gray = module().compile(decoder("Grayscale"))(data)
    np.testing.assert_array_equal(gray[..., 0], np.asarray(PIL.Image.fromarray(found).convert("L")))


def test_texts_of_numbers() -> None:
    program = module().compile(decoder("RGB"))
    for text, expected in [
        (b"P3\n# a comment\n2 1\n255\n1 2 3 4 5 6\n", [[[1, 2, 3], [4, 5, 6]]]),
        (b"P2 1 2 15\n0 15", [[[0] * 3], [[255] * 3]]),
        (b"P1\n3 1\n101", [[[0] * 3, [255] * 3, [0] * 3]]),
        (b"P5 2 1 65535\n\x80\x00\xff\xff", [[[128] * 3, [255] * 3]]),
    ]:
        assert program(np.frombuffer(text, np.uint8)).tolist() == expected


def test_what_is_no_image_is_empty() -> None:
    random = np.random.default_rng(0)
    program, gray = module().compile(decoder("RGB")), module().compile(decoder("Grayscale"))
    assert program(np.zeros(0, np.uint8)).shape == (0, 0, 3)
    assert gray(np.arange(100, dtype=np.uint8)).shape == (0, 0, 1)
    for form, mode, options in FILES:
        data = encode(draw(mode), form, **options)
        for length in (3, 10, 30, len(data) // 2):  # whatever comes out, it comes back
            assert program(data[:length]).ndim == 3
        for _ in range(20):
            damaged = data.copy()
            damaged[random.integers(0, len(data), 4)] = random.integers(0, 256, 4)
            assert program(damaged).shape[2] == 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("parts")
    text = """g (uint8[M] f) => (bool[N] y, uint8[H, W, C] p) {
        x = Constant <value_strings = ["abc", "d", ""]> ()
        y = RegexFullMatch <pattern = "[a-c]+"> (x)
        p = ImageDecoder (f)
    }"""
    onnx.save(parser.parse_model(HEAD + text), path / "both.onnx")
    plain = 'g (string[N] x) => (string[N] y) { y = StringConcat (x, x) }'
    onnx.save(parser.parse_model(HEAD + plain), path / "plain.onnx")
    np.save(path / "f.npy", encode(draw("RGB"), "PNG"))
    return path


@pytest.mark.parametrize("file", ["both.onnx", "both.so", "both"])
def test_in_files(folder: Path, tmp_path: Path, file: str) -> None:
    model = folder / file
    if file != "both.onnx" and not model.exists():
        nacre("compile", folder / "both.onnx", "-o", model, *([] if model.suffix else ["--emit=executable"]))
    arguments = ["--input", f"f={folder / 'f.npy'}", "--output-dir", str(tmp_path)]
    if model.suffix:
        nacre("run", model, *arguments)
    else:
        subprocess.run([str(model), *map(str, arguments)], check=True)
    found = next(tmp_path.glob("p*"))
    pixels = np.load(found) if found.suffix == ".npy" else numpy_helper.to_array(onnx.load_tensor(found))
    np.testing.assert_array_equal(pixels, np.asarray(draw("RGB")))
    truth = next(tmp_path.glob("y*"))
    values = np.load(truth) if truth.suffix == ".npy" else numpy_helper.to_array(onnx.load_tensor(truth))
    assert values.tolist() == [True, False, False]


def test_in_a_static_library(folder: Path, tmp_path: Path) -> None:
    """C's linker takes it too, and no name of the libraries meets the program's own."""
    nacre("compile", folder / "both.onnx", "--emit", "static-library", "-o", tmp_path / "both.a")
    (tmp_path / "main.c").write_text("int png_read_image(void) { return 7; } int main(void) { return png_read_image() - 7; }\n")
    command = ["cc", "main.c", "-Wl,--whole-archive", "both.a", "-Wl,--no-whole-archive", "-lm", "-o", "main"]
    subprocess.run(command, check=True, cwd=tmp_path)
    subprocess.run([str(tmp_path / "main")], check=True)


def test_only_where_it_is_called(folder: Path) -> None:
    nacre("compile", folder / "plain.onnx", "-o", folder / "plain.so")
    nacre("compile", folder / "both.onnx", "-o", folder / "both.so")
    assert (folder / "plain.so").stat().st_size < 400_000 < (folder / "both.so").stat().st_size
    # libc and libm are enough, and nothing of the libraries is to be seen.
    needed = subprocess.run(["readelf", "-d", folder / "both.so"], check=True, capture_output=True, text=True).stdout
    assert set(re.findall(r"\[(\S+\.so\S*)\]", needed)) <= {"libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2", "$ORIGIN/both.so"}
    symbols = subprocess.run(["nm", "-D", "--defined-only", folder / "both.so"], check=True, capture_output=True, text=True).stdout
    assert not re.search("re2|jpeg|png|tiff|opj|Web[Pp]|std", symbols)
