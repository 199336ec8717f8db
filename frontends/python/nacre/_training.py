"""Trainers: forward pass, loss, gradients and update of a model, compiled into one step."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from typing import TYPE_CHECKING, Any, Union

import numpy as np

from . import _core
from ._core import InputError

if TYPE_CHECKING:
    import onnx

# Arrays by the names of inputs; or one, or several in their order.
Data = Union[Any, Sequence[Any], Mapping[str, Any]]
# Batches as `step` takes them, or a function that gives those of an epoch.
Batches = Union[Iterable[Any], Callable[[], Iterable[Any]]]


class History(Mapping[str, "list[float]"]):
    """What each epoch came to: a list for `loss`, for each metric, and for the same with `val_`."""

    def __init__(self) -> None:
        self._values: dict[str, list[float]] = {}
        #: With `patience` the epoch, from 0, whose model was kept; None if none was better than another.
        self.best_epoch: int | None = None

    def __getitem__(self, key: str) -> list[float]:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"<nacre.History of {len(self._values.get('loss', []))} epochs: {', '.join(self._values)}>"

    def _add(self, epoch: Mapping[str, float]) -> None:
        for key, value in epoch.items():
            self._values.setdefault(key, []).append(value)


def _is_batches(x: Any) -> bool:
    """Whether `x` gives batches, and is no array or some of them."""
    if isinstance(x, (Mapping, Sequence)) or hasattr(x, "__array__") or hasattr(x, "__dlpack__"):
        return False
    return callable(x) or isinstance(x, Iterable)


class Trainer:
    """Trains a model: a path (.onnx, or an nn module's .mlir), the bytes of an ONNX file, or an
    onnx.ModelProto.

        trainer = nacre.Trainer("model.onnx", loss="softmax-cross-entropy", optimizer="adamw:lr=3e-4")
        loss = trainer.step((x, labels))                 # one step on one batch
        history = trainer.fit(x, labels, epochs=10)      # batches, epochs, shuffling
        trainer.save("trained.onnx")

    `loss`, `optimizer`, `groups`, `clip_norm`, `clip_value`, `accumulate`, `average`,
    `detect_anomaly`, `precision` ("bf16"), `memory_budget` ("500MB", with the batch as `open_size`
    where the model leaves it open, or `batch_shapes`, {"ids": (32, 128), "labels": (32,)}, where more is) are those of nacre.compile(train=...), `metrics` what is measured
    besides ("accuracy"): docs/training.md lists what there is. `seed` is that of random numbers
    (Dropout). All other options are those of nacre.compile. Raises CompileError if the model cannot
    be trained or does not fit into the budget, ValueError for options that
    there are not.

    Data are arrays with an entry per example: one, several in the order of the model's inputs (or
    of the targets, which `step` takes behind them), or a dict by name. They are converted to the
    types that the model takes where NumPy calls that safe, or of the same kind.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | bytes | onnx.ModelProto,
        loss: str = "softmax-cross-entropy",
        optimizer: str = "sgd",
        metrics: Sequence[str] = (),
        *,
        groups: str = "",
        clip_norm: float = 0.0,
        clip_value: float = 0.0,
        accumulate: int = 1,
        average: float = 0.0,
        detect_anomaly: bool = False,
        precision: str = "f32",
        memory_budget: str | int = 0,
        open_size: int = 0,
        batch_shapes: Mapping[str, Sequence[int]] | None = None,
        seed: int = 0,
        **options: Any,
    ) -> None:
        from . import _serialize, _train_settings, compile

        settings = {"loss": loss, "optimizer": optimizer, "groups": groups, "clip_norm": clip_norm,
                    "clip_value": clip_value, "accumulate": accumulate, "average": average,
                    "detect_anomaly": detect_anomaly, "precision": precision, "memory_budget": memory_budget,
                    "open_size": open_size, "batch_shapes": batch_shapes or {}}  # fmt: skip
        self._settings = _train_settings(settings)
        self.metrics = [metrics] if isinstance(metrics, str) else list(metrics)
        self.learning_rate: float = _core._learning_rate(self._settings)
        source = _serialize(model) if hasattr(model, "SerializeToString") else model
        self._source = source if isinstance(source, bytes) else os.fspath(source)
        self.model = compile(self._source, train=self._settings, **options)
        self.model.set_seed(seed)
        self._exporter = _core._Exporter(self._source, self.model)
        signatures = self.model.signatures
        self._inputs = signatures["main"].inputs
        self._targets = signatures["evaluate"].inputs[len(self._inputs) :]
        self._epochs = 0
        self._begun: dict[str, int] = {}  # by folders of checkpoints: the epochs before the training there

    def step(self, batch: Data, learning_rate: float | None = None) -> float:
        """One step on one batch: a dict of arrays by name, or inputs and targets, `(x, y)`, each as
        `fit` takes them. Returns the loss, with the parameters as they were."""
        x, y = batch if isinstance(batch, tuple) and len(batch) == 2 else (batch, None)
        feeds = self._columns(x, y)
        rate = self.learning_rate if learning_rate is None else learning_rate
        feeds["learning_rate"] = np.float32(rate)
        return float(self.model.run(feeds, function="step")[0])

    def fit(
        self,
        x: Data | Batches,
        y: Data | None = None,
        batch_size: int = 0,
        epochs: int = 1,
        *,
        steps_per_epoch: int = 0,
        read_ahead: bool = True,
        learning_rate: float | None = None,
        schedule: str = "",
        validation_data: tuple[Data, Data | None] | Mapping[str, Any] | None = None,
        seed: int = 0,
        patience: int = 0,
        monitor: str = "loss",
        checkpoint: str | os.PathLike[str] = "",
        checkpoint_every: str | int = "1epoch",
        resume: bool = False,
        keep: int = 3,
        callback: Callable[[int, dict[str, float]], object] | None = None,
        verbose: bool | None = None,
    ) -> History:
        """Trains on every example once per epoch, in batches of `batch_size` (0: what the model is fixed
        to, or 32), in an order that `seed` and the epoch decide. The rate is the optimizer's, or
        `learning_rate`, and changes as `schedule` says ("cosine:warmup=100"). After each epoch
        `validation_data` are evaluated, and `callback(epoch, values)` is called, from 0; if it returns
        False the training ends. Called again, it goes on where it was, with other orders.

        With `patience` the training ends after so many epochs without progress on `validation_data`,
        of the loss or the metric that `monitor` names, and the model, with the optimizer's state,
        becomes what it was after the best epoch, `history.best_epoch`.

        With `checkpoint`, a folder, the newest `keep` checkpoints are kept there, the files of `nacre
        train`: one after each epoch, or as `checkpoint_every` says, "2epochs" or "500steps". With
        `resume` it goes on from the newest of them, however the training there ended, bit for bit as if
        it never had, up to `epochs` in all, and the history has the epochs before, too; without one it
        begins. Model, data and all options but the length must be the same. A checkpoint that cannot be
        written is a RuntimeWarning.

        Instead of arrays `x` may be batches, one after the other, each as `step` takes it, of any
        number of examples: an iterable, as a torch DataLoader is, which each epoch goes through
        anew; a function that gives one, called for each epoch; or a generator, which gives its
        batches once. An epoch ends with them, or after `steps_per_epoch`; with that a generator goes
        on in the next epoch. Checkpoints are then written between epochs, and an epoch's batches must
        not depend on those before: no generators. With `read_ahead` another thread asks for the next batch while the
        model computes, which changes nothing but the time.

        `verbose` prints a line for each epoch; by default where standard output is a terminal. Ctrl-C
        ends it with KeyboardInterrupt, and the parameters of the last whole step. Raises InputError
        for data that do not fit, with a list of both sides, or if the loss is no number any more."""
        if epochs < 1:
            raise ValueError(f"epochs is {epochs}, expected 1 or more")
        others: dict[str, Any] = {}
        if validation_data is not None:
            pair = validation_data if isinstance(validation_data, tuple) else (validation_data, None)
            others = self._columns(*pair)
        if patience < 0 or (patience and not others):
            raise ValueError("patience: expected a number of epochs, and validation_data, which it looks at")
        folder = os.path.realpath(checkpoint) if os.fspath(checkpoint) else ""
        if keep < 1:
            raise ValueError(f"keep is {keep}, expected 1 or more")
        if resume and not folder:
            raise ValueError("resume: expected checkpoint, the folder to go on from")
        rate = self.learning_rate if learning_rate is None else learning_rate
        if steps_per_epoch < 0:
            raise ValueError(f"steps_per_epoch is {steps_per_epoch}, expected 1 or more")
        data: Any
        if _is_batches(x):
            if y is not None or batch_size:
                raise ValueError("batches have their targets and sizes with them: expected no y and no batch_size")
            if folder and isinstance(x, Iterator):
                raise ValueError(
                    "checkpoint: a generator gives its batches once, and none again to go on with: expected a "
                    "function that makes one"
                )
            data = self._ask(x, steps_per_epoch)
            steps_per_epoch = steps_per_epoch or (len(x) if isinstance(x, Sized) else 0)
        elif steps_per_epoch:
            raise ValueError("steps_per_epoch is for batches: of arrays an epoch takes every example once")
        else:
            data = self._columns(x, y)
        begun = self._begun.get(folder, self._epochs) if resume else self._epochs
        trainer = _core._Trainer(
            self.model, data, others, self.metrics, batch_size, seed + begun, rate, epochs, schedule,
            self._settings, steps_per_epoch, read_ahead,
        )  # fmt: skip
        if verbose is None:
            verbose = sys.stdout.isatty()
        history = History()
        try:
            first = 0
            if patience or folder:
                first = trainer.keep(folder, str(checkpoint_every), keep, resume, patience, monitor)
                if folder:
                    self._begun[folder] = begun
                if trainer.steps and verbose:
                    print(f"resumed after step {trainer.steps}, in epoch {first + 1}", flush=True)
            for text in trainer.history:
                history._add(self._read_epoch(text))
            was_done = trainer.is_done
            for epoch in range(first, 0 if was_done else epochs):
                loss, metrics, examples, _, seconds, evaluation = trainer.run_epoch(epoch, None)
                values = {"loss": loss, **dict(zip(self.metrics, metrics, strict=True))}
                if evaluation:
                    values["val_loss"] = evaluation[0]
                    values |= {f"val_{name}": value for name, value in zip(self.metrics, evaluation[1], strict=True)}
                history._add(values)
                if verbose:
                    text = ", ".join(f"{name} {value:.4f}" for name, value in values.items())
                    print(f"epoch {epoch + 1}/{epochs}: {text}, {examples / seconds:.0f} examples/s", flush=True)
                if callback is not None and callback(epoch, values) is False:
                    break
                if trainer.is_done:
                    break
            if patience or folder:
                best = trainer.finish()
                history.best_epoch = best if best >= 0 else None
        finally:
            trainer.release()
        self._epochs = begun + len(history["loss"])
        return history

    def _read_epoch(self, text: str) -> dict[str, float]:
        """What a checkpoint has kept of an epoch."""
        epoch = json.loads(text)
        names = [f"{prefix}{name}" for prefix in ("", "val_") for name in ("loss", *self.metrics)]
        values = {name: epoch[name] for name in names if name in epoch}
        return {name: float("nan") if value is None else value for name, value in values.items()}

    def _ask(self, batches: Any, steps: int) -> Callable[[int, int], dict[str, np.ndarray] | None]:
        """What gives the batches of each epoch, one after the other."""
        iterator: Iterator[Any] = iter(())
        goes_on = isinstance(batches, Iterator)
        if goes_on:
            iterator = batches

        def ask(epoch: int, step: int) -> dict[str, np.ndarray] | None:
            nonlocal iterator
            if step == 0 and not goes_on:
                iterator = iter(batches() if callable(batches) else batches)
            elif step == 0 and epoch > 0 and not steps:
                raise ValueError(
                    "a generator gives its batches once: for several epochs give a function that makes one, "
                    "or steps_per_epoch"
                )
            for batch in iterator:
                is_pair = isinstance(batch, (tuple, list)) and len(batch) == 2
                return self._columns(*(batch if is_pair else (batch, None)))
            return None

        return ask

    def evaluate(self, x: Data, y: Data | None = None, batch_size: int = 0) -> dict[str, float]:
        """The loss, and each metric, over all examples: nothing is trained, nothing dropped."""
        loss, metrics, _ = _core._evaluate(self.model, self._columns(x, y), self.metrics, batch_size, self._settings)
        return {"loss": loss, **dict(zip(self.metrics, metrics, strict=True))}

    def predict(self, x: Data, batch_size: int = 0) -> Any:
        """The model's output for all examples, computed in batches; a tuple if it has several."""
        columns = self._collect(x, self._inputs, "input")
        outputs = _core._predict(self.model, columns, batch_size)
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def use_averages(self) -> None:
        """Sets each parameter to its moving average, which `average` has kept."""
        _core._use_averages(self.model)

    @property
    def parameters(self) -> dict[str, np.ndarray]:
        """The trained weights by their initializers' names: read-only views, which training changes."""
        return {name: self.model.view_parameter(name) for name in self._exporter.parameters}

    def state_dict(self) -> dict[str, np.ndarray]:
        """Copies of the trained weights, by their initializers' names."""
        return {name: self.model.read_parameter(name) for name in self._exporter.parameters}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Gives the trained weights other values: all of them, of their sizes."""
        known = set(self._exporter.parameters)
        if known != set(state):
            raise ValueError(
                f"the weights are not the model's: missing {sorted(known - set(state))}, "
                f"unknown {sorted(set(state) - known)}"
            )
        for name, value in state.items():
            self.model.write_parameter(name, value)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the model's file again, with the weights as they are: graph and names are kept."""
        self._exporter.write(self.model, os.fspath(path))

    def serialize(self) -> bytes:
        """The bytes of that file."""
        return self._exporter.serialize(self.model)

    def _columns(self, x: Data, y: Data | None) -> dict[str, np.ndarray]:
        if isinstance(x, Mapping) and y is None:
            return self._collect(x, [*self._inputs, *self._targets], "input")
        targets = self._collect([] if y is None else y, self._targets, "target")
        return self._collect(x, self._inputs, "input") | targets

    @staticmethod
    def _collect(data: Data, infos: Sequence[_core.TensorInfo], kind: str) -> dict[str, np.ndarray]:
        """The arrays by name, of the types that the model takes."""
        names = [info.name for info in infos]
        if not isinstance(data, Mapping):
            is_list = isinstance(data, (list, tuple)) and (len(names) != 1 or len(data) <= 1)
            arrays = list(data) if is_list else [data]  # of one, a list of lists is an array
            if len(arrays) != len(names):
                raise InputError(f"found {len(arrays)} {kind}s, expected {len(names)}: {', '.join(names) or 'none'}")
            data = dict(zip(names, arrays, strict=True))
        if unknown := sorted(set(data) - set(names)):
            raise InputError(f"there is no {kind} {unknown[0]!r}: the model takes {', '.join(names)}")
        columns = {}
        for info in infos:
            if info.name not in data:
                raise InputError(f"{kind} {info.name!r} is missing: the model takes {', '.join(names)}")
            array = np.asarray(data[info.name])
            if info.dtype is not None and array.dtype != info.dtype:
                if not np.can_cast(array.dtype, info.dtype, "same_kind"):
                    raise InputError(f"{kind} {info.name!r} is {array.dtype}, expected {info.dtype}")
                array = array.astype(info.dtype)
            columns[info.name] = array
        return columns
