"""Writes what engines read, in a process of its own for what that imports: `python -m benchmarks.prepare WHAT ...`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from .engines import LEARNING_RATE, ROOT, STEPS


def call(what: str, *arguments: str | Path) -> None:
    command = [sys.executable, "-m", "benchmarks.prepare", what, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{what} {' '.join(map(str, arguments))}: {done.stderr[-500:]}")


def training(name: str, optimizer: str, folder: str) -> None:
    """The exported model; weights, a batch, operations of a step, and PyTorch's first losses."""
    sys.path.insert(0, str(ROOT / "test" / "e2e" / "training"))
    import architectures
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    architecture = architectures.FULL[name]
    module, inputs, targets = architectures.make(architecture, seed=1)
    state = {n: b.clone() for n, b in module.named_buffers() if n.endswith(("running_mean", "running_var"))}
    arrays = {f"weight:{n}": p.detach().numpy().copy() for n, p in module.named_parameters()}
    arrays |= {f"state:{n}": b.numpy() for n, b in state.items()}
    arrays |= {f"in:{n}": v.numpy() for n, v in (inputs | targets).items()}
    architectures.export(module, inputs, Path(folder) / "model.onnx", dynamo=False, dynamic=False)

    module, inputs, targets = architectures.make(architecture, seed=1)
    kind = torch.optim.SGD if optimizer == "sgd" else torch.optim.Adam
    update = kind(module.parameters(), lr=LEARNING_RATE)
    losses = []
    for _ in range(STEPS):
        update.zero_grad(set_to_none=True)
        counter = FlopCounterMode(display=False)
        with sdpa_kernel(SDPBackend.MATH), counter:
            loss = architecture.torch_loss(module(*inputs.values()), *targets.values())
            loss.backward()
        update.step()
        losses.append(loss.item())
    np.savez(Path(folder) / "data.npz", losses=losses, flops=counter.get_total_flops(), **arrays)


def folded(model: str, made: str) -> None:
    """What ONNX Runtime makes of the model before it chooses kernels; weights in a file beside it."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = made
    options.add_session_config_entry("session.optimized_model_external_initializers_file_name", "weights.data")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def int8(model: str, made: str, data: str) -> None:
    """The model with its convolutions and products between 8-bit integers, calibrated by its data."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            with np.load(data) as arrays:
                self.left = [{key[3:]: arrays[key] for key in arrays if key.startswith("in:")}]

        def get_next(self) -> dict[str, np.ndarray] | None:
            return self.left.pop() if self.left else None

    quantize_static(
        model,
        made,
        Reader(),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["Conv", "MatMul", "Gemm"],
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        use_external_data_format=(Path(model).parent / "model.onnx.data").exists(),
    )


def operators(model: str, folder: str, told: str) -> None:
    """The model's operators, and how often each occurs, as JSON."""
    from .collect import collect

    Path(told).write_text(json.dumps(collect(Path(model), Path(folder))))


def square(size: str, kind: str, folder: str) -> None:
    from .collect import square

    square(int(size), kind == "constant", Path(folder))


WHAT: dict[str, Callable[..., None]] = {
    "training": training,
    "folded": folded,
    "int8": int8,
    "operators": operators,
    "square": square,
}

if __name__ == "__main__":
    WHAT[sys.argv[1]](*sys.argv[2:])
