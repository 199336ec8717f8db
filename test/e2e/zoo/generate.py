"""Exports one model and computes its float64 references: `python -m zoo.generate NAME DIR`.

Writes DIR/model.onnx (with model.onnx.data where the weights lie outside) and
DIR/data-<n>.npz per data set: `in:<name>` in float32, `out:<name>` in float64, and
the operations of its contractions, `flops`; DIR/measured-<n>.npz for benchmarks.
"""

from __future__ import annotations

import inspect
import sys
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from .specs import SPECS, Spec


def export(spec: Spec, model: nn.Module, path: Path) -> None:
    feeds = spec.feeds(spec.data_sets[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if spec.torchscript:
            torch.onnx.export(
                model,
                tuple(feeds.values()),
                str(path),
                input_names=list(feeds),
                output_names=spec.outputs,
                dynamic_axes=spec.dynamic,
                dynamo=False,
                verbose=False,
            )
            return
        shapes = tuple(spec.dynamic.get(name, {}) for name in feeds)
        parameters = list(inspect.signature(model.forward).parameters.values())
        first = len(parameters) - 1
        if parameters[-1].kind == inspect.Parameter.VAR_POSITIONAL and len(shapes) > first:  # torch.export wants a tuple of these
            shapes = (*shapes[:first], shapes[first:])
        torch.onnx.export(
            model,
            tuple(feeds.values()),
            str(path),
            input_names=list(feeds),
            output_names=spec.outputs,
            dynamic_shapes=shapes if spec.dynamic else None,
            external_data=spec.external_data,
            dynamo=True,
            verbose=False,
        )


def references(spec: Spec, model: nn.Module, folder: Path) -> None:
    """Runs the model in double precision on every data set."""
    model = model.double()
    numbered = [(f"data-{n}", sizes) for n, sizes in enumerate(spec.data_sets)]
    numbered += [(f"measured-{n}", sizes) for n, sizes in enumerate(spec.measured)]
    for name, sizes in numbered:
        feeds = spec.feeds(sizes)
        counter = FlopCounterMode(display=False)
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:
            results = model(*(v.double() if v.is_floating_point() else v for v in feeds.values()))
        outputs = (results,) if isinstance(results, Tensor) else tuple(results)
        arrays = {f"in:{name}": value.numpy() for name, value in feeds.items()}
        arrays |= {f"out:{n}": v.numpy() for n, v in zip(spec.outputs, outputs, strict=True)}
        np.savez(folder / f"{name}.npz", flops=counter.get_total_flops(), **arrays)


def build(spec: Spec) -> nn.Module:
    """The module, with the same weights each time."""
    torch.manual_seed(2026)
    return spec.build().eval()


def main() -> int:
    name, folder = sys.argv[1], Path(sys.argv[2])
    spec = SPECS[name]
    model = build(spec)
    export(spec, model, folder / "model.onnx")
    torch.manual_seed(7)
    references(spec, model, folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
