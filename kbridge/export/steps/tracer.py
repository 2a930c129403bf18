"""The tracer of steps: variables change, random numbers are drawn, losses are collected."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras.src import backend

from kbridge.export.graph import Value
from kbridge.export.steps.draws import draws
from kbridge.export.trace import UnsupportedCall
from kbridge.export.tracing import Tracer


class StepTracer(Tracer):
    """Records a step: what `Tracer` records, and every assignment in order."""

    steps = True

    def __init__(self, *args: Any, is_metric: Callable[[str], bool]):
        super().__init__(*args)
        self._is_metric = is_metric

    def add_input(self, name: str, shape: Sequence[int], dtype: str) -> keras.KerasTensor:
        """Adds an input that is known only when the model has answered: labels, weights."""
        name = self.builder.unique(name)
        tensor = keras.KerasTensor(tuple(shape), dtype, name=name)
        value = self.builder.add(Value(name, tuple(shape), dtype, "input"))
        self.builder.bind(tensor, value)
        self.trace.inputs.append(value)
        return tensor

    def operation(self, op: Any, args: tuple, kwargs: dict) -> Any:
        """Records an operation; crossentropies take logits as the backend does."""
        if not self._muted:
            op, args = _with_logits(op, args)
            if type(op).__name__ == "StopGradient":
                return self._stopped(op, args)
            if type(op).__name__ == "Size" and isinstance(args[0], keras.KerasTensor):
                # NB: sizes are numbers during the trace, also where Keras makes tensors of them.
                return math.prod(args[0].shape)
        outputs = super().operation(op, args, kwargs)
        if type(op).__name__ in _ACTIVATIONS and isinstance(outputs, keras.KerasTensor):
            outputs._keras_logits = args[0]
        return outputs

    def assignment(self, variable: keras.Variable, value: Any) -> Any:
        """Records what a variable is given; later readers read that."""
        return self._give(variable, value)

    def _read_from_now(self, name: str, value: Any) -> Any:
        # NB: as in TensorFlow, no gradient flows through what a variable was given.
        return value if self._is_metric(name) else self._emitted("StopGradient", value)

    def draws(self) -> dict[str, Callable]:
        """What draws random numbers."""
        return draws()

    def custom_gradient(self, function: Callable) -> None:
        """Refuses a gradient that is Python code."""
        raise UnsupportedCall(
            f"{getattr(function, '__qualname__', function)} has a gradient of its own "
            "(keras.ops.custom_gradient), which is written for Python's backend",
            "Compute it with operations that have gradients, or train it in Python.",
        )

    def _stopped(self, op: Any, args: tuple) -> Any:
        if isinstance(args[0], keras.KerasTensor):
            return self._emitted("StopGradient", args[0])
        return args[0]

    def _emitted(self, op: str, x: Any) -> keras.KerasTensor:
        value = self.builder.value_of(x)
        made = self.builder.emit(op, [value], {}, (value.shape, value.dtype))[0]
        tensor = keras.KerasTensor(value.shape, value.dtype)
        self.builder.bind(tensor, made)
        return tensor


class TrainingTracer(StepTracer):
    """Records a step in which layers train."""

    training = True


# Crossentropies, and the activations whose argument TensorFlow's Keras computes them of.
_CROSSENTROPIES = ("BinaryCrossentropy", "CategoricalCrossentropy", "SparseCategoricalCrossentropy")
_ACTIVATIONS = ("Softmax", "Sigmoid")


def _with_logits(op: Any, args: tuple) -> tuple[Any, tuple]:
    """TensorFlow's Keras takes logits where the output of a softmax or sigmoid comes in.

    NB: any of the two activations for any crossentropy, as `_get_logits` of its backend does.
    """
    given = type(op).__name__ in _CROSSENTROPIES and backend.backend() == "tensorflow"
    logits = getattr(args[1], "_keras_logits", None) if given else None
    if logits is None:
        return op, args
    axis = {"axis": op.axis} if hasattr(op, "axis") else {}
    return type(op)(from_logits=True, **axis), (args[0], logits)
