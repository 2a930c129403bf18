"""A trainer in the JVM: what training and evaluation ask Java for, whichever host runs it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from kbridge.jvm import arrays
from kbridge.jvm.bridge import JavaObject, Jvm

_STEPS_KEPT = 64

Batch = list[np.ndarray | None]
"""Arrays of one step in the order of `TrainerSession.inputs`; None for sample weights of one."""


class StepInput(NamedTuple):
    """One input of a step.

    Attributes:
        name: Its name.
        shape: Its shape; None for a size that is chosen at call time.
        dtype: Its element type.
        role: ``"x"``, ``"y"`` or ``"sample_weight"``.
        of: The model's input or output that it belongs to.
        broadcast: Whether sizes of 1 stand for any size.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: np.dtype
    role: str
    of: str
    broadcast: bool


class Slot(NamedTuple):
    """One variable of the optimizer.

    Attributes:
        name: Its name.
        slot: What it is of its weight: ``"momentum"``, ``"velocity"``...
        weight: The weight's name; None for a variable of the optimizer as a whole.
    """

    name: str
    slot: str
    weight: str | None


class TrainerSession:
    """A ``HostTrainer``.

    Args:
        jvm: The JVM it lives in.
        door: The Java object.
    """

    def __init__(self, jvm: Jvm, door: JavaObject):
        self._jvm = jvm
        self._door = door
        self._closed = False
        self._steps: dict[tuple, JavaObject] = {}
        self.inputs = [
            StepInput(
                i["name"],
                tuple(i["shape"]),
                arrays.dtype(i["dtype"]),
                i["role"],
                i["of"],
                i["broadcast"],
            )
            for i in json.loads(self._ask("inputs"))
        ]
        self._dtypes = [i.dtype for i in self.inputs]
        self.names: list[str] = json.loads(self._ask("variables"))
        self.trained: list[str] = json.loads(self._ask("trained"))

    def train(self, batch: Batch) -> None:
        """Does one training step."""
        self._run(batch, "train")

    def test(self, batch: Batch) -> None:
        """Evaluates a batch."""
        self._run(batch, "test")

    def gradients(self, batch: Batch) -> dict[str, np.ndarray]:
        """Returns the gradient of each trained weight; changes nothing."""
        found = self._jvm.collect(self._run(batch, "gradients"))
        return dict(zip(self.trained, found, strict=True))

    def logs(self) -> dict[str, float]:
        """Returns what the metrics say."""
        found = json.loads(self._ask("logs"))
        return {name: float(value) for name, value in found.items()}

    def reset_metrics(self) -> None:
        """Lets the metrics start anew."""
        self._ask("resetMetrics")

    def values(self, names: Sequence[str]) -> list[np.ndarray]:
        """Returns copies of variables."""
        found = self._jvm.collect(self._ask("values", list(names)))
        return [np.array(array) for array in found]

    def assign(self, values: dict[str, np.ndarray]) -> None:
        """Gives variables other content, of their shapes and types."""
        given = list(values.values())
        with self._jvm.lend(given, [array.dtype for array in given]) as lent:
            lent.ask(self._door, "assign", list(values), lent.inputs)

    def states(self, names: Sequence[str]) -> list[np.ndarray]:
        """Returns copies of states that layers keep from step to step."""
        return self.values(names)

    def set_states(self, states: dict[str, np.ndarray]) -> None:
        """Changes states."""
        self.assign(states)

    def reset_states(self) -> None:
        """Sets all states of layers to zero."""
        self._ask("resetStates")

    def slots(self) -> list[tuple[Slot, np.ndarray]]:
        """Returns the optimizer's variables, in Keras's order."""
        described = [
            Slot(s["name"], s["slot"], s["weight"]) for s in json.loads(self._ask("slots"))
        ]
        found = self._jvm.collect(self._ask("slotValues"))
        return list(zip(described, [np.array(array) for array in found], strict=True))

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next step."""
        return float(self._ask("learningRate"))

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        self._ask("setLearningRate", float(rate))

    @property
    def iterations(self) -> int:
        """How many updates were done."""
        return int(self._ask("iterations"))

    def reinitialize(self, seed: int) -> None:
        """Gives the weights new values; see `JvmModel.reinitialize`."""
        self._ask("reinitialize", seed)

    def finish(self) -> None:
        """Does what ends Keras's `fit`: weights take the values of their moving averages."""
        self._ask("finish")

    def save(self, path: str) -> None:
        """Writes a new bundle."""
        self._ask("save", path)

    def close(self) -> None:
        """Frees the trainer's memory. May be called again."""
        self._steps = {}
        if not self._closed:
            self._closed = True
            self._ask("close")

    def _run(self, batch: Batch, method: str) -> Any:
        step = self._step(batch)
        with self._jvm.lend(batch, self._dtypes) as lent:
            return lent.ask(step, method, lent.inputs)

    def _step(self, batch: Batch) -> JavaObject:
        key = tuple(None if array is None else array.shape for array in batch)
        step = self._steps.get(key)
        if step is None:
            shapes = [None if shape is None else list(shape) for shape in key]
            if len(self._steps) >= _STEPS_KEPT:
                self._steps.clear()
            step = self._steps[key] = self._ask("step", shapes)
        return step

    def _ask(self, method: str, *args: Any) -> Any:
        return self._jvm.ask(self._door, method, *args)
