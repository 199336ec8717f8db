"""How far two values of a model are apart, in units that matter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

# The error that is allowed, as a part of the values' range (their largest magnitude), by
# the bits of the type's significand. Whole models in f32 stay within some 1e-6; ten to a
# hundred times as much is rounding in another order, more is a fault.
_TOLERANCES = {52: 1e-10, 23: 1e-4, 10: 1e-2, 7: 5e-2}


@dataclass(frozen=True)
class Difference:
    """Of one value. What cannot be counted (shapes, types, strings) has no error."""

    name: str
    what: str  # "values", "shape", "dtype", "kind"
    got: str
    expected: str
    index: tuple[int, ...] | None = None  # of the largest error
    count: int = 0  # of elements that differ beyond the tolerance
    size: int = 0
    absolute: float | None = None
    ulps: float | None = None  # units in the last place of the expected value
    of_range: float | None = None  # the error over the largest magnitude

    def __str__(self) -> str:
        if self.what != "values":
            return f"{self.what} {self.got}, expected {self.expected}"
        place = f" at {list(self.index)}" if self.index else ""
        text = f"{self.got}{place}, expected {self.expected}; {self.count} of {self.size} elements differ"
        if self.absolute is None:
            return text
        return (
            f"{text}; largest error {self.absolute:.3g}"
            f" ({self.ulps:.3g} units in the last place, {self.of_range:.3g} of the range)"
        )


def tolerance_of(dtype: np.dtype) -> float:
    """The part of the range that rounding may make of a difference; 0 for exact types."""
    if not _is_float(dtype):
        return 0.0
    bits = _significand_bits(dtype)
    return _TOLERANCES.get(bits, 2.0 ** (1 - bits))


def compare(name: str, got: Any, expected: Any, tolerance: float | None = None) -> Difference | None:
    """None if the values agree: tensors, sequences (lists) of them, maps (dicts), and None alike."""
    if expected is None or got is None:
        if expected is None and got is None:
            return None
        return Difference(name, "kind", _describe(got), _describe(expected))
    if isinstance(expected, list) or isinstance(got, list):
        if not (isinstance(expected, list) and isinstance(got, list) and len(expected) == len(got)):
            return Difference(name, "kind", _describe(got), _describe(expected))
        for i, (left, right) in enumerate(zip(got, expected)):
            if difference := compare(f"{name}[{i}]", left, right, tolerance):
                return difference
        return None
    if isinstance(expected, dict) or isinstance(got, dict):
        if not (isinstance(expected, dict) and isinstance(got, dict) and expected.keys() == got.keys()):
            return Difference(name, "kind", _describe(got), _describe(expected))
        # What gives maps gives them of f32, as Python's floats.
        rows = (np.array([values[key] for key in expected], np.float32) for values in (got, expected))
        return compare(name, *rows, tolerance)
    got, expected = np.asarray(got), np.asarray(expected)
    if got.shape != expected.shape:
        return Difference(name, "shape", _describe(got), _describe(expected))
    if expected.dtype.kind in "OUST" or got.dtype.kind in "OUST":
        got, expected = got.astype(object), expected.astype(object)
    elif got.dtype != expected.dtype:
        return Difference(name, "dtype", _describe(got), _describe(expected))
    if not _is_float(expected.dtype):
        return _compare_exactly(name, got, expected)
    return _compare_floats(name, got, expected, tolerance)


def _compare_exactly(name: str, got: np.ndarray, expected: np.ndarray) -> Difference | None:
    differs = np.atleast_1d(got != expected)
    if not differs.any():
        return None
    index = _unravel(int(np.argmax(differs)), got.shape)
    return Difference(
        name, "values", repr(_item(got, index)), repr(_item(expected, index)), index, int(differs.sum()), got.size
    )


def _compare_floats(
    name: str, got: np.ndarray, expected: np.ndarray, tolerance: float | None
) -> Difference | None:
    if tolerance is None:
        tolerance = tolerance_of(expected.dtype)
    wide = np.complex128 if expected.dtype.kind == "c" else np.float64
    left, right = np.atleast_1d(got.astype(wide)), np.atleast_1d(expected.astype(wide))
    finite = np.isfinite(right)
    limit = float(np.abs(right[finite]).max()) if finite.any() else 0.0
    with np.errstate(invalid="ignore", over="ignore"):
        error = np.abs(left - right)
    same = (left == right) | (np.isnan(left) & np.isnan(right))
    error = np.where(same, 0.0, np.where(np.isnan(error), np.inf, error))
    differs = error > tolerance * limit
    if not differs.any():
        return None
    index = _unravel(int(np.argmax(np.where(differs, error, -1.0))), got.shape)
    absolute = float(error[index or 0])
    spacing = 2.0 ** -_significand_bits(expected.dtype)
    magnitude = abs(complex(right[index or 0])) if wide is np.complex128 else abs(float(right[index or 0]))
    exponent = np.floor(np.log2(magnitude)) if 0 < magnitude < np.inf else 0.0
    return Difference(
        name,
        "values",
        f"{_item(got, index):.9g}",
        f"{_item(expected, index):.9g}",
        index,
        int(differs.sum()),
        got.size,
        absolute,
        absolute / (spacing * 2.0**exponent),
        absolute / limit if limit else np.inf,
    )


def _is_float(dtype: np.dtype) -> bool:
    if dtype.kind in "fc":
        return True
    return dtype.kind == "V" and ("float" in dtype.name)  # those of ml_dtypes


def _significand_bits(dtype: np.dtype) -> int:
    if dtype.kind == "c":
        return 23 if dtype.itemsize == 8 else 52
    try:
        return int(np.finfo(dtype).nmant)
    except ValueError:
        import ml_dtypes

        return int(ml_dtypes.finfo(dtype).nmant)


def _unravel(flat: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(flat, shape)) if shape else ()


def _item(array: np.ndarray, index: tuple[int, ...]) -> Any:
    value = array[index]
    if array.dtype.kind == "V":
        return float(value)
    return value.item() if hasattr(value, "item") else value


def _describe(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, list):
        return f"a sequence of {len(value)}"
    if isinstance(value, dict):
        return f"a map of {', '.join(map(repr, value))}"
    value = np.asarray(value)
    return f"{value.dtype}{list(value.shape)}"
