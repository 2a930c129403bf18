"""How far rounding alone moves a model's numbers.

Two correct float32 computations of a deep model differ, because each rounds on its way and every
layer passes the roundings of those before it on, larger or smaller. Measured against float64, on a
ResNet-50 with random weights: native Keras was off by 8.5e-5 of the last block's spread, the JVM by
8.6e-5, so they differed from each other by 1e-4 although neither had anything wrong.

So where an element is out of tolerance, native Keras is asked how far its own numbers move when all
its weights and inputs are changed by random amounts of at most two millionths. (Rounding
errors of a computation are changes of its operands: Wilkinson's backward error. A
convolution of 147 products was measured to round by 5e-7 of its result's size; 2e-6 allows for
longer sums and for both sides.) An error inside that movement is rounding; one that is larger is a
difference.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from kbridge.parity.compare import ArrayComparison, GroupComparison
from kbridge.parity.comparison import ModelComparison, native_logits
from kbridge.parity.logits import find_logits
from kbridge.parity.recording import Recording

RELATIVE_CHANGE = 2.0**-19
_SEED = 11


def changed(array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns a float array with every element changed at random by `RELATIVE_CHANGE` at most."""
    if array.dtype.kind != "f":
        return array
    factors = 1.0 + RELATIVE_CHANGE * rng.uniform(-1, 1, array.shape)
    return (array * factors).astype(array.dtype)


def record_moved(model: Any, inputs: list[Any], record: Any) -> Recording:
    """Records a model with changed weights and inputs; the model itself stays as it is.

    Args:
        model: The live Keras model.
        inputs: One batch of flat inputs.
        record: Records the model on such a batch.
    """
    import keras

    rng = np.random.default_rng(_SEED)
    moved = [
        (variable, changed(keras.ops.convert_to_numpy(variable), rng))
        for variable in model.variables
    ]
    with keras.StatelessScope(state_mapping=moved):
        return record([x if x is None else changed(np.asarray(x), rng) for x in inputs])


def excuse_rounding(
    comparison: ModelComparison, spec: Mapping[str, Any], first: Recording, moved: Recording
) -> None:
    """Takes findings back that are no larger than what rounding does to native Keras itself.

    Args:
        comparison: Of the batch that `first` recorded; changed in place.
        spec: The bundle's spec.
        first: What native Keras gave.
        moved: What it gave with changed weights and inputs.
    """
    _excuse(comparison.outputs, first.outputs, moved.outputs)
    for layer in comparison.layers:
        key = (layer.scope, layer.call)
        _excuse(layer, first.layers.get(key, []), moved.layers.get(key, []))
    logits = [
        pair
        for entry in find_logits(spec)
        if (pair := (native_logits(entry, first), native_logits(entry, moved)))[0] is not None
    ]
    _excuse(comparison.logits, [a for a, _ in logits], [b for _, b in logits])


def _excuse(group: GroupComparison, first: list[np.ndarray], moved: list[np.ndarray]) -> None:
    if len(group.arrays) != len(first) or len(first) != len(moved):
        return
    for array, a, b in zip(group.arrays, first, moved, strict=True):
        if array.findings and all(f.kind == "value" for f in array.findings):
            _judge(array, a, b)


def _judge(array: ArrayComparison, first: np.ndarray, moved: np.ndarray) -> None:
    if first.dtype.kind != "f" or first.shape != moved.shape:
        return
    movement = np.abs(moved.astype(np.float64) - first.astype(np.float64))
    array.rounding = float(movement.max(initial=0.0))
    if math.isfinite(array.rounding) and array.max_excess <= array.rounding:
        array.findings.clear()
