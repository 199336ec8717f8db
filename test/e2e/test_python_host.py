"""The Python module in its host: memory of others, cancellation, profiles, exceptions, stubs."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, parser

import small_models
from support import BUILD, ROOT, module

X = np.arange(8, dtype=np.float32).reshape(2, 4)
Y = np.full((2, 4), 0.5, np.float32)
BF16 = small_models.HEAD + "sum (bfloat16[N] x, bfloat16[N] y) => (bfloat16[N] z) { z = Add (x, y) }"
# Counts to 10^15, which no machine does soon.
ENDLESS = (
    small_models.HEAD
    + """endless (float[4] x) => (float[4] y) {
      n = Constant <value = int64 {1000000000000000}> ()
      t = Constant <value = bool {1}> ()
      y = Loop (n, t, x) <body = step (int64 i, bool go, float[4] a) => (bool go2, float[4] b) {
        go2 = Identity (go) b = Sin (a) }>
    }"""
)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_models.save(small_models.SUM, tmp_path_factory.mktemp("host") / "sum.onnx")


def slow_to_compile() -> bytes:
    """A chain of products, each a kernel of its own: compiling takes some seconds."""
    rng = np.random.default_rng(0)
    sizes = [33 + 3 * i for i in range(120)]
    nodes, weights, value = [], [], "x"
    for i, (rows, columns) in enumerate(zip(sizes, sizes[1:])):
        weights.append(
            onnx.numpy_helper.from_array(rng.normal(size=(rows, columns)).astype(np.float32), f"w{i}")
        )
        nodes.append(helper.make_node("MatMul", [value, f"w{i}"], [f"h{i}"]))
        nodes.append(helper.make_node("Softmax", [f"h{i}"], [f"s{i}"]))
        value = f"s{i}"
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "slow", [info("x", 1, ["N", sizes[0]])], [info(value, 1, ["N", sizes[-1]])], weights
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10).SerializeToString()


def test_dlpack_inputs_are_read_in_place(path: Path) -> None:
    program = module().compile(path)
    x, y = torch.tensor(X), torch.tensor(Y)
    np.testing.assert_array_equal(program(x, y), X + Y)
    np.testing.assert_array_equal(program(x, Y), X + Y)
    np.testing.assert_array_equal(program(x.T.contiguous().T, y), X + Y)  # another order: copied
    np.testing.assert_array_equal(program(torch.tensor(X.repeat(2, 1))[:, ::2], y), X + Y)
    with pytest.raises(module().InputError, match="element type is f64, expected f32"):
        program(x.double(), y)
    np.testing.assert_array_equal(program(torch.tensor(X, requires_grad=True), y), X + Y)
    with pytest.raises(TypeError):
        program(torch.empty((2, 4), device="meta"), y)


def test_dlpack_of_types_that_numpy_lacks(tmp_path: Path) -> None:
    program = module().compile(small_models.save(BF16, tmp_path / "bf16.onnx"))
    x, y = torch.arange(5, dtype=torch.bfloat16), torch.full((5,), 0.5, dtype=torch.bfloat16)
    z = torch.zeros(5, dtype=torch.bfloat16)
    (result,) = program.run([x, y], out=[z])
    assert result is z
    assert torch.equal(z, x + y)


def test_outputs_are_dlpack_too(path: Path) -> None:
    result = module().compile(path)(X, Y)
    tensor = torch.from_dlpack(result)
    assert tensor.data_ptr() == result.ctypes.data
    del result
    np.testing.assert_array_equal(tensor.numpy(), X + Y)


def test_arrays_of_jax(path: Path) -> None:
    """In, read in place, and out, without a copy."""
    import jax.numpy as jnp

    program = module().compile(path)
    result = program(jnp.asarray(X), jnp.asarray(Y))
    np.testing.assert_array_equal(result, X + Y)
    array = jnp.from_dlpack(result)
    assert array.unsafe_buffer_pointer() == result.ctypes.data
    np.testing.assert_array_equal(np.asarray(array), X + Y)


def test_outputs_into_given_memory(path: Path) -> None:
    program = module().compile(path)
    for z in (np.zeros_like(X), torch.zeros(2, 4)):
        for out in ([z], (z,), {"z": z}):
            z[:] = 0
            (result,) = program.run([X, Y], out=out)
            assert result is z
            np.testing.assert_array_equal(np.asarray(z), X + Y)
    (made,) = program.run([X, Y], out=[None])
    np.testing.assert_array_equal(made, X + Y)
    (empty,) = program.run([X[:0], Y[:0]], out=[np.empty((0, 4), np.float32)])
    assert empty.shape == (0, 4)


@pytest.mark.parametrize(
    ("out", "kind", "message"),
    [
        ([np.zeros((3, 4), np.float32)], "InputError", r"output 'z': its shape is f32\[2, 4\]"),
        ([np.zeros((1, 4), np.float32)], "InputError", "output 'z': its memory is 16 bytes"),
        ([np.zeros((2, 4))], "InputError", "output 'z': the element type is f64, expected f32"),
        ([np.zeros((4, 2), np.float32).T], ValueError, "row-major"),
        ([np.zeros((2, 8), np.float32)[:, ::2]], ValueError, "row-major"),
        ([torch.zeros(4, 2).T], ValueError, "row-major"),
        ([np.frombuffer(bytes(32), np.float32)], ValueError, "writable"),
        ([X], "InputError", "overlaps that of input 'x'"),
        ([], "InputError", "the model has 1 outputs, found 0"),
        ({"a": X}, "InputError", "no output 'a'"),
        ([3], TypeError, "found int"),
        (3, TypeError, "out must be a list, tuple or dict"),
    ],
)
def test_memory_that_does_not_fit(path: Path, out: object, kind: str | type, message: str) -> None:
    program = module().compile(path)
    with pytest.raises(getattr(module(), kind) if isinstance(kind, str) else kind, match=message):
        program.run([X, Y], out=out)
    np.testing.assert_array_equal(program(X, Y), X + Y)


def test_exceptions_are_of_fitting_classes(path: Path, tmp_path: Path) -> None:
    nacre = module()
    program = nacre.compile(path)
    with pytest.raises(ValueError, match="the model has 2 inputs, found 1"):
        program(X)
    with pytest.raises(FileNotFoundError):
        nacre.load(tmp_path / "absent.so")
    (tmp_path / "text.so").write_text("no code")
    with pytest.raises(nacre.LoadError):
        nacre.load(tmp_path / "text.so")
    with pytest.raises(OSError, match="absent"):
        nacre.compile_to_file(path, tmp_path / "absent" / "m.so")
    with pytest.raises(ValueError, match="thread_count is -1"):
        nacre.compile(path, threads=-1)
    with pytest.raises(ValueError, match=r"cpus\[0\] is 5000"):
        nacre.compile(path, cpus=[5000])
    for name in nacre.__all__:
        assert getattr(nacre, name).__doc__, f"{name} has no docstring"


def test_threads_stay_on_their_cpus(path: Path) -> None:
    cpu = sorted(os.sched_getaffinity(0))[0]
    program = module().compile(path, threads=3, cpus=[cpu])
    np.testing.assert_array_equal(program(X, Y), X + Y)

    def count() -> int:
        tasks = [task for task in Path("/proc/self/task").iterdir() if "nacre-worker" in (task / "comm").read_text()]
        return sum(os.sched_getaffinity(int(task.name)) == {cpu} for task in tasks)

    deadline = time.monotonic() + 10  # the workers may not have begun yet
    while count() < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert count() >= 2


def test_sessions_share_the_weights(tmp_path: Path) -> None:
    weight = np.ones((1024, 4096), np.float32)  # 16 MiB
    model = parser.parse_model(small_models.HEAD + "m (float[N, 1024] x) => (float[N, 4096] y) { y = MatMul (x, w) }")
    model.graph.initializer.append(onnx.numpy_helper.from_array(weight, "w"))

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    first = module().compile(model, threads=1)
    x = np.ones((1, 1024), np.float32)
    np.testing.assert_array_equal(first(x), x @ weight)
    before = resident()
    others = [first.new_session(threads=1) for _ in range(8)]
    del first
    for other in others:
        np.testing.assert_array_equal(other(x), x @ weight)
    assert resident() - before < 16 << 20


def test_profile(path: Path, tmp_path: Path) -> None:
    program = module().compile(path, threads=1)
    program(X, Y)
    with program.profile() as profile:
        for _ in range(3):
            program(X, Y)
    program(X, Y)
    (kernel,) = profile.kernels
    assert (kernel.name, kernel.nodes, kernel.launches) == ("add_0", "node0 (Add)", 3)
    assert 0 < kernel.min_ns <= kernel.max_ns <= kernel.total_ns
    assert "add_0: node0 (Add)" in str(profile)
    profile.write_trace(tmp_path / "trace.json")
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    assert sum(event.get("name") == "add_0" for event in events) == 3
    with pytest.raises(module().WriteError):
        profile.write_trace(tmp_path / "absent" / "trace.json")


def test_progress() -> None:
    phases: list[tuple[str, int, int]] = []
    model = small_models.HEAD + "m (float[N] x) => (float[N] y) { y = Relu (x) }"
    module().compile(parser.parse_model(model), progress=lambda *phase: phases.append(phase))
    assert [number for _, number, _ in phases] == list(range(1, phases[0][2] + 1))
    assert (phases[0][0], phases[-1][0]) == ("import", "artifact")

    def refuse(name: str, number: int, count: int) -> None:
        raise LookupError(name)

    with pytest.raises(LookupError, match="import"):
        module().compile(parser.parse_model(model), progress=refuse)


def test_cancel_a_run(tmp_path: Path) -> None:
    program = module().compile(small_models.save(ENDLESS, tmp_path / "endless.onnx"), threads=2)
    x = np.ones(4, np.float32)
    for count in (1, 3):
        ended: list[type] = []

        def run() -> None:
            try:
                program(x)
            except module().Cancelled as error:
                ended.append(type(error))

        threads = [threading.Thread(target=run) for _ in range(count)]
        for thread in threads:
            thread.start()
        time.sleep(0.2)
        start = time.monotonic()
        program.cancel()
        for thread in threads:
            thread.join()
        assert time.monotonic() - start < 1
        assert len(ended) == count


@pytest.mark.parametrize("threads", [1, 2])
def test_cancel_in_the_middle_of_a_kernel(threads: int) -> None:
    model = small_models.HEAD + "m (float[N, 4096] x, float[4096, 4096] w) => (float[N, 4096] y) { y = MatMul (x, w) }"
    program = module().compile(parser.parse_model(model), threads=threads)
    x, w = np.ones((8000, 4096), np.float32), np.ones((4096, 4096), np.float32)  # seconds of work
    cancelled: list[float] = []

    def cancel() -> None:
        cancelled.append(time.process_time())
        program.cancel()

    threading.Timer(0.1, cancel).start()
    with pytest.raises(module().Cancelled):
        program(x, w)
    assert time.process_time() - cancelled[0] < 0.5


_SIGNALS = """
import sys
sys.path.insert(0, sys.argv[1])
import numpy as np
import nacre
def handled():
    with open("/proc/self/status") as status:
        return [line for line in status if line.startswith(("SigIgn", "SigCgt", "SigBlk"))]
