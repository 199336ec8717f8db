"""What the suite can run on: Nacre, and two peers that prove the harness.

An adapter compiles a model or says clearly that it does not support it.
Everything else that goes wrong is a failure.
"""

from __future__ import annotations

from typing import Any, Protocol

import onnx
from onnx import TensorProto, helper


class Refused(Exception):
    """The model is not supported, and the message says what of it."""


class Program(Protocol):
    def run(self, inputs: dict[str, Any]) -> list[Any]: ...


class Backend(Protocol):
    def compile(
        self, model: onnx.ModelProto, example: dict[str, Any], shapes: dict[str, list[int]]
    ) -> Program:
        """`example` is what the program will be run with; `shapes` fixes those that it says."""


class NacreBackend:
    """The Python module of this project, compiling just in time."""

    def __init__(self) -> None:
        import nacre

        self._nacre = nacre

    def compile(
        self, model: onnx.ModelProto, example: dict[str, Any], shapes: dict[str, list[int]]
    ) -> Program:
        try:
            return self._nacre.compile(
                model.SerializeToString(), threads=1, example=example, input_shapes=shapes
            )
        except self._nacre.CompileError as error:  # nacre.InternalError is a failure
            raise Refused(str(error)) from None


class OnnxRuntimeBackend:
    """ONNX Runtime, with NumPy's own types alone (its Python API takes no others)."""

    def __init__(self) -> None:
        import onnxruntime

        self._ort = onnxruntime
        self._options = onnxruntime.SessionOptions()
        self._options.intra_op_num_threads = 1
        self._options.log_severity_level = 4

    def compile(
        self, model: onnx.ModelProto, example: dict[str, Any], shapes: dict[str, list[int]]
    ) -> Program:
        for info in [*model.graph.input, *model.graph.output]:
            kind = info.type.tensor_type.elem_type
            if kind and helper.tensor_dtype_to_np_dtype(kind).isbuiltin != 1:
                raise Refused(f"{info.name}: NumPy has no type for {TensorProto.DataType.Name(kind)}")
        try:
            session = self._ort.InferenceSession(
                model.SerializeToString(), self._options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise Refused(str(error)) from None
        return _OnnxRuntimeProgram(session)


class _OnnxRuntimeProgram:
    def __init__(self, session: Any) -> None:
        self._session = session

    def run(self, inputs: dict[str, Any]) -> list[Any]:
        return self._session.run(None, inputs)


class ReferenceBackend:
    """ONNX's own evaluator in Python: slow, and close to all of the suite."""

    def __init__(self) -> None:
        import onnx.reference

        self._evaluator = onnx.reference.ReferenceEvaluator

    def compile(
        self, model: onnx.ModelProto, example: dict[str, Any], shapes: dict[str, list[int]]
    ) -> Program:
        try:
            return _ReferenceProgram(self._evaluator(model))
        except (NotImplementedError, RuntimeError) as error:
            raise Refused(str(error)) from None


class _ReferenceProgram:
    def __init__(self, evaluator: Any) -> None:
        self._evaluator = evaluator

    def run(self, inputs: dict[str, Any]) -> list[Any]:
        return self._evaluator.run(None, inputs)


BACKENDS: dict[str, type[Backend]] = {
    "nacre": NacreBackend,
    "onnxruntime": OnnxRuntimeBackend,
    "reference": ReferenceBackend,
}
