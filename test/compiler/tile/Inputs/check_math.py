"""Measures approximate-math against f64: ulp, NaN, infinities, signs."""
import math
import sys

import numpy as np

from native import build, call

REFERENCE = {
    "exp": (np.exp, 1.1), "exp2": (np.exp2, 1.1), "expm1": (np.expm1, 1.5),
    "log": (np.log, 1.1), "log2": (np.log2, 1.5), "log10": (np.log10, 2),
    "log1p": (np.log1p, 1.6), "sin": (np.sin, 2.5), "cos": (np.cos, 2.5), "tan": (np.tan, 4.5),
    "asin": (np.arcsin, 2.5), "acos": (np.arccos, 1.5), "atan": (np.arctan, 3),
    "sinh": (np.sinh, 1.8), "cosh": (np.cosh, 1.8), "tanh": (np.tanh, 1.5),
    "asinh": (np.arcsinh, 2.2), "acosh": (np.arccosh, 2.2), "atanh": (np.arctanh, 2.5),
    "rsqrt": (lambda x: 1 / np.sqrt(x), 1.6), "erf": (np.vectorize(math.erf, otypes=[float]), 6.5),
}
SPECIAL = np.array([0, 0x80000000, 0x7F800000, 0xFF800000, 0x7FC00000, 1, 0x80000001, 0x7FFFFF,
                    0x800000, 0x7F7FFFFF, 0xFF7FFFFF, 0x3F800000, 0xBF800000, 0x3F7FFFFF,
                    0x3F800001, 0xBF7FFFFF], np.uint32).view(np.float32)


def function(name, element, operands):
    arguments = ", ".join(f"%a{i}: memref<?x{element}>" for i in range(operands))
    inputs = ", ".join(f"%a{i}" for i in range(operands))
    types = ", ".join(f"memref<?x{element}>" for _ in range(operands))
    maps = ", ".join(["affine_map<(i) -> (i)>"] * (operands + 1))
    values = ", ".join(f"%x{i}: {element}" for i in range(operands))
    used = ", ".join(f"%x{i}" for i in range(operands))
    return f"""func.func @{name}_{element}({arguments}, %r: memref<?x{element}>) {{
  linalg.generic {{indexing_maps = [{maps}], iterator_types = ["parallel"]}}
      ins({inputs} : {types}) outs(%r : memref<?x{element}>) {{
  ^bb0({values}, %y: {element}):
    %0 = math.{name} {used} : {element}
    linalg.yield %0 : {element}
  }}
  return
}}
"""


def check(name, got, exact, inputs, bound):
    """The worst error in ulp of the result, and that special results agree."""
    with np.errstate(all="ignore"):
        rounded = exact.astype(got.dtype)
        wrong = np.isnan(got) != np.isnan(rounded)
        wrong |= np.isinf(got) != np.isinf(rounded)
        wrong |= (np.signbit(got) != np.signbit(rounded)) & ~np.isnan(rounded)
        error = np.abs(got.astype(np.float64) - exact)
        error /= np.spacing(np.abs(rounded)).astype(np.float64)
        error[~np.isfinite(got) | ~np.isfinite(rounded)] = 0
    worst = int(error.argmax())
    print(f"{name}: {error[worst]:.3g} ulp at {[float(i[worst]) for i in inputs]}")
    for k in np.flatnonzero(wrong)[:5]:
        print(f"  {name}{[float(i[k]) for i in inputs]} = {got[k]}, expected {rounded[k]}")
    return not wrong.any() and error[worst] <= bound


def main():
    text = "".join(function(name, "f32", 1) for name in REFERENCE) + function("powf", "f32", 2)
    text += function("exp", "f64", 1) + function("tanh", "f64", 1) + function("exp", "f16", 1)
    library = build(text, ["--vectorize-tiles", "--approximate-math"])
    random = np.random.default_rng(7)
    # Every 9973rd of all floats, and many where functions bend.
    samples = np.arange(0, 2**32, 9973, dtype=np.uint64).astype(np.uint32).view(np.float32)
    x = np.concatenate([SPECIAL, samples, random.uniform(-20, 20, 150001).astype(np.float32)])
    ok = True
    with np.errstate(all="ignore"):
        for name, (reference, bound) in REFERENCE.items():
            y = np.empty_like(x)
            call(getattr(library, name + "_f32"), x, y)
            ok &= check(name, y, reference(x.astype(np.float64)), [x], bound)
        corners = np.concatenate([SPECIAL, np.array(
            [2, -2, 3, -3, .5, -.5, 2.5, 1e10, -1e10, 2**24, 2**24 + 2], np.float32)])
        a, b = (m.ravel() for m in np.meshgrid(corners, corners))
        a = np.concatenate([a, random.choice(x, 200000), random.uniform(-3, 3, 200000)])
        b = np.concatenate([b, random.uniform(-20, 20, 200000), random.integers(-7, 8, 200000)])
        a, b = a.astype(np.float32), b.astype(np.float32)
        y = np.empty_like(a)
        call(library.powf_f32, a, b, y)
        ok &= check("powf", y, np.power(a.astype(np.float64), b.astype(np.float64)), [a, b], 0.6)
        wide = random.uniform(-30, 30, 1003)
        for name in ("exp", "tanh"):
            y = np.empty_like(wide)
            call(getattr(library, name + "_f64"), wide, y)
            ok &= check(name + " f64", y, REFERENCE[name][0](wide), [wide], 4)
        half = np.arange(0, 65536, dtype=np.uint32).astype(np.uint16).view(np.float16)
        y = np.empty_like(half)
        call(library.exp_f16, half, y)
        ok &= check("exp f16", y, np.exp(half.astype(np.float64)), [half], 0.501)
    sys.exit(not ok)


main()
