"""Gradients of ops that read and write at places: steps of slices, padding, order, blocks: as in
test_gradients.py.
"""

from __future__ import annotations

import pytest
import torch

from test_gradients import F, Tensor, Term, check, spatial

# TensorScatter is of opset 24.
HEAD = '<ir_version: 13, opset_import: ["" : 24]>\n'


def of_y(nodes: str, function: object, *shapes: tuple[int, ...], **options: object) -> Term:
    """Of y[N, 3, 4] times a parameter, and of the op's own parameters."""
    return Term(
        f"{{t}} = Mul (y, {{w}}) {nodes}", lambda x, y, w, *own: function(y * w, *own), ((3, 1), *shapes), **options
    )


def ints(name: str, *values: int) -> str:
    return f"{{t}}{name} = Constant <value_ints = [{', '.join(map(str, values))}]> ()"


def sliced(starts: list[int], ends: list[int], axes: list[int], steps: list[int], function: object) -> Term:
    lists = " ".join(ints(n, *v) for n, v in zip("bead", [starts, ends, axes, steps]))
    return of_y(f"{lists} {{out}} = Slice ({{t}}, {{t}}b, {{t}}e, {{t}}a, {{t}}d)", function)


SLICES = [
    sliced([0], [100], [2], [2], lambda t: t[:, :, ::2]),
    sliced([1], [100], [2], [2], lambda t: t[:, :, 1::2]),
    sliced([1], [4], [2], [3], lambda t: t[:, :, 1::3]),
    sliced([-1], [-100], [1], [-1], lambda t: t.flip(1)),
    sliced([-1, 2], [-100, 0], [2, 1], [-2, -1], lambda t: t[:, [2, 1]][:, :, [3, 1]]),
    sliced([0, 1], [100, 3], [0, 2], [3, 1], lambda t: t[::3, :, 1:3]),
    sliced([3], [3], [2], [2], lambda t: t[:, :, 3:3]),  # of nothing
]


def padded(mode: str, low: int, high: int, function: object) -> Term:
    return of_y(f'{ints("p", 0, 0, low, 0, 0, high)} {{out}} = Pad <mode = "{mode}"> ({{t}}, {{t}}p)', function)


def pad(mode: str, low: int, high: int) -> Term:
    name = {"edge": "replicate", "reflect": "reflect", "wrap": "circular"}[mode]
    return padded(mode, low, high, lambda t: F.pad(t, (low, high), mode=name))


PADS = [pad(mode, low, high) for mode in ("edge", "reflect", "wrap") for low, high in ((2, 1), (0, 3), (1, 0))] + [
    padded("edge", -1, 2, lambda t: F.pad(t[:, :, 1:], (0, 2), mode="replicate")),
    of_y(
        f'{ints("p", 0, 1, 2, 0, 2, 1)} {{out}} = Pad <mode = "reflect"> ({{t}}, {{t}}p)',
        lambda t: F.pad(t[:, None], (2, 1, 1, 2), mode="reflect")[:, 0],
    ),
    of_y(
        f'{ints("p", 1, 0, 2, 0, -1, 1)} {{out}} = Pad ({{t}}, {{t}}p, {{w1}})',
        lambda t, v: torch.where(
            F.pad(torch.ones_like(t), (2, 1, 0, -1, 1, 0)) > 0, F.pad(t, (2, 1, 0, -1, 1, 0)), v
        ),
        (),
    ),
]

IMAGE_PADS = [
    spatial(
        f'Pad <mode = "{mode}"> ({{t}}, {{t}}p)', lambda t, m=name: F.pad(t, (2, 1, 1, 1), mode=m),
        before=ints("p", 0, 0, 1, 2, 0, 0, 1, 1),
    )
    for mode, name in [("edge", "replicate"), ("reflect", "reflect"), ("wrap", "circular")]
]

