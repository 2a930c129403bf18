"""Five training steps by Keras and in the JVM, from one state, on the same batches.

A weight may differ by 1e-4 of its largest number, and by 1e-3 of the largest way that a number of
it has gone, since a weight that hardly moves is equal whatever the steps do. A weight that does not
move at all is an error, unless it says that it is not trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

import kbridge
from kbridge.jvm.trainable import keras_weights

STEPS = 5
RTOL = 1e-4
OF_THE_WAY = 1e-3


@dataclass
class Trained:
    """What came of one weight.

    Attributes:
        difference: Its largest difference, relative to its largest number.
        of_the_way: The same, relative to how far its numbers have moved.
        moved: How far that is, relative to its largest number.
        trainable: Whether Keras trains it.
    """

    difference: float
    of_the_way: float
    moved: float
    trainable: bool

    def problem(self) -> str | None:
        """Why it does not pass, or None."""
        if not np.isfinite([self.difference, self.moved]).all():
            return "is not finite"
        if self.trainable and not self.moved:
            return "was not trained by Keras, so that nothing is compared"
        if self.difference > RTOL:
            return f"differs by {self.difference:.2g}"
        if self.of_the_way > OF_THE_WAY:
            return f"differs by {self.of_the_way:.2g} of the way it went, {self.moved:.2g}"
        return None


def follow(
    model: keras.Model,
    path: Path,
    x: Any,
    y: Any,
    sample_weight: Any = None,
    steps: int = STEPS,
    labels: Any = None,
    **load: Any,
) -> dict[str, Trained]:
    """Trains on both sides, a batch for each step, and compares what is left.

    Losses and metrics are compared after every step, and of an evaluation after the last.

    Args:
        model: A compiled model; it is trained.
        path: Where to put its bundle.
        x: Inputs in the model's structure, with rows for all steps.
        y: Labels, likewise.
        sample_weight: Likewise, or None.
        steps: How many steps.
        labels: Told to the export.
        **load: Told to `kbridge.load`.

    Returns:
        Each weight by its name in the bundle.
    """
    kbridge.export(model, path, labels=labels)
    # NB: first, since what ScheduleFreeAdamW's slots start with goes wrong where Keras makes them
    # while it traces its first step.
    model.optimizer.build(model.trainable_variables)
    before = model.get_weights()
    with kbridge.load(path, **load) as jvm:
        names = keras_weights(jvm._spec)
        for step in range(steps):
            batch = [_rows(part, step, steps) for part in (x, y, sample_weight)]
            expected = model.train_on_batch(*batch, return_dict=True)
            same_logs(jvm.train_on_batch(*batch, return_dict=True), expected, f"step {step + 1}")
        expected = model.test_on_batch(*batch, return_dict=True)
        same_logs(jvm.test_on_batch(*batch, return_dict=True), expected, "evaluation")
        found = jvm.get_weights()
    trainable = {id(variable) for variable in model.trainable_weights}
    return {
        name: compared(*arrays, id(variable) in trainable)
        for name, variable, *arrays in zip(
            names, model.weights, before, model.get_weights(), found, strict=True
        )
    }


def check(weights: Mapping[str, Trained], only: str = "") -> None:
    """Fails with all that is wrong with the weights whose names begin like this."""
    chosen = {name: weight for name, weight in weights.items() if name.startswith(only)}
    assert chosen, f"no weight begins with {only!r}: {list(weights)}"
    wrong = {name: weight.problem() for name, weight in chosen.items() if weight.problem()}
    assert not wrong, wrong


def compared(before: np.ndarray, expected: np.ndarray, found: np.ndarray, train: bool) -> Trained:
    """Compares what two trainings have made of a weight."""
    before, expected, found = (np.float64(array) for array in (before, expected, found))
    size, way = np.abs(expected).max(initial=0), np.abs(expected - before).max(initial=0)
    difference = np.abs(found - expected).max(initial=0)
    return Trained(_part(difference, size), _part(difference, way), _part(way, size), train)


def _part(number: float, of: float) -> float:
    return 0.0 if number == 0 else float(number / of) if of else np.inf


def same_logs(found: dict[str, float], expected: dict[str, float], when: str) -> None:
    """Compares losses and metrics."""
    assert found.keys() == expected.keys(), when
    wrong = {
        name: (found[name], float(value))
        for name, value in expected.items()
        if not np.allclose(found[name], value, rtol=RTOL, atol=1e-6)
    }
    assert not wrong, f"{when}: {wrong}"


def _rows(arrays: Any, step: int, steps: int) -> Any:
    if arrays is None:
        return None

    def part(array: np.ndarray) -> np.ndarray:
        size = len(array) // steps
        return array[step * size : (step + 1) * size]

    return keras.tree.map_structure(part, arrays)
