"""Is this the expected output? ONNX's own rules, and exact for integers."""

from __future__ import annotations

from typing import Any

import numpy as np


class Mismatch(AssertionError):
    """The output is wrong; the message says where and how."""


def check_outputs(expected: list[Any], actual: list[Any], rtol: float, atol: float) -> None:
    """Raises Mismatch unless all outputs agree."""
    if len(expected) != len(actual):
        raise Mismatch(f"{len(actual)} outputs, expected {len(expected)}")
    for index, (want, got) in enumerate(zip(expected, actual)):
        check_value(f"output {index}", want, got, rtol, atol)


def check_value(where: str, want: Any, got: Any, rtol: float, atol: float) -> None:
    if want is None or got is None:
        if want is not got:
            raise Mismatch(f"{where}: {_kind(got)}, expected {_kind(want)}")
    elif isinstance(want, dict) or isinstance(got, dict):
        if not (isinstance(want, dict) and isinstance(got, dict)):
            raise Mismatch(f"{where}: {_kind(got)}, expected {_kind(want)}")
        if want.keys() != got.keys():
            raise Mismatch(f"{where}: keys {sorted(got)}, expected {sorted(want)}")
        for key, value in want.items():
            check_value(f"{where}[{key!r}]", value, got[key], rtol, atol)
    elif isinstance(want, (list, tuple)) or isinstance(got, (list, tuple)):
        if not (isinstance(want, (list, tuple)) and isinstance(got, (list, tuple))):
            raise Mismatch(f"{where}: {_kind(got)}, expected {_kind(want)}")
        if len(want) != len(got):
            raise Mismatch(f"{where}: sequence of {len(got)}, expected {len(want)}")
        for index, (w, g) in enumerate(zip(want, got)):
            check_value(f"{where}[{index}]", w, g, rtol, atol)
    else:
        _check_array(where, np.asarray(want), np.asarray(got), rtol, atol)


def _check_array(
    where: str, want: np.ndarray, got: np.ndarray, rtol: float, atol: float
) -> None:
    if want.shape != got.shape:
        raise Mismatch(f"{where}: shape {got.shape}, expected {want.shape}")
    if _is_string(want) and _is_string(got):
        if not np.array_equal(want.astype(object), got.astype(object)):
            raise Mismatch(f"{where}: strings differ")
        return
    if want.dtype != got.dtype:
        raise Mismatch(f"{where}: type {got.dtype}, expected {want.dtype}")
    # Two units in the last place: narrow types are summed in f32, in an order of our own.
    if want.dtype.name == "bfloat16":
        rtol = max(rtol, 2**-6)
    if want.dtype == np.float16:
        rtol = max(rtol, 2**-9)
    # Or one unit in the last place of the output's largest element: where large numbers
    # cancel, the expected values have such an error themselves.
    if want.dtype in (np.float32, np.float64):
        largest = np.abs(want[np.isfinite(want)]).max(initial=0)
        atol = max(atol, float(np.finfo(want.dtype).eps * largest))
    floating = _is_float(want.dtype)
    if want.dtype.isbuiltin != 1:  # a type of ml_dtypes, which NumPy cannot promote
        wide = np.float32 if floating else np.int32
        want, got = want.astype(wide), got.astype(wide)
    try:
        if floating:
            np.testing.assert_allclose(got, want, rtol, atol)
        else:
            np.testing.assert_array_equal(got, want)
    except AssertionError as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        raise Mismatch(f"{where}: " + "; ".join(lines)) from None


def _is_string(array: np.ndarray) -> bool:
    return array.dtype.kind in "OUS"


def _is_float(dtype: np.dtype) -> bool:
    return dtype.kind in "fc" or dtype.name.startswith(("bfloat", "float"))


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a map"
    return "a sequence" if isinstance(value, (list, tuple)) else "a tensor"
