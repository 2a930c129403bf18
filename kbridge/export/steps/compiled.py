"""What `compile()` was given, built for the model's outputs; the model's own stays as it is."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import numpy as np
from keras import tree
from keras.src.trainers.compile_utils import CompileLoss, CompileMetrics

from kbridge import errors

LABELS_ADVICE = (
    "Pass labels= to export: a batch of labels in the structure fit() takes, whose shapes are used."
)


@dataclasses.dataclass
class Label:
    """What one output is compared with.

    Attributes:
        output: The output's name.
        dtype: Of the labels.
        drop: Which axis of the output they have not (class numbers in place of classes), or None.
        shape: Their shape where a sample tells it; None for a free size.
        ignored: The class number that the loss passes over, or None.
    """

    output: str
    dtype: str
    drop: int | None = None
    shape: tuple[int | None, ...] | None = None
    ignored: int | None = None

    def like(self, prediction: Any) -> tuple[int, ...]:
        """Their shape for a prediction of concrete shape."""
        sizes = list(prediction.shape)
        if self.shape is None:
            if self.drop is not None:
                del sizes[self.drop]
            return tuple(sizes)
        known = dict(enumerate(sizes))
        return tuple(known.get(i) if n is None else n for i, n in enumerate(self.shape))


@dataclasses.dataclass
class Compiled:
    """Losses and metrics of a model, ready to be traced.

    Attributes:
        names: Names of the outputs.
        labels: One for each output.
        loss: The losses, or None.
        metrics: The metrics, or None.
        tracker: The mean of the loss.
        initial: What each variable of a metric starts with, by the variable's `id`.
    """

    names: list[str]
    labels: list[Label]
    loss: CompileLoss | None
    metrics: CompileMetrics | None
    tracker: keras.metrics.Mean
    initial: dict[int, np.ndarray]

    @property
    def all_metrics(self) -> list[keras.metrics.Metric]:
        """In the order in which Keras tells them; the compiled ones are one of them."""
        found: list[Any] = [self.tracker]
        if self.metrics is not None:
            found.append(self.metrics)
        if self.loss is not None:
            found.extend(self.loss.metrics)
        return found


class Shaped:
    """Stands for a tensor where Keras only asks for its shape; a symbolic one would get a name."""

    def __init__(self, shape: tuple[int | None, ...], dtype: str):
        self.shape = tuple(shape)
        self.dtype = dtype


def compiled_of(model: Any, names: list[str], outputs: Any, sample: Any = None) -> Compiled:
    """Builds losses and metrics of what a model was compiled with.

    Args:
        model: A compiled model.
        names: Names of its outputs.
        outputs: Its answer with a `Shaped` in each place.
        sample: Labels in the structure `fit` takes, or None.

    Raises:
        UnsupportedModelError: The labels that a loss takes are unknown.
    """
    flat = tree.flatten(outputs)
    shapes = _sample_shapes(sample, len(flat))
    guesses = [Label(name, "float32", shape=s) for name, s in zip(names, shapes, strict=True)]
    losses = _losses_per_output(model, outputs, guesses)
    labels = [
        guess if guess.shape is not None else _label(guess.output, found, output)
        for guess, found, output in zip(guesses, losses, flat, strict=True)
    ]
    y_true = _labels(labels, outputs)
    loss, metrics = _loss_of(model), _metrics_of(model)
    if loss is not None:
        loss.build(y_true, outputs)
    if metrics is not None:
        metrics.build(y_true, outputs)
    compiled = Compiled(names, labels, loss, metrics, keras.metrics.Mean(name="loss"), {})
    for metric in compiled.all_metrics:
        _note_initial(metric, compiled.initial, y_true, outputs)
    return compiled


def _labels(labels: list[Label], outputs: Any) -> Any:
    flat = tree.flatten(outputs)
    made = [Shaped(x.like(o), x.dtype) for x, o in zip(labels, flat, strict=True)]
    return tree.pack_sequence_as(outputs, made)


# Keras internals ---------------------------------------------------------------------------------


def _loss_of(model: Any) -> CompileLoss | None:
    """A new one of what `compile` was given: the model's own is built by the first `fit`.

    NB: the losses and metrics in it are the user's. They are no copies, since Keras copies by
    configs, and those of some losses do not say all (Huber's leaves out its delta).
    """
    given = model._compile_loss
    if given is None:
        return None
    return CompileLoss(
        given._user_loss,
        given._user_loss_weights,
        output_names=getattr(model, "output_names", None),
    )


def _metrics_of(model: Any) -> CompileMetrics | None:
    given = model._compile_metrics
    if given is None:
        return None
    return CompileMetrics(
        given._user_metrics,
        given._user_weighted_metrics,
        output_names=getattr(model, "output_names", None),
    )


def output_indices(loss: CompileLoss) -> list[int]:
    """Which output each of the flat losses is of."""
    struct = loss._y_pred_build_structure
    indices = tree.pack_sequence_as(struct, list(range(len(tree.flatten(struct)))))
    found = []
    for entry in loss._flat_losses:
        place = indices
        for step in entry.path:
            place = place[step]
        found.append(place)
    return found


def _losses_per_output(model: Any, outputs: Any, guesses: list[Label]) -> list[list[Any]]:
    found: list[list[Any]] = [[] for _ in guesses]
    loss = _loss_of(model)
    if loss is not None:
        loss.build(_labels(guesses, outputs), outputs)
        for index, entry in zip(output_indices(loss), loss._flat_losses, strict=True):
            found[index].append(entry.loss)
        for name, user in _by_shape(model, loss):
            if guesses[0].shape is None:
                raise errors.UnsupportedModelError(
                    [
                        errors.Problem(
                            name,
                            "Loss",
                            f"which loss {user!r} is depends on the shape of the labels",
                            "Name it (binary_crossentropy, categorical_crossentropy, "
                            f"sparse_categorical_crossentropy). Or: {LABELS_ADVICE}",
                        )
                    ]
                )
    return found


def _by_shape(model: Any, loss: CompileLoss) -> list[tuple[str, str]]:
    user = tree.flatten(model._compile_loss._user_loss)
    return [("loss", u) for u in user if str(u).lower() in ("crossentropy", "ce")]


# Losses whose labels are numbers of classes.
_OF_CLASSES = (
    keras.losses.sparse_categorical_crossentropy,
    keras.losses.categorical_generalized_cross_entropy,
    keras.losses.circle,
)


def _label(output: str, losses: list[Any], prediction: Shaped) -> Label:
    functions = {getattr(loss, "fn", None) for loss in losses}
    if functions.intersection(_OF_CLASSES):
        ignored = [getattr(loss, "_fn_kwargs", {}).get("ignore_class") for loss in losses]
        last = len(prediction.shape) - 1
        return Label(output, "int32", drop=last, ignored=next(iter(ignored), None))
    if keras.losses.ctc in functions:
        reason = "the longest sentence of the labels is not known"
        raise errors.UnsupportedModelError([errors.Problem(output, "CTC", reason, LABELS_ADVICE)])
    return Label(output, "float32")


def _sample_shapes(sample: Any, count: int) -> list[tuple[int | None, ...] | None]:
    if sample is None:
        return [None] * count
    arrays = [np.asarray(array) for array in tree.flatten(sample)]
    if len(arrays) != count:
        raise errors.InvalidInputError(
            f"Expected labels= to hold one array for each of the model's {count} outputs. "
            f"Received: {len(arrays)}. Give them in the structure that fit() takes."
        )
    return [(None, *array.shape[1:]) for array in arrays]


def _note_initial(
    metric: keras.metrics.Metric, initial: dict[int, np.ndarray], y_true: Any, outputs: Any
) -> None:
    """Notes what a metric's variables start with; what they hold now comes back.

    NB: some metrics make their variables when they first see data.
    """
    before = [(v, keras.ops.convert_to_numpy(v)) for v in metric.variables]
    if isinstance(metric, CompileMetrics):
        metric.update_state(*(tree.map_structure(_zeros, t) for t in (y_true, outputs)))
    metric.reset_state()
    initial.update({id(v): keras.ops.convert_to_numpy(v) for v in metric.variables})
    for variable, value in before:
        variable.assign(value)


def _zeros(tensor: Shaped) -> Any:
    shape = [2 if size is None else size for size in tensor.shape]
    return keras.ops.zeros(shape, tensor.dtype)