ROWS = torch.arange(5)[:, None]
PLACES = [
    of_y(
        "{t}i = Constant <value = int64[5, 2, 1] {{0, 2, 1, 1, -1, 0, 2, 2, 0, 1}}> ()"
        " {out} = GatherND <batch_dims = 1> ({t}, {t}i)",
        lambda t: t[ROWS, torch.tensor([[0, 2], [1, 1], [-1, 0], [2, 2], [0, 1]])],
    ),
    of_y(
        "{t}i = Constant <value = int64[5, 3, 1] {{0, 3, -1, 2, 2, 1, 0, 0, 0, -4, 1, 2, 3, 2, 1}}> ()"
        " {out} = GatherND <batch_dims = 2> ({t}, {t}i)",
        lambda t: t.gather(
            2, torch.tensor([0, 3, 3, 2, 2, 1, 0, 0, 0, 0, 1, 2, 3, 2, 1]).reshape(5, 3, 1)
        ).squeeze(2),
    ),
    of_y("{t}k = Constant <value = int64 {{1}}> () {out} = Trilu <upper = 1> ({t}, {t}k)", lambda t: t.triu(1)),
    of_y("{out} = Trilu <upper = 0> ({t})", lambda t: t.tril()),
    of_y(
        "{t}v = Transpose <perm = [0, 2, 1]> ({t}) {t}n = Constant <value = int64[5] {{3, 1, 4, 2, 4}}> ()"
        " {out} = ReverseSequence <batch_axis = 0, time_axis = 1> ({t}v, {t}n)",
        lambda t: torch.stack(
            [torch.cat([r[:n].flip(0), r[n:]]) for r, n in zip(t.transpose(1, 2), [3, 1, 4, 2, 4])]
        ),
    ),
    of_y(
        "{t}k = Constant <value_ints = [2]> () {out}, {t}i = TopK <axis = 2> ({t}, {t}k)",
        lambda t: t.topk(2, 2).values,
    ),
    of_y(
        "{t}k = Constant <value_ints = [2]> () {out}, {t}i = TopK <axis = 1, largest = 0> ({t}, {t}k)",
        lambda t: t.topk(2, 1, largest=False).values,
    ),
    Term(
        "{t} = Div (y, {w}) {out} = Mod <fmod = 1> ({t}, {w1})",
        lambda x, y, w, v: torch.fmod(y / w, v),
        ((3, 1), (4,)),
    ),
]


def col2im(attributes: str, image: tuple[int, int], block: tuple[int, int], columns: int, **options: object) -> Term:
    """Of [N, 4 * 3, columns]: three channels of blocks of four."""
    nodes = (
        f"{{t}} = Mul (y, {{w}}) {ints('s', 0, 12, 1)} {{t}}f = Reshape ({{t}}, {{t}}s) {{t}}m = Mul ({{t}}f, {{w1}})"
        f" {ints('i', *image)} {ints('b', *block)} {{out}} = Col2Im <{attributes}> ({{t}}m, {{t}}i, {{t}}b)"
    )
    return Term(
        nodes,
        lambda x, y, w, v: F.fold((y * w).reshape(-1, 12, 1) * v, image, block, **options),
        ((3, 1), (12, columns)),
    )


BLOCKS = [
    col2im("strides = [1, 1]", (3, 4), (2, 2), 6),
    col2im("strides = [2, 1], pads = [1, 0, 1, 0]", (3, 3), (2, 2), 4, stride=(2, 1), padding=(1, 0)),
    col2im("dilations = [2, 1]", (4, 3), (2, 2), 4, dilation=(2, 1)),
    col2im("strides = [2, 2], pads = [0, 1, 0, 1]", (5, 4), (1, 4), 6, stride=(2, 2), padding=(0, 1)),
]


def written(t: Tensor, update: Tensor, positions: list[int], circular: bool) -> Tensor:
    rows = []
    for row, new, p in zip(t, update, positions):
        at = [(p + j) % row.shape[0] for j in range(new.shape[0])]
        rows.append(row.index_copy(0, torch.tensor(at), new))
    return torch.stack(rows)


