"""What model.profile() gives."""

from __future__ import annotations

import os
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._core import Model

__all__ = ["KernelTime", "Profile"]


@dataclass(frozen=True)
class KernelTime:
    """The time that a kernel took over the runs of a profile."""

    name: str
    nodes: str
    """The model's nodes that it computes, comma-separated"""
    flops: int
    """Of one launch; -1 where they depend on dynamic sizes"""
    bytes: int
    launches: int
    total_ns: int
    min_ns: int
    max_ns: int

    @property
    def milliseconds(self) -> float:
        """Of all launches"""
        return self.total_ns / 1e6


class Profile:
    """Measures the runs of a model inside of a `with` block.

        with model.profile() as profile:
            model(x)
        print(profile)
        profile.write_trace("trace.json")    # chrome://tracing, ui.perfetto.dev

    It begins anew with each block, and costs nothing outside of one.
    """

    def __init__(self, model: Model) -> None:
        self._model = model

    def __enter__(self) -> Profile:
        self._model._reset_profile()
        self._model._set_profiling(2)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._model._set_profiling(0)

    @property
    def kernels(self) -> list[KernelTime]:
        """The kernels that ran, the slowest first."""
        times = [KernelTime(**time) for time in self._model._kernel_times()]
        return sorted(times, key=lambda time: -time.total_ns)

    def write_trace(self, path: str | os.PathLike[str]) -> None:
        """Writes each launch as a Chrome trace. Raises WriteError."""
        self._model._write_trace(os.fspath(path))

    def __str__(self) -> str:
        kernels = self.kernels
        total = sum(kernel.total_ns for kernel in kernels) or 1
        lines = [f"{'ms':>10} {'share':>7} {'launches':>8}  kernel"]
        for kernel in kernels:
            share = 100 * kernel.total_ns / total
            name = f"{kernel.name}: {kernel.nodes}" if kernel.nodes else kernel.name
            lines.append(f"{kernel.milliseconds:10.4f} {share:5.1f} % {kernel.launches:8}  {name}")
        return "\n".join(lines)
