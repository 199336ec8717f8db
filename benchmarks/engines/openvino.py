"""OpenVINO's CPU plugin, in the precision that is asked for: by itself it computes in bf16 where the CPU can."""

from __future__ import annotations

from . import Forms, Job, Program


def inference(job: Job) -> Forms:
    import openvino

    hint = openvino.Type.bf16 if job.precision == "bf16" else openvino.Type.f32

    feeds = job.arrays("in")

    def make() -> Program:
        core = openvino.Core()
        settings = {
            "INFERENCE_PRECISION_HINT": hint,
            "INFERENCE_NUM_THREADS": job.threads,
            "PERFORMANCE_HINT": "LATENCY",
        }
        compiled = core.compile_model(core.read_model(job.model), "CPU", settings)
        request = compiled.create_infer_request()
        return Program(
            lambda: request.infer(feeds, share_inputs=True, share_outputs=True),
            lambda result: [result[output] for output in compiled.outputs],
            lambda: compiled.export_model().getbuffer().nbytes,
        )

    yield "", make
