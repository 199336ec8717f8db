"""Examples of `nacre train` in files: mapped where they stand, in shards, larger than memory."""

from __future__ import annotations

import json
import resource
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest

import small_models
from support import nacre

OPTIONS = ["--optimizer", "sgd:lr=0.1", "--epochs", "3", "--batch-size", "7", "--metric", "accuracy"]


def examples(count: int = 50) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {"data": rng.standard_normal((count, 16)).astype(np.float32), "labels": rng.integers(0, 4, count)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """mlp.onnx, whole.npz, and what training on it gives: whole.onnx."""
    small_models.save_perceptron(tmp_path / "mlp.onnx", 16, 4)
    np.savez(tmp_path / "whole.npz", **examples())
    train(tmp_path, tmp_path / "whole.npz", tmp_path / "whole.onnx")
    return tmp_path


def train(folder: Path, data: Path, out: Path, *options: str | Path) -> dict:
    return json.loads(nacre("train", folder / "mlp.onnx", "--data", data, *OPTIONS, *options, "--json", "-o", out).out)


def refused(folder: Path, data: Path) -> str:
    ran = nacre("train", folder / "mlp.onnx", "--data", data, *OPTIONS, "-o", folder / "no.onnx", ok=False)
    assert ran.status == 1 and not (folder / "no.onnx").exists(), ran.text()
    return ran.err


def save_npy(folder: Path, arrays: dict[str, np.ndarray]) -> None:
    folder.mkdir(exist_ok=True)
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)


def test_all_forms_are_the_same(folder: Path) -> None:
    """Packed, in an archive of whatever alignment, as files by name, in shards of either kind: the same bits."""
    arrays = examples()
    np.savez_compressed(folder / "packed.npz", **arrays)
    swapped = {"labels": arrays["labels"].astype(">i4"), "data": np.asfortranarray(arrays["data"].astype(">f4"))}
    np.savez(folder / "swapped.npz", **swapped)
    with zipfile.ZipFile(folder / "whole.npz") as source, zipfile.ZipFile(folder / "odd.npz", "w") as target:
        target.writestr("odd name", b"1")
        for name in source.namelist():
            target.writestr(name, source.read(name))
    save_npy(folder / "named", arrays | {"not an input": np.zeros(3)})
    (folder / "shards").mkdir()
    (folder / "shards/read me.txt").write_text("other files are passed over")
    (folder / "pieces").mkdir()
    for number, (begin, end) in enumerate([(0, 20), (20, 20), (20, 21), (21, 50)]):
        part = {name: array[begin:end] for name, array in arrays.items()}
        np.savez(folder / f"shards/part-{number}.npz", **part)
        save_npy(folder / "pieces", {f"{name}.{number:03}": array for name, array in part.items()})
    expected = (folder / "whole.onnx").read_bytes()
    for data in ("packed.npz", "swapped.npz", "odd.npz", "named", "shards", "pieces"):
        summary = train(folder, folder / data, folder / "out.onnx", "--valid", folder / data)
        assert summary["examples"] == 50, data
        assert (folder / "out.onnx").read_bytes() == expected, data


def test_a_training_goes_on_with_other_files(folder: Path) -> None:
    """Checkpoints know the examples, and not how they are cut."""
    arrays = examples()
    (folder / "shards").mkdir()
    for number, (begin, end) in enumerate([(0, 30), (30, 50)]):
        np.savez(folder / f"shards/{number}.npz", **{name: array[begin:end] for name, array in arrays.items()})
    options = ["--checkpoint", folder / "run", "--resume", "--steps", "10"]
    short = [option for option in OPTIONS if option not in ("--epochs", "3")]
    nacre("train", folder / "mlp.onnx", "--data", folder / "whole.npz", *short, *options, "-o", folder / "a.onnx")
    options[-1] = "24"
    nacre("train", folder / "mlp.onnx", "--data", folder / "shards", *short, *options, "-o", folder / "b.onnx")
    assert (folder / "b.onnx").read_bytes() == (folder / "whole.onnx").read_bytes()
    np.savez(folder / "shards/1.npz", **{name: array[29:49] for name, array in arrays.items()})
    ran = nacre("train", folder / "mlp.onnx", "--data", folder / "shards", *short, *options, "-o", folder / "c.onnx", ok=False)
    assert ran.status == 1 and "--data of the hash" in ran.err, ran.text()


