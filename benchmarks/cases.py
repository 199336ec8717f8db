"""What is measured: models with their sizes, and the files that the engines read.

The models are those of test/e2e/zoo, made from architecture code, and of test/e2e/training. A case is called by
its model and what it is run on: `resnet50/16` is a batch of 16 with all sizes fixed, `resnet50/dynamic` is
compiled for any batch; `training/bert` is a training step.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx

from . import prepare
from .engines import ROOT, Job

sys.path.insert(0, str(ROOT / "test" / "e2e"))
import zoo  # noqa: E402

Sizes = dict[str, int]
# The largest error of an answer, relative to its range.
TOLERANCE = {"f32": 1e-4, "bf16": 0.05, "int8": 0.25}


@dataclass(frozen=True)
class Case:
    id: str
    source: str  # the architecture
    task: str = "inference"
    sizes: Sizes = field(default_factory=dict)  # of the dynamic dimensions
    dynamic: bool = False  # they stay so
    occurs: dict[str, int] = field(default_factory=dict)  # an operator: how often in which model


@dataclass(frozen=True)
class Files:
    model: Path
    folded: Path | None  # see Job
    data: Path
    flops: int
    losses: list[float]  # PyTorch's, of the first training steps


def batches(model: str, source: str, *sizes: int, dynamic: int | None = None) -> list[Case]:
    cases = [Case(f"{model}/{size}", source, sizes={"batch": size}) for size in sizes]
    return cases + ([Case(f"{model}/dynamic", source, sizes={"batch": dynamic}, dynamic=True)] if dynamic else [])


SENTENCE, SENTENCES = {"batch": 1, "sequence": 128}, {"batch": 16, "sequence": 128}
PROMPT = {"batch": 1, "sequence": 64}
PAST = {"batch": 1, "past": 512}
INFERENCE: list[Case] = [
    *batches("mlp", "mlp", 1, 64, dynamic=64),
    Case("convnet/1", "convnet"),
    Case("resnet50/1", "resnet50"),
    *batches("resnet50", "resnet50_batches", 16, dynamic=1),
    Case("mobilenet_v2/1", "mobilenet_v2"),
    *batches("mobilenet_v2", "mobilenet_v2_batches", 16, dynamic=1),
    Case("efficientnet_b0/1", "efficientnet_b0"),
    Case("convnext_tiny/1", "convnext_tiny"),
    Case("bert_base/1", "bert_base", sizes=SENTENCE),
    Case("bert_base/16", "bert_base", sizes=SENTENCES),
    Case("bert_base/dynamic", "bert_base", sizes=SENTENCE, dynamic=True),
    Case("gpt2/prefill", "gpt2", sizes=PROMPT),
    Case("gpt2/dynamic", "gpt2", sizes=PROMPT, dynamic=True),
    Case("gpt2/decode", "gpt2_decode", sizes=PAST),
    Case("gpt2/decode-dynamic", "gpt2_decode", sizes=PAST, dynamic=True),
    Case("vit_b16/1", "vit_b16"),
    Case("lstm/1", "lstm"),
    *batches("recommender", "recommender", 64, dynamic=64),
    Case("unet/1", "unet"),
    Case("super_resolution/1", "super_resolution"),
]
TRAINING = [Case(f"training/{n}", n, "training") for n in ("mlp", "convnet", "resnet18", "lstm", "bert")]


def files(case: Case, precision: str, optimizer: str, folder: Path) -> Files:
    """The case's files; what is only for this run is in `folder`."""
    if case.task == "training":
        prepare.call("training", case.source, optimizer, folder)
        return with_data(folder / "model.onnx", folder / "data.npz")
    model, made = model_of(case), zoo.get(case.source).model
    data = next(p for p in sorted(made.parent.glob("*.npz")) if sizes_of(made, p) == case.sizes)
    model = quantised(model, data) if precision == "int8" else model
    return with_data(model, data, None if case.dynamic else folded(model))


def model_of(case: Case) -> Path:
    made = zoo.get(case.source).model
    return made if case.dynamic or not case.sizes else fixed(made, case.sizes)


def with_data(model: Path, data: Path, folded: Path | None = None) -> Files:
    with np.load(data) as arrays:
        losses = arrays["losses"].tolist() if "losses" in arrays else []
        return Files(model, folded, data, int(arrays["flops"]), losses)


def sizes_of(model: Path, data: Path) -> Sizes:
    """The sizes that a data set gives the model's dynamic dimensions."""
    sizes = {}
    with np.load(data) as arrays:
        for info in onnx.load(model, load_external_data=False).graph.input:
            for dim, size in zip(info.type.tensor_type.shape.dim, arrays[f"in:{info.name}"].shape):
                if dim.dim_param:
                    sizes[dim.dim_param] = size
    return sizes


def fixed(path: Path, sizes: Sizes) -> Path:
    """The model with its dynamic dimensions fixed, beside it and its weights."""
    made = path.with_name("-".join(["static", *(f"{name}{size}" for name, size in sizes.items())]) + ".onnx")
    if not made.exists() or made.stat().st_mtime < path.stat().st_mtime:
        model = onnx.load(path, load_external_data=False)
        del model.graph.value_info[:]  # infers anew what is between
        for info in [*model.graph.input, *model.graph.output]:
            for dim in info.type.tensor_type.shape.dim:
                if dim.dim_param in sizes:
                    dim.dim_value = sizes[dim.dim_param]
        onnx.save(model, made)
    return made


def quantised(path: Path, data: Path) -> Path:
    """The model in 8-bit integers."""
    return derived(path, "int8", data)


def folded(path: Path) -> Path:
    """The model after constants are folded."""
    return derived(path, "folded")


def derived(path: Path, what: str, *arguments: Path) -> Path:
    """What prepare.py makes of a model, in a folder of its own: its weights are not the same."""
    folder = path.parent / f"{what}-{path.stem}"
    made = folder / "model.onnx"
    if not made.exists() or made.stat().st_mtime < path.stat().st_mtime:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            prepare.call(what, path, made, *arguments)
        except BaseException:
            shutil.rmtree(folder)
            raise
    return made


def job(case: Case, made: Files, folder: Path, threads: int, precision: str, optimizer: str, preset: str) -> Job:
    return Job(
        engine="",
        task=case.task,
        name=case.source,
        model=str(made.model),
        folded=str(made.folded or ""),
        data=str(made.data),
        folder=str(folder),
        threads=threads,
        precision=precision,
        dynamic=case.dynamic,
        optimizer=optimizer,
        preset=preset,
        forms=None,
        tolerance=TOLERANCE[precision],
    )
