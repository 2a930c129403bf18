"""How far rounding alone moves a model's numbers.

Two correct float32 computations of a deep model differ, because each rounds on its way and every
layer passes the roundings of those before it on, larger or smaller. Measured against float64, on a
ResNet-50 with random weights: native Keras was off by 8.5e-5 of the last block's spread, the JVM by
8.6e-5, so they differed from each other by 1e-4 although neither had anything wrong.

So where an element is out of tolerance, native Keras is asked how far two of its own runs differ in
which rounding errors are larger than they are (Parker's Monte Carlo arithmetic): each run changes
inputs by other random amounts of at most two millionths, and what every layer gives by at most half
a millionth before the next layer gets it. (A convolution of 147 products was measured to round by
5e-7 of its result's size, and longer sums by more.) Both runs are changed, since both sides of a
comparison round. An error inside their difference is rounding; a larger one is a difference.

What layers give is changed because a normalisation of values that hardly vary enlarges the rounding
of their computation: measured on a MobileNetV3Large and an EfficientNetV2S, native Keras was off
from float64 by up to 4e-5 and the JVM by as much (root mean squares equal to 2 digits), of which
changed inputs showed a third. Weights are not changed: both sides have the same. A change of a
weight is the same in every place where it is used, and moves those networks a hundred times as far
as rounding does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kbridge.parity.compare import ArrayComparison, GroupComparison
from kbridge.parity.comparison import ModelComparison, native_logits
from kbridge.parity.logits import find_logits
from kbridge.parity.recording import LayerCall, Recording

Change = Callable[[np.ndarray], np.ndarray]

INPUT_CHANGE = 2.0**-19
RESULT_CHANGE = 2.0**-21
# One unit in the last place of numbers of 11 and of 8 bits, of which smaller changes leave nothing:
# relatively, and that of the smallest numbers.
_LAST_PLACES = {"float16": (2.0**-10, 2.0**-24), "bfloat16": (2.0**-7, 2.0**-133)}
_SEEDS = (11, 12)


def changed(array: np.ndarray, rng: np.random.Generator, by: float) -> np.ndarray:
    """Returns a float array with every element changed at random, relatively by `by` at most.

    Numbers of half precision are changed by one unit in the last place at most.
    """
    if array.dtype.name in _LAST_PLACES:
        relative, least = _LAST_PLACES[array.dtype.name]
        numbers = array.astype(np.float64)
        unit = np.where(np.isfinite(numbers), np.maximum(relative * np.abs(numbers), least), 0.0)
        return (numbers + unit * rng.uniform(-1, 1, array.shape)).astype(array.dtype)
    if array.dtype.kind != "f":
        return array
    factors = 1.0 + by * rng.uniform(-1, 1, array.shape)
    return (array * factors).astype(array.dtype)


def _is_float(array: np.ndarray) -> bool:
    # NB: NumPy knows no bfloat16; its kind is that of raw bytes.
    return array.dtype.kind == "f" or array.dtype.name in _LAST_PLACES


def record_moved(
    inputs: list[Any], record: Callable[[list[Any], Change], Recording]
) -> tuple[Recording, Recording]:
    """Records a model twice with changed inputs and changed results of layers.

    Args:
        inputs: One batch of flat inputs.
        record: Records the model on such a batch, with what its layers give changed.
    """
    first, second = (_record(inputs, record, np.random.default_rng(seed)) for seed in _SEEDS)
    return first, second


def _record(
    inputs: list[Any],
    record: Callable[[list[Any], Change], Recording],
    rng: np.random.Generator,
) -> Recording:
    given = [x if x is None else changed(np.asarray(x), rng, INPUT_CHANGE) for x in inputs]
    return record(given, lambda array: changed(array, rng, RESULT_CHANGE))


def calls_to_move(comparison: ModelComparison, spec: Mapping[str, Any]) -> set[LayerCall]:
    """Returns the layer calls that `excuse_rounding` has to know: those that do not agree.

    Args:
        comparison: Of one batch.
        spec: The bundle's spec.
    """
    calls = {(layer.scope, layer.call) for layer in comparison.layers if not layer.ok}
    return calls | {entry.measured[0] for entry in find_logits(spec) if entry.measured is not None}


def excuse_rounding(
    comparison: ModelComparison, spec: Mapping[str, Any], moved: tuple[Recording, Recording]
) -> None:
    """Takes findings back that are no larger than what rounding does to native Keras itself.

    Args:
        comparison: Of one batch; changed in place.
        spec: The bundle's spec.
        moved: What native Keras gave for this batch with inputs and results of layers changed,
            twice; of the layers, those of `calls_to_move`.
    """
    first, second = moved
    _excuse(comparison.outputs, first.outputs, second.outputs)
    for layer in comparison.layers:
        key = (layer.scope, layer.call)
        _excuse(layer, first.layers.get(key, []), second.layers.get(key, []))
    logits = [
        pair
        for entry in find_logits(spec)
        if (pair := (native_logits(entry, first), native_logits(entry, second)))[0] is not None
    ]
    _excuse(comparison.logits, [a for a, _ in logits], [b for _, b in logits])


def _excuse(group: GroupComparison, first: list[np.ndarray], second: list[np.ndarray]) -> None:
    if len(group.arrays) != len(first) or len(first) != len(second):
        return
    for array, a, b in zip(group.arrays, first, second, strict=True):
        if array.findings and all(f.kind == "value" for f in array.findings):
            _judge(array, a, b)


def _judge(array: ArrayComparison, first: np.ndarray, second: np.ndarray) -> None:
    if not _is_float(first) or first.shape != second.shape:
        return
    movement = np.abs(second.astype(np.float64) - first.astype(np.float64))
    array.rounding = float(movement.max(initial=0.0))
    if math.isfinite(array.rounding) and array.max_excess <= array.rounding:
        array.findings.clear()
