"""ONNX Runtime's CPU provider."""

from __future__ import annotations

from pathlib import Path

from . import Forms, Job, Program, files_size


def inference(job: Job) -> Forms:
    import onnxruntime

    feeds = job.arrays("in")

    def make() -> Program:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = job.threads
        options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(job.model, options, providers=["CPUExecutionProvider"])
        weights = Path(job.model).parent.glob("*.data")
        return Program(lambda: session.run(None, feeds), artefact=lambda: files_size(job.model, *weights))

    yield "", make
