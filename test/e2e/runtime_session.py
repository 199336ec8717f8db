"""A session of the runtime through its C interface: with a limit on memory, which Python has not."""

from __future__ import annotations

import ctypes
from pathlib import Path
from types import TracebackType

import numpy as np
import onnx
from onnx import helper

from support import BUILD, module

MAX_RANK = 16  # of runtime/api/nacre.h


class Tensor(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p), ("data", ctypes.c_void_p), ("size", ctypes.c_int64), ("dtype", ctypes.c_int32),
        ("rank", ctypes.c_int32), ("dims", ctypes.c_int64 * MAX_RANK), ("strides", ctypes.c_void_p), ("owner", ctypes.c_void_p),
    ]  # fmt: skip


class SessionOptions(ctypes.Structure):
    _fields_ = [
        ("struct_size", ctypes.c_size_t), ("thread_count", ctypes.c_int32), ("cpu_count", ctypes.c_int32),
        ("cpus", ctypes.c_void_p), ("memory_limit", ctypes.c_int64), ("no_huge_pages", ctypes.c_int32),
        ("profiling", ctypes.c_int32), ("seed", ctypes.c_uint64),
    ]  # fmt: skip


class RunFailed(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class RuntimeSession:
    """Of a model that is compiled into the folder; to be left with `with`."""

    def __init__(self, model: onnx.ModelProto, folder: Path, *, limit: int, threads: int = 2) -> None:
        (folder / "m.onnx").write_bytes(model.SerializeToString())
        module().compile_to_file(folder / "m.onnx", folder / "m.so")
        self.runtime = ctypes.CDLL(str(BUILD / "lib" / "libnacre-runtime.so"))
        self.runtime.nacre_last_error.restype = ctypes.c_char_p
        self.model, self.session = ctypes.c_void_p(), ctypes.c_void_p()
        self.check(self.runtime.nacre_model_load(str(folder / "m.so").encode(), ctypes.byref(self.model)))
        options = SessionOptions(struct_size=ctypes.sizeof(SessionOptions), thread_count=threads, memory_limit=limit)
        self.check(self.runtime.nacre_session_create(self.model, ctypes.byref(options), ctypes.byref(self.session)))
        self.outputs = (Tensor * len(model.graph.output))()

    def check(self, status: int) -> None:
        if status != 0:
            raise RunFailed(status, self.runtime.nacre_last_error().decode())

    def run(self, *arrays: np.ndarray) -> list[np.ndarray]:
        inputs = (Tensor * len(arrays))()
        for tensor, array in zip(inputs, arrays, strict=True):
            tensor.data, tensor.rank = array.ctypes.data, array.ndim
            tensor.dtype = helper.np_dtype_to_tensor_dtype(array.dtype)
            tensor.dims[: array.ndim] = array.shape
        self.check(self.runtime.nacre_session_run(self.session, 0, inputs, len(inputs), self.outputs, len(self.outputs)))
        return [self.read(output) for output in self.outputs]

    @staticmethod
    def read(tensor: Tensor) -> np.ndarray:
        dtype = helper.tensor_dtype_to_np_dtype(tensor.dtype)
        shape = tensor.dims[: tensor.rank]
        data = ctypes.string_at(tensor.data, tensor.size) if tensor.size else b""
        return np.frombuffer(data, dtype).reshape(shape)

    def cancel(self) -> None:
        self.runtime.nacre_session_cancel(self.session)

    def __enter__(self) -> RuntimeSession:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for output in self.outputs:
            self.runtime.nacre_tensor_release(ctypes.byref(output))
        self.runtime.nacre_session_destroy(self.session)
        self.runtime.nacre_model_release(self.model)
