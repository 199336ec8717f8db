"""PyTorch, eager and by torch.compile; with channels last as well, for images."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from . import LEARNING_RATE, ROOT, Forms, Job, Program


CHANNELS_LAST, ONEDNN = "channels last", "oneDNN's layouts"


def inference(job: Job) -> Forms:
    yield from inference_forms(job, compiles=False)


def inference_compiled(job: Job) -> Forms:
    yield from inference_forms(job, compiles=True)


def training(job: Job) -> Forms:
    yield from training_forms(job, compiles=False)


def training_compiled(job: Job) -> Forms:
    yield from training_forms(job, compiles=True)


def start(job: Job) -> Any:
    import torch

    torch.set_num_threads(job.threads)
    sys.path[:0] = [str(ROOT / "test" / "e2e"), str(ROOT / "test" / "e2e" / "training")]
    return torch


def precision(job: Job) -> AbstractContextManager[Any]:
    import torch

    return torch.autocast("cpu", torch.bfloat16) if job.precision == "bf16" else nullcontext()


def inference_forms(job: Job, compiles: bool) -> Forms:
    torch = start(job)

    def build() -> Any:
        if job.task == "operator":
            from benchmarks.torch_operators import read

            return read(job.model)
        from zoo import generate, specs

        return generate.build(specs.SPECS[job.name])

    arrays_in = [torch.from_numpy(v) for v in job.arrays("in").values()]

    def make(layout: str) -> Program:
        module, values = build(), arrays_in
        if layout == CHANNELS_LAST:
            module = module.to(memory_format=torch.channels_last)
            values = [v.contiguous(memory_format=torch.channels_last) if v.ndim == 4 else v for v in values]
        if layout == ONEDNN:
            module, values = torch.utils.mkldnn.to_mkldnn(module), [v.to_mkldnn() for v in values]
        if compiles:
            torch._inductor.config.freezing = True  # weights are constants, as they are for the others
            module = torch.compile(module, dynamic=job.dynamic)

        def run() -> Any:
            with torch.no_grad(), precision(job):
                return module(*values)

        return Program(run, arrays)

    yield "", lambda: make("")
    if any(v.ndim == 4 and v.shape[1] > 1 for v in arrays_in):
        yield CHANNELS_LAST, lambda: make(CHANNELS_LAST)
    if job.task == "operator" and not compiles and job.precision == "f32" and is_layer(build()):
        yield ONEDNN, lambda: make(ONEDNN)


def is_layer(module: Any) -> bool:
    """Whether oneDNN can have the module's weights, and what it reads and writes, in orders of its own."""
    import torch
    import torch.utils.mkldnn

    return isinstance(module, (torch.nn.Conv2d, torch.nn.Linear))


def arrays(result: Any) -> list[Any]:
    results = result if isinstance(result, (tuple, list)) else [result]
    return [(value.to_dense() if value.is_mkldnn else value).float().numpy() for value in results]


def training_forms(job: Job, compiles: bool) -> Forms:
    torch = start(job)
    import architectures

    architecture = architectures.FULL[job.name]

    def make(channels_last: bool) -> Program:
        module, inputs, targets = architectures.make(architecture, seed=1)
        values = list(inputs.values())
        if channels_last:
            module = module.to(memory_format=torch.channels_last)
            values = [v.contiguous(memory_format=torch.channels_last) if v.ndim == 4 else v for v in values]
        (target,) = targets.values()
        kind = torch.optim.SGD if job.optimizer == "sgd" else torch.optim.Adam
        optimizer = kind(module.parameters(), lr=LEARNING_RATE, fused=True)

        def forward() -> Any:
            with precision(job):
                return architecture.torch_loss(module(*values), target)

        if compiles:
            forward = torch.compile(forward)

        def step() -> float:
            optimizer.zero_grad(set_to_none=True)
            loss = forward()
            loss.backward()
            optimizer.step()
            return loss.item()

        return Program(step, tensors=None if compiles else lambda: step_tensors(job))

    yield "plain", lambda: make(False)
    if any(v.ndim == 4 for v in architecture.inputs(1).values()):
        yield "channels last", lambda: make(True)


def step_tensors(job: Job) -> int:
    """The most bytes of tensors that a step of eager's has at once, with weights and the optimizer's state."""
    torch = start(job)
    import architectures
    from torch.profiler import ProfilerActivity, profile

    architecture = architectures.FULL[job.name]
    module, inputs, targets = architectures.make(architecture, seed=1)
    kind = torch.optim.SGD if job.optimizer == "sgd" else torch.optim.Adam
    optimizer = kind(module.parameters(), lr=LEARNING_RATE, fused=True)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with precision(job):
            loss = architecture.torch_loss(module(*inputs.values()), *targets.values())
        loss.backward()
        optimizer.step()

    step()
    optimizer.zero_grad(set_to_none=True)
    lasting = [*module.parameters(), *module.buffers()]
    lasting += [t for state in optimizer.state.values() for t in state.values() if isinstance(t, torch.Tensor)]
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        step()
    held = most = 0
    events = [e for e in profiled.profiler.kineto_results.events() if e.name() == "[memory]"]
    for event in sorted(events, key=lambda e: e.start_ns()):
        held += event.nbytes()
        most = max(most, held)
    return most + sum(t.numel() * t.element_size() for t in lasting)
