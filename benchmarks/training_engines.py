"""One engine that trains one architecture, in a process of its own: `training_engines.py FOLDER ENGINE ...`.

It makes its step, runs the first, and tells what that took and came to, as a line of JSON; then it times a round
for each line of standard input that has a number of seconds. FOLDER is made by training.py: `model.onnx` and
`data.npz`, with weights, inputs and labels, and PyTorch's first losses.

An engine offers its step in one or more forms ("at their best"). The first step's time is that of the first form;
the quickest is measured.
"""

from __future__ import annotations

import json
import os
import sys
import time

BEGAN = float(os.environ.get("BENCHMARK_BEGAN", time.monotonic()))  # when the process was started
FOLDER, ENGINE, NAME, OPTIMIZER, THREADS, PRESET = sys.argv[1:7]
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(THREADS)])

from collections.abc import Callable, Iterator  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
Step = Callable[[], float]  # one step; its loss, when it has ended
Form = tuple[str, Callable[[], Step]]
# Small, so that thousands of steps on one batch do not end with gradients of 0.
RATE = 1e-5


def read() -> dict[str, dict[str, np.ndarray]]:
    """The arrays of data.npz: weights, state, inputs, labels."""
    parts: dict[str, dict[str, np.ndarray]] = {}
    with np.load(Path(FOLDER) / "data.npz") as arrays:
        for key in arrays:
            part, _, name = key.partition(":")
            parts.setdefault(part, {})[name] = arrays[key]
    return parts


# ---- Nacre ---------------------------------------------------------------------------------------


def nacre_forms() -> Iterator[Form]:
    sys.path.insert(0, str(ROOT / "build" / PRESET / "python"))
    import nacre

    def make() -> Step:
        with np.load(Path(FOLDER) / "data.npz") as arrays:
            feeds = {key[3:]: arrays[key] for key in arrays if key.startswith("in:")}
        feeds["learning_rate"] = np.float32(RATE)
        model = nacre.compile(
            Path(FOLDER) / "model.onnx", train={"optimizer": OPTIMIZER}, threads=int(THREADS), cache_dir=""
        )
        return lambda: float(model.run(feeds, function="step")[0])

    yield "nacre", make


# ---- PyTorch -------------------------------------------------------------------------------------


def torch_forms(compiles: bool) -> Iterator[Form]:
    sys.path.insert(0, str(ROOT / "test" / "e2e" / "training"))
    import architectures
    import torch

    torch.set_num_threads(int(THREADS))
    architecture = architectures.FULL[NAME]

    def make(channels_last: bool) -> Step:
        module, inputs, targets = architectures.make(architecture, seed=1)
        values = list(inputs.values())
        if channels_last:
            module = module.to(memory_format=torch.channels_last)
            values = [v.contiguous(memory_format=torch.channels_last) if v.ndim == 4 else v for v in values]
        (target,) = targets.values()
        kind = torch.optim.SGD if OPTIMIZER == "sgd" else torch.optim.Adam
        optimizer = kind(module.parameters(), lr=RATE, fused=True)

        def forward() -> torch.Tensor:
            return architecture.torch_loss(module(*values), target)

        def step() -> torch.Tensor:
            optimizer.zero_grad(set_to_none=True)
            loss = forward()
            loss.backward()
            optimizer.step()
            return loss

        if compiles:
            forward = torch.compile(forward)
        return lambda: step().item()

    yield "plain", lambda: make(False)
    if any(v.ndim == 4 for v in architecture.inputs(1).values()):
        yield "channels last", lambda: make(True)


def torch_tensors() -> int:
    """The most bytes of tensors that a step of PyTorch's has at once, with weights and the optimizer's state."""
    sys.path.insert(0, str(ROOT / "test" / "e2e" / "training"))
    import architectures
    import torch
    from torch.profiler import ProfilerActivity, profile

    architecture = architectures.FULL[NAME]
    module, inputs, targets = architectures.make(architecture, seed=1)
    optimizer = (torch.optim.SGD if OPTIMIZER == "sgd" else torch.optim.Adam)(module.parameters(), lr=RATE, fused=True)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        architecture.torch_loss(module(*inputs.values()), *targets.values()).backward()
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


# ---- JAX -----------------------------------------------------------------------------------------