def test_shards_that_differ_are_named(folder: Path) -> None:
    arrays = examples()
    shards = folder / "shards"
    shards.mkdir()
    np.savez(shards / "a.npz", **arrays)
    for wrong, message in (
        (arrays | {"data": arrays["data"][:, :15]}, "b.npz: array 'data' is f32[50, 15], but in"),
        (arrays | {"data": arrays["data"].astype(np.float64)}, "b.npz: array 'data' is f64[50, 16], but in"),
        (arrays | {"labels": arrays["labels"][:9]}, "b.npz: array 'labels' is i64[9], but 'data' has 50 entries there"),
        ({"data": arrays["data"]}, "b.npz: has no array 'labels', which"),
        (arrays | {"labels": np.int64(3)}, "b.npz: array 'labels' is i64[], without a dimension"),
    ):
        np.savez(shards / "b.npz", **wrong)
        assert message in (err := refused(folder, shards)), err
    (shards / "b.npz").write_bytes((shards / "a.npz").read_bytes()[:-10])
    assert "b.npz" in refused(folder, shards)
    (shards / "b.npz").unlink()
    np.save(shards / "labels.npy", arrays["labels"])
    assert "has both .npz and .npy files" in refused(folder, shards)
    save_npy(folder / "pieces", {"data.0": arrays["data"], "labels.0": arrays["labels"], "data.1": arrays["data"]})
    assert "/*.1.npy: has no array 'labels'" in (err := refused(folder, folder / "pieces")) or ".1.npy" in err, err
    (folder / "empty").mkdir()
    assert "no .npz or .npy files are in it" in refused(folder, folder / "empty")
    assert "absent" in refused(folder, folder / "absent")


def test_damage_in_an_archive_is_seen(folder: Path) -> None:
    content = bytearray((folder / "whole.npz").read_bytes())
    content[1000] ^= 1
    (folder / "damaged.npz").write_bytes(content)
    assert "damaged.npz:data: the checksum does not fit" in refused(folder, folder / "damaged.npz")


def test_larger_than_memory(tmp_path: Path) -> None:
    """16 GiB of examples, all but a few of them a hole in the file, in a process that may have no more than 2 GiB of
    its own: none of it is read but what the steps take."""
    count, width = 1 << 20, 4096
    small_models.save_perceptron(tmp_path / "mlp.onnx", width, 4)
    (tmp_path / "data").mkdir()
    data = np.lib.format.open_memmap(tmp_path / "data/data.npy", "w+", np.float32, (count, width))
    data[: 1 << 10] = 1
    del data
    labels = np.zeros(count, np.int64)
    np.save(tmp_path / "data/labels.npy", labels)
    assert (tmp_path / "data/data.npy").stat().st_size > 16 << 30
    assert (tmp_path / "data/data.npy").stat().st_blocks * 512 < 1 << 30, "the file system makes no holes"
    command = ["train", tmp_path / "mlp.onnx", "--data", tmp_path / "data", "--steps", "40", "-o", tmp_path / "t.onnx"]
    limits = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (2 << 30, limits[1]))  # what is mapped from files does not count
    try:
        ran = nacre(*command)
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, limits)
    assert ran.peak_bytes < 1 << 30, f"{ran.peak_bytes >> 20} MiB"
    before, after = (onnx.load(tmp_path / name).graph.initializer for name in ("mlp.onnx", "t.onnx"))
    assert any(a.raw_data != b.raw_data for a, b in zip(before, after, strict=True))


def test_an_archive_larger_than_memory(tmp_path: Path) -> None:
    """The same for what is stored in an archive, where nothing is aligned and sizes are ZIP64's."""
    count, width = 1 << 19, 4096
    small_models.save_perceptron(tmp_path / "mlp.onnx", width, 4)
    np.save(tmp_path / "labels.npy", np.zeros(count, np.int64))
    header = np.lib.format.header_data_from_array_1_0(np.zeros((1, width), np.float32)) | {"shape": (count, width)}
    with (tmp_path / "head").open("wb") as file:
        np.lib.format.write_array_header_2_0(file, header)
    head = (tmp_path / "head").read_bytes()
    size = len(head) + 4 * count * width
    # By hand: zipfile would write all the zeros.
    with (tmp_path / "data.npz").open("wb") as file:
        entries = []
        for name, content, length in (
            ("data.npy", head, size),
            ("labels.npy", (tmp_path / "labels.npy").read_bytes(), (tmp_path / "labels.npy").stat().st_size),
        ):
            info = zipfile.ZipInfo(name)
            info.header_offset, info.file_size, info.compress_size = file.tell(), length, length
            info.CRC = 0 if name == "data.npy" else zipfile.crc32(content)
            file.write(info.FileHeader(zip64=True))
            file.write(content)
            file.seek(length - len(content), 1)
            entries.append(info)
    with zipfile.ZipFile(tmp_path / "data.npz", "a") as archive:  # writes the table of contents
        archive.filelist = entries
        archive.NameToInfo = {info.filename: info for info in entries}
        archive.start_dir = (tmp_path / "data.npz").stat().st_size
        archive._didModify = True
    assert (tmp_path / "data.npz").stat().st_size > 8 << 30
    ran = nacre("train", tmp_path / "mlp.onnx", "--data", tmp_path / "data.npz", "--steps", "20", "-o", tmp_path / "t.onnx")
    assert ran.peak_bytes < 1 << 30, f"{ran.peak_bytes >> 20} MiB"
