"""Values: how they are drawn, disturbed and compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto, helper

# The value itself, and what it is where roundings come out otherwise (`disturb`).
RUNS = 3

TYPES: dict[str, int] = {  # what schemas call them
    f"tensor({name.lower()})": number
    for name, number in TensorProto.DataType.items()
    if name not in ("UNDEFINED", "COMPLEX64", "COMPLEX128")
}
FLOATS = {TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16}
INTEGERS = {
    TensorProto.INT8, TensorProto.INT16, TensorProto.INT32, TensorProto.INT64,
    TensorProto.UINT8, TensorProto.UINT16, TensorProto.UINT32, TensorProto.UINT64,
}  # fmt: skip
STRINGS = ["", "a", "b", "ab", "A b", "Straße", "x,y", "a a b", "7"]


def dtype_of(kind: int) -> np.dtype:
    return np.dtype(object) if kind == TensorProto.STRING else helper.tensor_dtype_to_np_dtype(kind)


def kind_of(array: np.ndarray) -> int:
    if array.dtype.kind in "OUS":
        return TensorProto.STRING
    return helper.np_dtype_to_tensor_dtype(array.dtype)


@dataclass
class Value:
    """A value of a graph: what it is in each run, and where it comes from."""

    name: str
    runs: list[Any]  # arrays; lists of arrays (sequences); None (an optional without an element)
    form: str = "tensor"  # or sequence, optional, optional sequence
    kind: int = TensorProto.FLOAT
    source: str = ""  # a node; or input, initializer, constant
    pinned: bool = False  # its sizes stay numbers in the dynamic form: a rank depends on them
    coarse: bool = False  # of the accuracy of f32, whatever its type
    symbols: tuple[str, ...] = ()  # names of its sizes in the dynamic form ("": a number)

    @property
    def value(self) -> Any:
        return self.runs[0]

    @property
    def shape(self) -> tuple[int, ...]:
        return np.shape(self.runs[0])

    @property
    def exact(self) -> bool:
        return all(same(self.runs[0], run) for run in self.runs[1:])

    def type(self, shapes: bool = True) -> onnx.TypeProto:
        if self.form == "tensor":
            return helper.make_tensor_type_proto(self.kind, self.shape if shapes else None)
        made = helper.make_tensor_type_proto(self.kind, None)
        if "sequence" in self.form:
            made = helper.make_sequence_type_proto(made)
        elif self.value is not None:  # what tells its rank
            made = helper.make_tensor_type_proto(self.kind, self.shape)
        return helper.make_optional_type_proto(made) if "optional" in self.form else made


def draw(
    random: np.random.Generator, kind: int, shape: tuple[int, ...], low: float = -3, high: float = 3
) -> np.ndarray:
    """Numbers between low and high, or strings; half of the arrays of floats have few digits."""
    if kind == TensorProto.STRING:
        return np.array(random.choice(STRINGS, shape), dtype=object).reshape(shape)
    if kind == TensorProto.BOOL:
        return np.asarray(random.random(shape) < 0.5).reshape(shape)
    dtype = dtype_of(kind)
    if kind in INTEGERS or "int" in dtype.name:
        info: Any = np.iinfo(dtype) if dtype.isbuiltin == 1 else ml_dtypes.iinfo(dtype)
        low, high = max(int(np.ceil(low)), int(info.min)), min(int(np.floor(high)), int(info.max))
        return np.asarray(random.integers(low, max(low, high), shape, endpoint=True)).astype(dtype).reshape(shape)
    numbers = np.asarray(random.uniform(low, high, shape)).reshape(shape)
    if random.random() < 0.5:
        numbers = np.clip(np.round(numbers * 4) / 4, low, high)
    return numbers.astype(dtype).reshape(shape)


def epsilon(dtype: np.dtype) -> float:
    return float(ml_dtypes.finfo(dtype).eps)


def is_float(array: Any) -> bool:
    """Whether roundings can change it."""
    return isinstance(array, np.ndarray) and array.dtype.name in ("float32", "float64", "float16", "bfloat16")


def disturb(random: np.random.Generator, value: Any, units: float) -> Any:
    """The value with every float moved by so many units in the last place, up or (if negative) down,
    some of them the other way.
    """
    if isinstance(value, list):
        return [disturb(random, item, units) for item in value]
    if not is_float(value):
        return value
    sign = np.where(random.random(value.shape) < 0.5, -1.0, 1.0)
    with np.errstate(all="ignore"):
        moved = value.astype(np.float64) * (1 + sign * units * epsilon(value.dtype))
        return np.asarray(moved).astype(value.dtype).reshape(value.shape)


def same(a: Any, b: Any) -> bool:
    """Equal to the last bit, shapes included (NaNs are equal)."""
    if isinstance(a, list) or isinstance(b, list):
        return isinstance(a, list) and isinstance(b, list) and len(a) == len(b) and all(map(same, a, b))
    if a is None or b is None:
        return a is b
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if a.dtype.kind in "OUS":
        return bool(np.array_equal(a, b))
    if is_float(a):
        a, b = a.astype(np.float64), b.astype(np.float64)
        return bool(np.array_equal(a, b, equal_nan=True))
    return not bool(np.any(a != b))


def alike(a: Any, b: Any) -> bool:
    """Of one structure, and equal but for floats."""
    if isinstance(a, list) or isinstance(b, list):
        return isinstance(a, list) and isinstance(b, list) and len(a) == len(b) and all(map(alike, a, b))
    if a is None or b is None:
        return a is b
    if not is_float(a):
        return same(a, b)
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    return bool(np.array_equal(np.isfinite(a.astype(np.float64)), np.isfinite(b.astype(np.float64))))


def finite(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(finite, value))
    return not is_float(value) or bool(np.isfinite(value.astype(np.float64)).all())


# Units in the last place that two computations of one op may be apart, beyond what its
# inputs' roundings explain.
UNITS = {"float32": 64, "float64": 1 << 12, "float16": 4, "bfloat16": 4}
# How far beyond the differences that were seen between runs.
MARGIN = 12


def difference(where: str, runs: list[Any], got: Any, coarse: bool = False) -> str:
    """Says how `got` differs from the value that has come out in `runs`; "" if it does not. A coarse
    value is compared as if it were of f32.
    """
    want = runs[0]
    if want is None or got is None:
        return "" if want is got else f"{where}: {_kind(got)}, expected {_kind(want)}"
    if isinstance(want, list) or isinstance(got, (list, tuple)):
        if not (isinstance(want, list) and isinstance(got, (list, tuple))) or len(want) != len(got):
            return f"{where}: {_kind(got)}, expected {_kind(want)}"
        found = (difference(f"{where}[{i}]", [run[i] for run in runs], g, coarse) for i, g in enumerate(got))
        return next((text for text in found if text), "")
    got = np.asarray(got)
    if got.shape != want.shape:
        return f"{where}: shape {got.shape}, expected {want.shape}"
    if want.dtype.kind in "OUS":
        equal = np.array_equal(want.astype(str), got.astype(str))
        return "" if equal else f"{where}: {got.tolist()}, expected {want.tolist()}"
    if got.dtype != want.dtype:
        return f"{where}: type {got.dtype}, expected {want.dtype}"
    if not is_float(want):
        return "" if same(want, got) else _places(where, want, got, want != got)
    kind = np.dtype(np.float32) if coarse and want.dtype == np.float64 else want.dtype
    units, name = epsilon(kind), kind.name
    seen = [np.asarray(run).astype(np.float64) for run in runs]
    want, got = seen[0], got.astype(np.float64)
    with np.errstate(all="ignore"):
        moved = np.max([np.abs(run - want) for run in seen[1:]], axis=0, initial=0)
        moved = np.where(np.isfinite(moved), moved, 0)
        # What moves an element may cancel out by chance: it is granted what most have, and the like part of itself.
        sizes = np.where(np.isfinite(want) & (want != 0), np.abs(want), np.inf)
        typical = (np.median(moved) + np.median(moved / sizes) * np.abs(want)) if moved.size else 0.0
        largest = float(np.max(np.abs(want[np.isfinite(want)]), initial=0))
        tolerance = MARGIN * (moved + typical) + UNITS[name] * units * np.abs(want) + 4 * units * largest
        tolerance = tolerance + 1e-30
        fine = (np.abs(got - want) <= tolerance) | (got == want) | (np.isnan(got) & np.isnan(want))
    return "" if fine.all() else _places(where, want, got, ~fine)


def _places(where: str, want: np.ndarray, got: np.ndarray, wrong: np.ndarray) -> str:
    places = np.argwhere(wrong)
    shown = "; ".join(f"{[int(i) for i in p]}: {got[tuple(p)]}, expected {want[tuple(p)]}" for p in places[:3])
    return f"{where}: {len(places)} of {want.size} elements differ: {shown}"


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    return f"a sequence of {len(value)}" if isinstance(value, (list, tuple)) else "a tensor"