def jax_forms() -> Iterator[Form]:
    os.environ["JAX_PLATFORMS"] = "cpu"
    import jax
    import training_functional as functional
    from jax import lax
    from jax import numpy as jnp

    class Ops:
        unroll = 1

        matmul = staticmethod(jnp.matmul)
        relu = staticmethod(jax.nn.relu)
        tanh = staticmethod(jnp.tanh)
        sigmoid = staticmethod(jax.nn.sigmoid)
        softmax = staticmethod(jax.nn.softmax)
        rsqrt = staticmethod(lax.rsqrt)
        reshape = staticmethod(jnp.reshape)
        transpose = staticmethod(jnp.transpose)
        concat = staticmethod(jnp.concatenate)
        where = staticmethod(jnp.where)
        zeros = staticmethod(jnp.zeros)

        def gelu(self, x: Any) -> Any:
            return jax.nn.gelu(x, approximate=False)

        def mean(self, x: Any, axes: tuple[int, ...], keep: bool) -> Any:
            return jnp.mean(x, axes, keepdims=keep)

        def take(self, table: Any, indices: Any) -> Any:
            return table[indices]

        def conv(self, x: Any, kernel: Any, stride: int, pad: int) -> Any:
            pads = [(pad, pad)] * 2
            return lax.conv_general_dilated(
                x, kernel, (stride, stride), pads, dimension_numbers=("NHWC", "HWIO", "NHWC")
            )

        def max_pool(self, x: Any, size: int, stride: int, pad: int) -> Any:
            window, strides = (1, size, size, 1), (1, stride, stride, 1)
            return lax.reduce_window(x, -jnp.inf, lax.max, window, strides, [(0, 0), (pad, pad), (pad, pad), (0, 0)])

        def scan(self, cell: Any, state: Any, xs: Any, reverse: bool) -> Any:
            return lax.scan(lambda s, x: (cell(s, x), None), state, xs, reverse=reverse, unroll=self.unroll)[0]

    ops = Ops()

    def loss(weights: Any, state: Any, inputs: Any, labels: Any) -> Any:
        logits, moved = functional.MODELS[NAME](ops, weights, state, *inputs)
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], 1)), moved

    def update(weights: Any, slots: Any, state: Any, inputs: Any, labels: Any) -> Any:
        (value, moved), gradients = jax.value_and_grad(loss, has_aux=True)(weights, state, inputs, labels)
        if OPTIMIZER == "sgd":
            return jax.tree.map(lambda w, g: w - RATE * g, weights, gradients), slots, moved, value
        first, second, count = slots
        count = count + 1
        first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, gradients)
        second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, second, gradients)
        a, b = RATE / (1 - 0.9**count), 1 / jnp.sqrt(1 - 0.999**count)
        weights = jax.tree.map(lambda w, m, v: w - a * m / (jnp.sqrt(v) * b + 1e-8), weights, first, second)
        return weights, (first, second, count), moved, value

    def make(unroll: int) -> Step:
        ops.unroll = unroll
        parts = read()
        weights = {n: jnp.asarray(functional.arrange(n, v)) for n, v in parts["weight"].items()}
        moved = {n: jnp.asarray(v) for n, v in parts.get("state", {}).items()}
        zeros = lambda: {n: jnp.zeros_like(v) for n, v in weights.items()}  # noqa: E731
        slots = () if OPTIMIZER == "sgd" else (zeros(), zeros(), jnp.zeros((), jnp.float32))
        *inputs, labels = (jnp.asarray(functional.arrange_input(v)) for v in parts["in"].values())
        compiled = jax.jit(update, donate_argnums=(0, 1, 2))
        held = [weights, slots, moved]

        def step() -> float:
            *held[:], value = compiled(*held, inputs, labels)
            jax.block_until_ready(held)
            return float(value)

        return step

    yield "jit", lambda: make(1)
    if NAME == "lstm":
        yield "jit, 8 steps at once", lambda: make(8)


# ---- TensorFlow ------------------------------------------------------------------------------------


