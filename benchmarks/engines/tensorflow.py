"""TensorFlow: the whole step as one graph, with and without XLA."""

from __future__ import annotations

import os
from typing import Any

from . import LEARNING_RATE, Forms, Job, Program, functional


def training(job: Job) -> Forms:
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import tensorflow as tf

    tf.config.set_visible_devices([], "GPU")
    tf.config.threading.set_intra_op_parallelism_threads(job.threads)
    tf.config.threading.set_inter_op_parallelism_threads(job.threads)

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

    def make(xla: bool) -> Program:
        weights = {n: tf.Variable(functional.arrange(n, v)) for n, v in job.arrays("weight").items()}
        moving = {n: tf.Variable(v) for n, v in job.arrays("state").items()}
        first, second = ({n: tf.Variable(tf.zeros_like(w)) for n, w in weights.items()} for _ in range(2))
        count = tf.Variable(0.0)
        *inputs, labels = (tf.constant(functional.arrange_input(v)) for v in job.arrays("in").values())

        @tf.function(jit_compile=xla)
        def update(inputs: Any, labels: Any) -> Any:
            with tf.GradientTape() as tape:
                logits, moved = functional.MODELS[job.name](Ops(), weights, moving, *inputs)
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
                loss = tf.reduce_mean(losses)
            gradients = tape.gradient(loss, weights)
            for name, value in moved.items():
                moving[name].assign(value)
            count.assign_add(1.0)
            a, b = LEARNING_RATE / (1 - 0.9**count), 1 / tf.sqrt(1 - 0.999**count)
            for name, weight in weights.items():
                g = tf.convert_to_tensor(gradients[name])
                if job.optimizer == "sgd":
                    weight.assign_sub(LEARNING_RATE * g)
                    continue
                m = first[name].assign(0.9 * first[name] + 0.1 * g)
                v = second[name].assign(0.999 * second[name] + 0.001 * g * g)
                weight.assign_sub(a * m / (tf.sqrt(v) * b + 1e-8))
            return loss

        return Program(lambda: float(update(inputs, labels).numpy()))

    yield "graph", lambda: make(False)
    yield "graph, XLA", lambda: make(True)
