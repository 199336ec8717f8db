"""Makes a failing graph small: fewer outputs, nodes, and smaller sizes, as long as it fails in the same way."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator

import numpy as np

from graphs import Graph, Unfit

Fails = Callable[[Graph, list[str]], bool]


def shrink(graph: Graph, outputs: list[str], fails: Fails, seconds: float) -> tuple[Graph, list[str]]:
    """The least that still fails, and its outputs."""
    end = time.monotonic() + seconds
    changed = True
    while changed and time.monotonic() < end:
        changed = False
        for candidate, names in _candidates(graph, outputs):
            if time.monotonic() > end:
                break
            try:
                broken = fails(candidate, names)
            except Exception:
                continue
            if broken:
                graph, outputs, changed = candidate, names, True
                break
    return graph, outputs


def _candidates(graph: Graph, outputs: list[str]) -> Iterator[tuple[Graph, list[str]]]:
    if len(outputs) > 1:
        half = len(outputs) // 2
        for names in (outputs[:half], outputs[half:], *([n] for n in outputs)):
            yield graph.prune(names), names
    # An earlier value instead of the outputs.
    made = [n for n, v in graph.values.items() if not v.source]
    for name in made:
        if [name] != outputs and len(outputs) == 1:
            yield graph.prune([name]), [name]
    # An input instead of what a node makes: all nodes before it go.
    for name in reversed(made):
        if name in outputs or graph.values[name].form != "tensor":
            continue
        cut = copy.deepcopy(graph)
        cut.values[name].source = "input"
        cut.values[name].runs[:] = [cut.values[name].value] * len(cut.values[name].runs)
        if any(v.symbols for v in graph.values.values()):
            cut.values[name].symbols = tuple(f"{name}_{i}" for i in range(len(cut.values[name].shape)))
        cut.nodes = [n for n in cut.nodes if name not in n.output or len(n.output) > 1]
        for node in cut.nodes:
            for i, output in enumerate(node.output):
                if output == name:
                    node.output[i] = ""
        yield from _replayed(cut.prune(outputs), outputs)
    # Optional operands and attributes less.
    for index, node in enumerate(graph.nodes):
        for i in range(len(node.attribute)):
            less = copy.deepcopy(graph)
            del less.nodes[index].attribute[i]
            yield from _replayed(less, outputs)
    # One size everywhere.
    sizes = {s for v in graph.values.values() if v.source and v.form == "tensor" and not v.pinned for s in v.shape if s > 1}
    for size in sorted(sizes, reverse=True):
        for smaller in dict.fromkeys((1, 2, size // 2, size - 1)):
            if smaller >= size or smaller < 1:
                continue
            less = copy.deepcopy(graph)
            for value in less.values.values():
                if value.source and value.form == "tensor" and not value.pinned:
                    places = tuple(slice(smaller if s == size else s) for s in value.shape)
                    value.runs[:] = [np.ascontiguousarray(value.value[places]).reshape(value.value[places].shape)] * len(value.runs)
            yield from _replayed(less, outputs)
    # Symbols become numbers.
    for value in graph.values.values():
        for axis, symbol in enumerate(value.symbols):
            if symbol:
                less = copy.deepcopy(graph)
                symbols = list(value.symbols)
                symbols[axis] = ""
                less.values[value.name].symbols = tuple(symbols)
                yield less, outputs


def _replayed(graph: Graph, outputs: list[str]) -> Iterator[tuple[Graph, list[str]]]:
    try:
        graph.replay()
    except Unfit:
        return
    if all(n in graph.values for n in outputs):
        yield graph, outputs