def tensorflow_forms() -> Iterator[Form]:
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import tensorflow as tf
    import training_functional as functional

    tf.config.set_visible_devices([], "GPU")
    tf.config.threading.set_intra_op_parallelism_threads(int(THREADS))
    tf.config.threading.set_inter_op_parallelism_threads(int(THREADS))

    class Ops:
        matmul = staticmethod(tf.matmul)
        relu = staticmethod(tf.nn.relu)
        tanh = staticmethod(tf.tanh)
        sigmoid = staticmethod(tf.sigmoid)
        softmax = staticmethod(tf.nn.softmax)
        rsqrt = staticmethod(tf.math.rsqrt)
        reshape = staticmethod(tf.reshape)
        transpose = staticmethod(tf.transpose)
        concat = staticmethod(tf.concat)
        where = staticmethod(tf.where)
        zeros = staticmethod(tf.zeros)
        take = staticmethod(tf.gather)

        def gelu(self, x: Any) -> Any:
            return tf.nn.gelu(x, approximate=False)

        def mean(self, x: Any, axes: tuple[int, ...], keep: bool) -> Any:
            return tf.reduce_mean(x, axes, keepdims=keep)

        def conv(self, x: Any, kernel: Any, stride: int, pad: int) -> Any:
            return tf.nn.conv2d(x, kernel, stride, [[0, 0], [pad, pad], [pad, pad], [0, 0]])

        def max_pool(self, x: Any, size: int, stride: int, pad: int) -> Any:
            if pad:
                x = tf.pad(x, [[0, 0], [pad, pad], [pad, pad], [0, 0]])  # of what a ReLU gives
            return tf.nn.max_pool2d(x, size, stride, "VALID")

        def scan(self, cell: Any, state: Any, xs: Any, reverse: bool) -> Any:
            count = xs.shape[0]

            def body(index: Any, state: Any) -> Any:
                return index + 1, cell(state, xs[count - 1 - index if reverse else index])

            zero = tf.constant(0)
            return tf.while_loop(lambda i, _: i < count, body, (zero, state), maximum_iterations=count)[1]

    def make(xla: bool) -> Step:
        parts = read()
        weights = {n: tf.Variable(functional.arrange(n, v)) for n, v in parts["weight"].items()}
        moving = {n: tf.Variable(v) for n, v in parts.get("state", {}).items()}
        first, second = ({n: tf.Variable(tf.zeros_like(w)) for n, w in weights.items()} for _ in range(2))
        count = tf.Variable(0.0)
        *inputs, labels = (tf.constant(functional.arrange_input(v)) for v in parts["in"].values())

        @tf.function(jit_compile=xla)
        def update(inputs: Any, labels: Any) -> Any:
            with tf.GradientTape() as tape:
                logits, moved = functional.MODELS[NAME](Ops(), weights, moving, *inputs)
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
                loss = tf.reduce_mean(losses)
            gradients = tape.gradient(loss, weights)
            for name, value in moved.items():
                moving[name].assign(value)
            count.assign_add(1.0)
            a, b = RATE / (1 - 0.9**count), 1 / tf.sqrt(1 - 0.999**count)
            for name, weight in weights.items():
                g = tf.convert_to_tensor(gradients[name])
                if OPTIMIZER == "sgd":
                    weight.assign_sub(RATE * g)
                    continue
                m = first[name].assign(0.9 * first[name] + 0.1 * g)
                v = second[name].assign(0.999 * second[name] + 0.001 * g * g)
                weight.assign_sub(a * m / (tf.sqrt(v) * b + 1e-8))
            return loss

        return lambda: float(update(inputs, labels).numpy())

    yield "graph", lambda: make(False)
    yield "graph, XLA", lambda: make(True)


# ---- The process -------------------------------------------------------------------------------------

ENGINES: dict[str, Callable[[], Iterator[Form]]] = {
    "nacre": nacre_forms,
    "eager": lambda: torch_forms(compiles=False),
    "compile": lambda: torch_forms(compiles=True),
    "jax": jax_forms,
    "tensorflow": tensorflow_forms,
}


def tell(**values: Any) -> None:
    print(json.dumps(values), flush=True)


def status(key: str) -> int:
    """A figure of the kernel's about this process, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return 1024 * int(line.split()[1])
    raise KeyError(key)


def time_round(step: Step, seconds: float) -> float:
    """The least time of a step in at least `seconds` and five steps, after two to warm up."""
    clock = time.perf_counter
    step(), step()
    best, count, end = float("inf"), 0, clock() + seconds
    while count < 5 or clock() < end:
        start = clock()
        step()
        best = min(best, clock() - start)
        count += 1
    return best


def main() -> None:
    if ENGINE == "tensors":
        return tell(tensors=torch_tensors())
    first: float | None = None
    chosen: tuple[float, str, Step] | None = None
    losses: dict[str, list[float]] = {}
    before = growth = 0
    for name, make in ENGINES[ENGINE]():
        if first is None:
            before = status("VmRSS")  # with the library, before there are weights
        step = make()
        losses[name] = [step()]
        if first is None:
            first = time.monotonic() - BEGAN
            Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew: compiling is over
            losses[name].append(step())
            growth = status("VmHWM") - before
        losses[name] += [step() for _ in range(6 - len(losses[name]))]
        seconds = time_round(step, 0.0)
        if chosen is None or seconds < chosen[0]:
            chosen = seconds, name, step
    assert chosen is not None
    tell(first=first, losses=losses, form=chosen[1], growth=growth)
    for line in sys.stdin:
        tell(seconds=time_round(chosen[2], float(line)))


main()