before = handled()
model, folder = sys.argv[2:]
nacre.compile(model, cache_dir=folder + "/cache")
nacre.compile_to_file(model, folder + "/m.so", cache_dir="")
trainer = nacre.Trainer(model)
trainer.fit(np.ones((2, 2), np.float32), np.zeros(2, np.int64))
trainer.save(folder + "/trained.onnx")
trainer.model.save_parameters(folder + "/weights.safetensors")
assert handled() == before, (before, handled())
"""


def test_signals_belong_to_the_host(tmp_path: Path) -> None:
    """LLVM's helpers for files would take over all of them."""
    model = small_models.save_perceptron(tmp_path / "mlp.onnx", 2, 2)
    command = [sys.executable, "-c", _SIGNALS, str(BUILD / "python"), str(model), str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stderr


_INTERRUPTED = """
import os, signal, sys, threading, time
sys.path.insert(0, sys.argv[1])
import numpy as np
import nacre
what, model = sys.argv[2:4]
program = nacre.compile(model) if what == "run" else None
def interrupt():
    global sent
    sent = time.process_time()  # which other work on the machine does not lengthen
    os.kill(os.getpid(), signal.SIGINT)
threading.Timer(float(sys.argv[4]), interrupt).start()
try:
    program(np.ones(4, np.float32)) if program else nacre.compile(model, cache_dir="")
    print("finished", what)
except KeyboardInterrupt:
    print("interrupted", time.process_time() - sent)
"""


def interrupted(what: str, model: Path, after: float) -> str:
    command = [sys.executable, "-c", _INTERRUPTED, str(BUILD / "python"), what, str(model), str(after)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_ctrl_c_ends_a_run(tmp_path: Path) -> None:
    said, seconds = interrupted("run", small_models.save(ENDLESS, tmp_path / "endless.onnx"), 0.5).split()
    assert said == "interrupted"
    assert float(seconds) < 1


@pytest.mark.parametrize("after", [0.05, 0.4, 0.8, 1.2])
def test_ctrl_c_ends_a_compilation(tmp_path: Path, after: float) -> None:
    (tmp_path / "slow.onnx").write_bytes(slow_to_compile())
    said, seconds = interrupted("compile", tmp_path / "slow.onnx", after).split()
    assert said == "interrupted"
    assert float(seconds) < 1


@pytest.mark.parametrize("stub", ["_core", "nn"])
def test_stubs_say_what_there_is(stub: str) -> None:
    """Every public name of the extension module is in its stub, and the other way round."""
    tree = ast.parse((ROOT / f"frontends/python/nacre/{stub}.pyi").read_text())
    described = module()._core._nn if stub == "nn" else module()._core

    def names(body: list[ast.stmt]) -> set[str]:
        fields = {node.target.id for node in body if isinstance(node, ast.AnnAssign)}
        return fields - {"__version__"} | {
            node.name for node in body if isinstance(node, (ast.FunctionDef, ast.ClassDef))
        }

    public = {name for name in dir(described) if not name.startswith("__")} - {"_nn"}
    assert names(tree.body) == public
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not issubclass(getattr(described, node.name), Exception):
            members = {name for name in vars(getattr(described, node.name)) if not name.startswith("__")}
            stated = {name for name in names(node.body) if not name.startswith("__")}
            assert stated == members, node.name
