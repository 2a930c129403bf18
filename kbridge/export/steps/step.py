"""One step, run symbolically: the model, its losses, its metrics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import ops, tree
from keras.src import backend

from kbridge.export import explain
from kbridge.export.signature import Signature
from kbridge.export.steps.compiled import LABELS_ADVICE, Compiled, Label, output_indices
from kbridge.export.steps.tracer import StepTracer
from kbridge.export.trace import TraceAborted
from kbridge.export.tracing import active_tracer


class Step:
    """What Keras's `train_step` or `test_step` computes, without gradients and the optimizer.

    Args:
        model: The model.
        signature: What it takes.
        compiled: Its losses and metrics.
        training: Whether it trains.
    """

    def __init__(self, model: Any, signature: Signature, compiled: Compiled, training: bool):
        self.model = model
        self.signature = signature
        self.compiled = compiled
        self.training = training
        self.inputs: list[tuple[str, str]] = []

    def __call__(self, x: Any) -> dict[str, Any]:
        """Runs it; to be called by `trace_model`."""
        tracer = active_tracer()
        assert isinstance(tracer, StepTracer)
        self.inputs = [("x", i.name) for i in self.signature.inputs]
        y_pred = self.model(x, training=self.training)
        flat = tree.flatten(y_pred)
        y = [
            self._labels(tracer, label, prediction)
            for label, prediction in zip(self.compiled.labels, flat, strict=True)
        ]
        weights = [
            self._weights(tracer, index, y[index], prediction)
            for index, prediction in enumerate(flat)
        ]
        losses = _Losses(self.compiled, tracer)
        y, weights = (tree.pack_sequence_as(y_pred, t) for t in (y, weights))
        total = self._total(losses, y, y_pred, weights)
        rows = next(t for t in tree.flatten(x) if t is not None).shape[0]
        self.compiled.tracker.update_state(total, sample_weight=rows)
        if self.compiled.metrics is not None:
            update = self.compiled.metrics.update_state
            _guarded(tracer, "metrics", "Metric", update, y, y_pred, weights)
        return {"outputs": flat, "loss": total, "losses": losses.values}

    def _labels(self, tracer: StepTracer, label: Label, prediction: Any) -> Any:
        self.inputs.append(("y", label.output))
        return tracer.add_input(f"y/{label.output}", label.like(prediction), label.dtype)

    def _weights(self, tracer: StepTracer, index: int, y: Any, prediction: Any) -> Any:
        """One weight per value of the loss, so that weights of one change nothing at all."""
        name = self.compiled.labels[index].output
        self.inputs.append(("sample_weight", name))
        shape = (prediction.shape[0],)
        loss = self.compiled.loss
        if loss is not None and index in (indices := output_indices(loss)):
            function = loss._flat_losses[indices.index(index)].loss
            values = _guarded(tracer, name, _called(function), _values, function, y, prediction)
            shape = tuple(values.shape) or shape
        return tracer.add_input(f"sample_weight/{name}", shape, "float32")

    def _total(self, losses: _Losses, y: Any, y_pred: Any, weights: Any) -> Any:
        found = []
        if self.compiled.loss is not None:
            total = losses(y, y_pred, weights)
            if total is not None:
                found.append(total)
        found += [_summed(loss) for loss in self.model.losses]
        return found[0] if len(found) == 1 else ops.sum(ops.stack(found))


def _values(loss: Any, y: Any, prediction: Any) -> Any:
    """The values a loss reduces; traced to learn their shape, and then not read by anything."""
    y = ops.convert_to_tensor(y, dtype=loss.dtype)
    values = loss.call(y, ops.convert_to_tensor(prediction, dtype=loss.dtype))
    # NB: Keras multiplies the one number with each weight, and adds up only if there are some.
    if values.shape == () and getattr(loss, "reduction", None) in ("sum", "none", None):
        raise ValueError(
            f"it is one number for the whole batch, which reduction={loss.reduction!r} counts once "
            "for each sample with weights and once without; with reduction='sum_over_batch_size' "
            "it is the same without weights"
        )
    return values


def _summed(loss: Any) -> Any:
    if not backend.is_float_dtype(loss.dtype):
        loss = ops.cast(loss, dtype=backend.floatx())
    return ops.sum(loss)


class _Losses:
    """Keras's weighted sum of the losses, which notes what each of them is."""

    def __init__(self, compiled: Compiled, tracer: StepTracer):
        self.values: list[Any] = []
        self._loss = compiled.loss
        self._tracer = tracer

    def __call__(self, y: Any, y_pred: Any, weights: Any) -> Any:
        loss = self._loss
        kept = loss._flat_losses
        loss._flat_losses = [
            entry._replace(loss=self._noting(entry.name, entry.loss)) for entry in kept
        ]
        try:
            # NB: Keras finds a loss's weights by the path it has in the structure of its own.
            struct = loss._y_pred_build_structure
            return loss(y, y_pred, tree.pack_sequence_as(struct, tree.flatten(weights)))
        finally:
            loss._flat_losses = kept

    def _noting(self, name: str, function: Callable) -> Callable:
        def call(y: Any, y_pred: Any, weights: Any) -> Any:
            value = _guarded(self._tracer, name, _called(function), function, y, y_pred, weights)
            self.values.append(value)
            return value

        return call


def _called(loss: Any) -> str:
    """What a user calls a loss: the function's name or the class's."""
    return getattr(getattr(loss, "fn", None), "__name__", type(loss).__name__)


def _guarded(tracer: StepTracer, path: str, class_name: str, function: Callable, *args: Any) -> Any:
    """Calls a loss or metric; what it raises becomes a problem of the export."""
    try:
        return function(*args)
    except (TraceAborted, MemoryError):
        raise
    # NB: it may be a user's, who can raise anything; the reason is told with what else is wrong.
    except Exception as e:
        advice = getattr(e, "advice", "") or f"{explain.advice(e)} {LABELS_ADVICE}"
        tracer.problem(path, class_name, explain.reason(e), advice)
        raise TraceAborted from e
