"""Nacre behind ONNX's backend interface.

    import nacre.onnx_backend as backend

    rep = backend.prepare(model)            # an onnx.ModelProto
    outputs = rep.run([x])                  # a tuple of NumPy arrays

    onnx.backend.test.BackendTest(backend, __name__)    # ONNX's own suite on it

Options beside the model are those of nacre.compile: threads, dims, input_shapes, ...
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnx
from onnx import helper
from onnx.backend.base import Backend, BackendRep, DeviceType
from onnx.backend.base import Device as _Device

import nacre

__all__ = [
    "NacreBackend",
    "NacreRep",
    "is_compatible",
    "prepare",
    "run_model",
    "run_node",
    "supports_device",
]


class NacreRep(BackendRep):
    """A compiled model. What depends on the inputs' values (whether an optional has an element, ranks that
    the model does not say) is compiled for the first time it is asked for."""

    def __init__(self, model: onnx.ModelProto, options: dict[str, Any]) -> None:
        self._program = nacre.compile(model, **options)

    def run(self, inputs: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Runs on inputs in order, or by name; a single array may stand alone."""
        if not isinstance(inputs, (list, tuple, dict)):
            inputs = [inputs]
        return tuple(self._program.run(inputs))


class NacreBackend(Backend):
    """What onnx.backend.base.Backend asks for; CPU alone."""

    @classmethod
    def is_compatible(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> bool:
        """Whether the model can be compiled for the device."""
        try:
            cls.prepare(model, device, **kwargs)
        except (nacre.CompileError, ValueError):
            return False
        return True

    @classmethod
    def prepare(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> NacreRep:
        """Compiles the model. Raises CompileError, or ValueError for another device."""
        if not cls.supports_device(device):
            raise ValueError(f"device {device!r}: Nacre compiles for the CPU alone")
        return NacreRep(model, kwargs)

    @classmethod
    def run_model(
        cls, model: onnx.ModelProto, inputs: Any, device: str = "CPU", **kwargs: Any
    ) -> tuple[Any, ...]:
        """Compiles the model and runs it once."""
        return cls.prepare(model, device, **kwargs).run(inputs)

    @classmethod
    def run_node(
        cls,
        node: onnx.NodeProto,
        inputs: Any,
        device: str = "CPU",
        outputs_info: Sequence[tuple[Any, tuple[int, ...]]] | None = None,
        **kwargs: Any,
    ) -> tuple[Any, ...]:
        """Compiles and runs a model of one node. `opset_version` chooses its version;
        `outputs_info` is not needed."""
        import numpy as np

        version = kwargs.pop("opset_version", onnx.defs.onnx_opset_version())
        names = [name for name in node.input if name]
        arrays = [np.asarray(value) for value in (inputs if isinstance(inputs, (list, tuple)) else [inputs])]
        infos = [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
            for name, array in zip(names, arrays, strict=True)
        ]
        outputs = [onnx.ValueInfoProto(name=name) for name in node.output if name]
        graph = helper.make_graph([node], "node", infos, outputs)
        opset = helper.make_opsetid(node.domain, version)
        model = helper.make_model(graph, opset_imports=[opset])
        if not node.domain:  # the outputs' types
            model = onnx.shape_inference.infer_shapes(model)
        return cls.run_model(model, arrays, device, **kwargs)

    @classmethod
    def supports_device(cls, device: str) -> bool:
        """CPU, with or without a number."""
        try:
            return _Device(device).type == DeviceType.CPU
        except (AttributeError, ValueError):
            return False


is_compatible = NacreBackend.is_compatible
prepare = NacreBackend.prepare
run_model = NacreBackend.run_model
run_node = NacreBackend.run_node
supports_device = NacreBackend.supports_device
