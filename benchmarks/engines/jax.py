"""JAX: the whole step as one jitted function whose arguments are given away."""

from __future__ import annotations

import os
from typing import Any

from . import LEARNING_RATE, Forms, Job, Program, functional


def training(job: Job) -> Forms:
    os.environ["JAX_PLATFORMS"] = "cpu"
    import jax
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
        logits, moved = functional.MODELS[job.name](ops, weights, state, *inputs)
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], 1)), moved

    def update(weights: Any, slots: Any, state: Any, inputs: Any, labels: Any) -> Any:
        (value, moved), gradients = jax.value_and_grad(loss, has_aux=True)(weights, state, inputs, labels)
        if job.optimizer == "sgd":
            return jax.tree.map(lambda w, g: w - LEARNING_RATE * g, weights, gradients), slots, moved, value
        first, second, count = slots
        count = count + 1
        first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, gradients)
        second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, second, gradients)
        a, b = LEARNING_RATE / (1 - 0.9**count), 1 / jnp.sqrt(1 - 0.999**count)
        weights = jax.tree.map(lambda w, m, v: w - a * m / (jnp.sqrt(v) * b + 1e-8), weights, first, second)
        return weights, (first, second, count), moved, value

    def make(unroll: int) -> Program:
        ops.unroll = unroll
        weights = {n: jnp.asarray(functional.arrange(n, v)) for n, v in job.arrays("weight").items()}
        moved = {n: jnp.asarray(v) for n, v in job.arrays("state").items()}
        zeros = lambda: {n: jnp.zeros_like(v) for n, v in weights.items()}  # noqa: E731
        slots = () if job.optimizer == "sgd" else (zeros(), zeros(), jnp.zeros((), jnp.float32))
        *inputs, labels = (jnp.asarray(functional.arrange_input(v)) for v in job.arrays("in").values())
        compiled = jax.jit(update, donate_argnums=(0, 1, 2))
        held = [weights, slots, moved]

        def step() -> float:
            *held[:], value = compiled(*held, inputs, labels)
            jax.block_until_ready(held)
            return float(value)

        return Program(step)

    yield "jit", lambda: make(1)
    if job.name == "lstm":
        yield "jit, 8 steps at once", lambda: make(8)
