"""What a step can be told beside loss and optimiser: clipping, groups of parameters,
accumulation, moving averages, sums of losses; against PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from onnx import numpy_helper, parser

import small_models
from support import module

STEPS = 10
# Two outputs, the second of a branch; parameters of several ranks with names as exporters have.
TEXT = """net (TYPE[BATCH, 6] x) => (TYPE[BATCH, 4] y, TYPE[BATCH, 3] "/aux/y:0") {
  m = MatMul (x, "enc.weight") h = Add (m, "enc.bias") a = Tanh (h)
  n = MatMul (a, "head.weight") y = Add (n, "head.bias") "/aux/y:0" = MatMul (a, "aux.weight") }"""


def weights(dtype: type) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    shapes = {"enc.weight": (6, 8), "enc.bias": (8,), "head.weight": (8, 4), "head.bias": (4,), "aux.weight": (8, 3)}
    return {n: random.normal(0, 0.7, s).astype(dtype) for n, s in shapes.items()}


def build(dtype: type, batch: str = "N") -> bytes:
    name = {np.float32: "float", np.float64: "double"}[dtype]
    text = TEXT.replace("TYPE", name).replace("BATCH", batch)
    quoted = {f'"{n}"': n.replace(".", "_").replace("/", "_").replace(":", "_") for n in [*weights(dtype), "/aux/y:0"]}
    for old, new in quoted.items():
        text = text.replace(old, new)
    made = parser.parse_model(small_models.HEAD + text)
    back = {v: k[1:-1] for k, v in quoted.items()}
    for number, node in enumerate(made.graph.node):
        node.name = f"node{number}"
        node.input[:] = [back.get(n, n) for n in node.input]
        node.output[:] = [back.get(n, n) for n in node.output]
    for output in made.graph.output:
        output.name = back.get(output.name, output.name)
    for key, value in weights(dtype).items():
        made.graph.initializer.append(numpy_helper.from_array(value, key))
    onnx.checker.check_model(made)
    return made.SerializeToString()


Tensors = dict[str, torch.Tensor]


def forward(t: Tensors, x: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    a = torch.tanh(torch.tensor(x) @ t["enc.weight"] + t["enc.bias"])
    return a @ t["head.weight"] + t["head.bias"], a @ t["aux.weight"]


class Both:
    """The same model in Nacre and in PyTorch, in f64, which shows the formulas."""

    def __init__(self, train: dict[str, object], dtype: type = np.float64) -> None:
        self.dtype = dtype
        self.program = module().compile(build(dtype), train={"loss": "mse + 0.5*mse@/aux/y:0"} | train)
        self.tensors = {n: torch.tensor(a, requires_grad=True) for n, a in weights(dtype).items()}
        self.random = np.random.default_rng(1)

    def draw(self) -> dict[str, np.ndarray]:
        count = int(self.random.integers(2, 7))
        sizes = {"x": 6, "targets": 4, "/aux/y:0.targets": 3}
        return {n: self.random.normal(size=(count, s)).astype(self.dtype) for n, s in sizes.items()}

    def loss(self, data: dict[str, np.ndarray]) -> torch.Tensor:
        y, aux = forward(self.tensors, data["x"])
        return F.mse_loss(y, torch.tensor(data["targets"])) + 0.5 * F.mse_loss(
            aux, torch.tensor(data["/aux/y:0.targets"])
        )

    def run(self, data: dict[str, np.ndarray], rate: float) -> float:
        return float(self.program.run(data | {"learning_rate": np.float32(rate)}, function="step")[0])

    def compare(self, suffix: str = "", values: Tensors | None = None) -> None:
        for name, tensor in (values or self.tensors).items():
            expected = tensor.detach().numpy()
            np.testing.assert_allclose(
                self.program.read_parameter(name + suffix), expected, rtol=1e-10, atol=1e-10, err_msg=name
            )


RATE = float(np.float32(0.05))


def train_both(
    both: Both, optimizer: torch.optim.Optimizer, change: Callable[[], object] = lambda: None, every: int = 1
) -> None:
    for step in range(STEPS):
        data = both.draw()
        if step % every == 0:
            optimizer.zero_grad()
        wanted = both.loss(data)
        (wanted / every).backward()
        if (step + 1) % every == 0:
            change()
            optimizer.step()
        np.testing.assert_allclose(both.run(data, RATE), wanted.item(), rtol=1e-6)
        both.compare()


def test_a_sum_of_losses() -> None:
    both = Both({"optimizer": "sgd"})
    train_both(both, torch.optim.SGD(both.tensors.values(), lr=RATE))
    step = both.program.run(both.draw() | {"learning_rate": np.float32(0)}, function="step")
    assert [a.ndim for a in step] == [0, 2, 2]


@pytest.mark.parametrize("limit", [0.3, 1e6])
def test_clipping_by_norm(limit: float) -> None:
    both = Both({"optimizer": "sgd", "clip_norm": limit})
    clip = lambda: torch.nn.utils.clip_grad_norm_(both.tensors.values(), limit)  # noqa: E731
    train_both(both, torch.optim.SGD(both.tensors.values(), lr=RATE), clip)


def test_clipping_by_value() -> None:
    both = Both({"optimizer": "adam", "clip_value": 0.05})
    clip = lambda: torch.nn.utils.clip_grad_value_(both.tensors.values(), 0.05)  # noqa: E731
    train_both(both, torch.optim.Adam(both.tensors.values(), lr=RATE), clip)


def test_groups() -> None:
    groups = "enc.*:frozen + *.bias:weight_decay=0,lr_factor=10 + aux*:beta1=0.5"
    both = Both({"optimizer": "adamw:weight_decay=0.2", "groups": groups})
    t = both.tensors
    optimizer = torch.optim.AdamW(
        [
            {"params": [t["head.weight"]]},
            {"params": [t["head.bias"]], "weight_decay": 0, "lr": RATE * 10},
            {"params": [t["aux.weight"]], "betas": (0.5, 0.999)},
        ],
        lr=RATE,
        weight_decay=0.2,
    )
    train_both(both, optimizer)
    np.testing.assert_array_equal(both.program.read_parameter("enc.weight"), weights(np.float64)["enc.weight"])
    with pytest.raises(module().RunError):  # it is constant
        both.program.write_parameter("enc.weight", weights(np.float64)["enc.weight"])
    assert not any(n.startswith("enc.") and "exp_avg" in n for n in both.program.parameters)


def test_groups_of_nadam_have_momenta_of_their_own() -> None:
    both = Both({"optimizer": "nadam", "groups": "head*:momentum_decay=0.2"})
    t = both.tensors
    torch.set_default_dtype(torch.float64)
    try:
        optimizer = torch.optim.NAdam(
            [
                {"params": [t["enc.weight"], t["enc.bias"], t["aux.weight"]]},
                {"params": [t["head.weight"], t["head.bias"]], "momentum_decay": 0.2},
            ],
            lr=RATE,
        )
        train_both(both, optimizer)
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("optimizer", ["sgd:momentum=0.9", "adam"])
def test_accumulation(optimizer: str) -> None:
    both = Both({"optimizer": optimizer, "accumulate": 3, "clip_norm": 0.5})
    parameters = list(both.tensors.values())
    own = torch.optim.SGD(parameters, lr=RATE, momentum=0.9) if "sgd" in optimizer else torch.optim.Adam(parameters, lr=RATE)
    train_both(both, own, lambda: torch.nn.utils.clip_grad_norm_(parameters, 0.5), every=3)


@pytest.mark.parametrize("every", [1, 2])
def test_moving_averages(every: int) -> None:
    both = Both({"optimizer": "adam", "average": 0.9, "accumulate": every})
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    class Holder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.values = torch.nn.ParameterList(both.tensors.values())

    holder = Holder()
    for name, parameter in zip(both.tensors, holder.values):
        both.tensors[name] = parameter
    averaged = AveragedModel(holder, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    optimizer = torch.optim.Adam(holder.parameters(), lr=RATE)
    for step in range(STEPS):
        data = both.draw()
        if step % every == 0:
            optimizer.zero_grad()
        (both.loss(data) / every).backward()
        if (step + 1) % every == 0:
            optimizer.step()
            averaged.update_parameters(holder)
        both.run(data, RATE)
        both.compare()
        if step + 1 >= every:
            both.compare(".average", dict(zip(both.tensors, averaged.module.values)))


def test_narrow_floats_keep_their_state_wide() -> None:
    """bf16 weights: the state is f32, and a step is that of f32 rounded."""
    text = small_models.HEAD + "net (float[N, 3] x) => (float l) { f = Cast <to = 1> (w) p = Mul (x, f) q = Mul (p, p) l = ReduceMean <keepdims = 0> (q) }"
    made = parser.parse_model(text)
    start = torch.tensor([0.5, -1.25, 2.0], dtype=torch.bfloat16)
    made.graph.initializer.append(
        onnx.helper.make_tensor("w", onnx.TensorProto.BFLOAT16, [3], start.view(torch.int16).numpy().tobytes(), raw=True)
    )
    program = module().compile(made, train={"loss": "output:l", "optimizer": "adam"})
    x = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    program.run([x, np.float32(0.5)], function="step")
    wide = start.float().requires_grad_()
    optimizer = torch.optim.Adam([wide], lr=0.5)
    ((torch.tensor(x) * wide) ** 2).mean().backward()
    optimizer.step()
    np.testing.assert_array_equal(
        program.read_parameter("w").astype(np.float32), wide.detach().to(torch.bfloat16).float().numpy()
    )
    assert program.read_parameter("w.exp_avg").dtype == np.float32


def test_targets_by_name() -> None:
    # An input of the model can be what an output is compared with, and two losses can share one.
    text = small_models.HEAD + "net (float[N, 3] x) => (float[N, 3] y) { y = Mul (x, w) }"
    made = parser.parse_model(text)
    made.graph.initializer.append(numpy_helper.from_array(np.array([1, 2, 3], np.float32), "w"))
    program = module().compile(made, train={"loss": "mse:target=x + 0.1*mae:target=x + huber:target=goal + huber:target=goal"})
    x, goal = (np.random.default_rng(i).normal(size=(4, 3)).astype(np.float32) for i in (0, 1))
    loss, y = program.run({"x": x, "goal": goal, "learning_rate": np.float32(0)}, function="step")
    t = [torch.tensor(a) for a in (x, goal, y)]
    wanted = F.mse_loss(t[2], t[0]) + 0.1 * F.l1_loss(t[2], t[0]) + 2 * F.huber_loss(t[2], t[1])
    np.testing.assert_allclose(loss, wanted.item(), rtol=1e-6)


def test_a_target_of_another_size_is_refused() -> None:
    # The output's dimension has no name, so that only a check at run time can know.
    text = small_models.HEAD + "net (float[N, 3] x) => (float[M, 3] y) { m = Mul (x, w) y = Concat <axis = 0> (m, m) }"
    made = parser.parse_model(text)
    made.graph.initializer.append(numpy_helper.from_array(np.ones(3, np.float32), "w"))
    program = module().compile(made, train={"loss": "mse"})
    x = np.ones((4, 3), np.float32)
    for rows in (1, 4, 7):
        with pytest.raises(module().RunError, match="the target does not fit the output in dimension 0"):
            program.run([x, np.ones((rows, 3), np.float32), np.float32(1)], function="step")
    np.testing.assert_array_equal(program.read_parameter("w"), np.ones(3))
    program.run([x, np.ones((8, 3), np.float32), np.float32(1)], function="step")


@pytest.mark.parametrize(
    ("options", "pattern"),
    [
        ({"loss": "mse@z"}, "the loss mse applies to 'z', but no output is called so: the outputs are y, /aux/y:0"),
        ({"loss": "triplet-margin"}, "the loss triplet-margin takes 3 outputs, the model has 2"),
        ({"loss": "cosine-embedding"}, r"expects two outputs \[N, D\] of one type"),
        ({"loss": "softmax-cross-entropy:weight=1/2"}, "has 2 weights, but the output has 4 classes"),
        ({"loss": "mse + "}, "a term between ' \\+ ' is empty"),
        ({"loss": "x*mse"}, "'x' is no number to multiply with"),
        ({"loss": "mse:reduction=none"}, "expected reduction=mean or sum: a step needs one number"),
        ({"loss": "mse + softmax-cross-entropy:target=targets"}, "expects a target 'targets' that fits"),
        ({"groups": "encoder.*:frozen"}, "no parameter is called 'encoder.*'.*: there are .*enc.weight"),
        ({"groups": "enc.*:lr=2"}, "lr is an input of the step, expected lr_factor"),
        ({"groups": "enc.*:speed=2"}, "has no setting 'speed': it takes lr_factor, frozen, momentum"),
        ({"groups": "*:frozen"}, "there is nothing to train"),
        ({"optimizer": "sgd:nesterov"}, "nesterov needs a momentum"),
    ],
)
def test_what_there_is_not(options: dict[str, str], pattern: str) -> None:
    with pytest.raises(module().CompileError, match=pattern):
        module().compile(build(np.float32), train={"loss": "mse"} | options)


def test_options_that_are_no_options() -> None:
    for options, pattern in (
        ({"clip": 1}, "training has no option 'clip': loss, optimizer, groups, clip_norm"),
        ({"clip_norm": -1}, "clip_norm '-1': expected a number from 0 up"),
        ({"accumulate": 1.5}, "accumulate '1.5': expected a number of steps, from 1"),
        ({"average": 1}, "average '1': expected a decay from 0 to below 1"),
    ):
        with pytest.raises(ValueError, match=pattern):
            module().compile(build(np.float32), train=options)


def test_zeros_take_no_room_in_an_artefact(tmp_path: Path) -> None:
    text = small_models.HEAD + "net (float[N, 500] x) => (float[N, 700] y) { y = MatMul (x, w) }"
    made = parser.parse_model(text)
    weight = np.random.default_rng(0).normal(size=(500, 700)).astype(np.float32)
    made.graph.initializer.append(numpy_helper.from_array(weight, "w"))
    onnx.save(made, tmp_path / "net.onnx")
    sizes = {}
    for optimizer in ("sgd", "adam:amsgrad", "adagrad:initial_accumulator_value=0.5"):
        path = tmp_path / f"{len(sizes)}.so"
        module().compile_to_file(tmp_path / "net.onnx", path, train={"loss": "mse", "optimizer": optimizer})
        sizes[optimizer] = path.stat().st_size
    assert max(sizes.values()) - min(sizes.values()) < 100_000, sizes


def test_narrow_outputs_are_compared_in_f32() -> None:
    text = small_models.HEAD + "net (float16[N, 3] x) => (float16[N, 3] y) { y = Mul (x, w) }"
    made = parser.parse_model(text)
    weight = np.array([0.5, -1.25, 2], np.float16)
    made.graph.initializer.append(numpy_helper.from_array(weight, "w"))
    program = module().compile(made, train={"loss": "huber:delta=0.5"})
    x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float16)
    goal = np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32)
    loss, y = program.run([x, goal, np.float32(1)], function="step")
    assert y.dtype == np.float16
    wanted = F.huber_loss(torch.tensor(y).float(), torch.tensor(goal), delta=0.5)
    np.testing.assert_allclose(loss, wanted.item(), rtol=1e-6)
    tensor = torch.tensor(weight).float().requires_grad_()
    F.huber_loss(torch.tensor(x).float() * tensor, torch.tensor(goal), delta=0.5).backward()
    change = weight.astype(np.float32) - program.read_parameter("w").astype(np.float32)
    np.testing.assert_allclose(change, tensor.grad.numpy(), atol=3e-3)


def test_bits_do_not_depend_on_threads_or_form(tmp_path: Path) -> None:
    train = {"loss": "mse + 0.5*mae@/aux/y:0", "optimizer": "lamb:weight_decay=0.1", "clip_norm": 1.0, "average": 0.9}
    path = tmp_path / "net.onnx"
    path.write_bytes(build(np.float32))
    module().compile_to_file(path, tmp_path / "net.so", train=train)
    programs = [module().compile(path, train=train, threads=n) for n in (1, 2)]
    programs += [module().load(tmp_path / "net.so", threads=n) for n in (1, 2)]
    random = np.random.default_rng(1)
    for _ in range(4):
        inputs = {n: random.normal(size=(90, s)).astype(np.float32) for n, s in (("x", 6), ("targets", 4), ("/aux/y:0.targets", 3))}
        for program in programs:
            program.run(inputs | {"learning_rate": np.float32(0.1)}, function="step")
    names = [n for n in programs[0].parameters if n != "enc.weight.packed"]
    assert any(n.endswith(".average") for n in names) and any(n.endswith(".exp_avg") for n in names)
    for name in names:
        first, *others = [p.read_parameter(name) for p in programs]
        for other in others:
            np.testing.assert_array_equal(first, other, err_msg=name)


def test_group_patterns() -> None:
    """As a shell has them; one that is malformed is refused."""
    nn = module().nn
    graph = nn.Graph()
    x = graph.input("x", ["n", 3])
    y = nn.Dense(2, name="head")(nn.Dense(4, name="enc")(x))
    data = graph.serialize([x], [y])
    program = module().compile(data, train={"groups": "{enc,other}.[bk]*:frozen"})
    before = {name: program.read_parameter(name) for name in ("enc.kernel", "enc.bias", "head.kernel", "head.bias")}
    feeds = {"x": np.ones((4, 3), np.float32), "labels": np.array([0, 1, 1, 1]), "learning_rate": np.float32(1)}
    program.run(feeds, function="step")
    kept = [name for name, value in before.items() if np.array_equal(value, program.read_parameter(name))]
    assert kept == ["enc.kernel", "enc.bias"]
    with pytest.raises(module().CompileError, match=r"group '\[enc\.\*': .*unmatched"):
        module().compile(data, train={"groups": "[enc.*:frozen"})