CACHES = [
    Term(
        "{t} = Mul (y, {w}) {t}p = Constant <value = int64[5] {{0, 1, 1, 0, 1}}> ()"
        " {out} = TensorScatter <axis = 1> ({t}, {w1}, {t}p)",
        lambda x, y, w, u: written(y * w, u, [0, 1, 1, 0, 1], False),
        ((3, 1), (5, 2, 4)),
    ),
    Term(
        "{t} = Mul (y, {w}) {t}p = Constant <value = int64[5] {{0, 1, 2, 2, 1}}> ()"
        ' {out} = TensorScatter <axis = 1, mode = "circular"> ({t}, {w1}, {t}p)',
        lambda x, y, w, u: written(y * w, u, [0, 1, 2, 2, 1], True),
        ((3, 1), (5, 2, 4)),
    ),
]

# Zeros, and equal extremes: the parameters are 0.5.
OFFSETS = [[0.25, -0.5, 0.5, 0.0], [-0.5, 0.5, 0.25, -0.5], [0.5, -0.25, 0.0, 0.25]]
UPDATES = [[0.25, -0.5, -0.5], [0.5, 0.25, -0.25]]


def scattered(op: str, reduction: str, function: object) -> Term:
    """Into three rows of four numbers, of two rows of as many as there are indices."""
    updates = UPDATES if op == "ScatterElements" else [[*row, 0.5] for row in UPDATES]
    attributes = f'reduction = "{reduction}"' + (", axis = 1" if op == "ScatterElements" else "")
    indices = "int64[2, 3] {{1, 1, 3, 0, 2, 2}}" if op == "ScatterElements" else "int64[2, 1] {{2, 2}}"
    constants = [f"double[{len(t)}, {len(t[0])}] {{{{{', '.join(str(v) for r in t for v in r)}}}}}" for t in (OFFSETS, updates)]
    nodes = (
        f"{{t}}c = Constant <value = {constants[0]}> () {{t}}d = Constant <value = {constants[1]}> ()"
        f" {{t}}i = Constant <value = {indices}> () {{t}} = Add ({{w}}, {{t}}c) {{t}}u = Add ({{w1}}, {{t}}d)"
        f" {{out}} = {op} <{attributes}> ({{t}}, {{t}}i, {{t}}u)"
    )
    return Term(
        nodes,
        lambda x, y, w, v: function(w + torch.tensor(OFFSETS), v + torch.tensor(updates)),
        ((3, 4), (2, len(updates[0]))),
        low=0.5,
        high=0.5,
        smooth=reduction == "mul",
    )


SCATTERS = [
    scattered("ScatterElements", name, lambda t, u, r=r: t.scatter_reduce(1, torch.tensor([[1, 1, 3], [0, 2, 2]]), u, r))
    for name, r in [("mul", "prod"), ("max", "amax"), ("min", "amin")]
] + [
    scattered("ScatterND", name, lambda t, u, r=r: t.index_reduce(0, torch.tensor([2, 2]), u, r))
    for name, r in [("mul", "prod"), ("max", "amax"), ("min", "amin")]
]

EINSUMS = [
    Term(f'{{out}} = Einsum <equation = "{equation}"> ({{w}})', lambda x, y, w, e=equation: torch.einsum(e, w), (shape,))
    for equation, shape in [
        ("ii->i", (3, 3)),
        ("ii->", (4, 4)),
        ("iji->j", (3, 2, 3)),
        ("iii->i", (3, 3, 3)),
        ("ij->i", (3, 4)),
        ("ij->", (1, 4)),
    ]
] + [
    Term(
        '{t} = Mul (y, {w}) {out} = Einsum <equation = "nij, kk, lm -> ik"> ({t}, {w1}, {w2})',
        lambda x, y, w, v, u: torch.einsum("nij,kk,lm->ik", y * w, v, u),
        ((3, 1), (4, 4), (2, 3)),
    ),
]

THEMES = {"einsums": EINSUMS, "slices": SLICES, "pads": PADS + IMAGE_PADS, "places": PLACES, "blocks": BLOCKS, "scatters": SCATTERS}


@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
@pytest.mark.parametrize("theme", THEMES)
def test_places(theme: str, dynamic: bool) -> None:
    check(THEMES[theme], dynamic)


@pytest.mark.parametrize("theme", ["slices", "pads", "places"])
def test_places_of_open_sizes(theme: str) -> None:
    check(THEMES[theme], dynamic=True, open_sizes=True)


@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
def test_caches(dynamic: bool) -> None:
    check(CACHES, dynamic, head=HEAD)
