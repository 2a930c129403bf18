"""Every loss of Keras with its options, and labels for each.

A case is a branch of a model: an output of its own, with weights that nothing else reads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import layers, losses

from tests.weights import randomise

ROWS, CLASSES = 30, 5
_REDUCTIONS = ("sum", "mean_with_sample_weight")
_RNG = np.random.default_rng(11)


class LossCase(NamedTuple):
    """A loss.

    Attributes:
        loss: It, or its name.
        kind: What the last layer gives, a key of `_ACTIVATIONS`; with `_clipped` behind it Keras
            cannot take the logits.
        labels: Makes labels of a shape.
        shape: The output's shape, without the batch.
        weight: Its loss weight, so that steps of one learning rate suit all.
    """

    loss: Any
    kind: str
    labels: Callable[..., np.ndarray]
    shape: tuple[int, ...]
    weight: float = 1.0


def numbers(*shape: int) -> np.ndarray:
    """Normally distributed."""
    return _RNG.normal(size=(ROWS, *shape)).astype("float32")


def _unit(*shape: int) -> np.ndarray:
    return _RNG.uniform(0.02, 0.98, (ROWS, *shape)).astype("float32")


def _binary(*shape: int) -> np.ndarray:
    return _RNG.integers(0, 2, (ROWS, *shape)).astype("float32")


def _signs(*shape: int) -> np.ndarray:
    return 2 * _binary(*shape) - 1


def _distribution(*shape: int) -> np.ndarray:
    raw = _unit(*shape)
    return raw / raw.sum(-1, keepdims=True)


def _one_hot(*shape: int) -> np.ndarray:
    return np.eye(shape[-1], dtype="float32")[_RNG.integers(0, shape[-1], (ROWS, *shape[:-1]))]


def _classes(*shape: int) -> np.ndarray:
    return _RNG.integers(0, CLASSES, (ROWS, *shape[:-1])).astype("int32")


def _sentences(*shape: int) -> np.ndarray:
    """Class numbers from 1, with neighbours that are equal, then zeros from some place on."""
    found = _RNG.integers(1, CLASSES, (ROWS, 4)).astype("int32")
    found[np.arange(4) >= _RNG.integers(0, 5, (ROWS, 1))] = 0
    return found


_ACTIVATIONS = {"numbers": None, "each": "sigmoid", "classes": "softmax", "positive": "softplus"}


def _regression() -> list[LossCase]:
    plain = [
        losses.MeanSquaredError,
        losses.MeanAbsoluteError,
        losses.Huber,
        losses.LogCosh,
        losses.CosineSimilarity,
    ]
    options = [
        losses.Huber(delta=0.3),
        losses.CosineSimilarity(axis=1, reduction="sum"),
        "mse",
        "mae",
        "log_cosh",
        "huber",
        "cosine_similarity",
    ]
    positive = [
        (losses.MeanSquaredLogarithmicError, "msle", 1.0),
        (losses.MeanAbsolutePercentageError, "mape", 0.002),
        (losses.Poisson, "poisson", 1.0),
    ]
    found = [LossCase(loss(), "numbers", numbers, (3,)) for loss in plain]
    found += [
        LossCase(loss(reduction=r), "numbers", numbers, (3,)) for loss in plain for r in _REDUCTIONS
    ]
    found += [LossCase(loss, "numbers", numbers, (3,)) for loss in options]
    for loss, name, weight in positive:
        chosen = [loss(), name, *(loss(reduction=r) for r in _REDUCTIONS)]
        found += [LossCase(each, "positive", _unit, (3,), weight) for each in chosen]
    return [
        *found,
        LossCase(losses.MeanSquaredError(), "numbers", numbers, (4, 3)),
        LossCase(losses.MeanAbsoluteError(reduction="sum"), "numbers", numbers, (4, 3)),
        LossCase(losses.CosineSimilarity(axis=1), "numbers", numbers, (4, 3)),
        LossCase(losses.MeanSquaredError(dtype="float64"), "numbers", numbers, (2,)),
    ]


def _probabilities() -> list[LossCase]:
    each = [
        losses.BinaryCrossentropy(),
        losses.BinaryCrossentropy(label_smoothing=0.2),
        losses.BinaryCrossentropy(axis=1, reduction="sum"),
        losses.BinaryCrossentropy(reduction="mean_with_sample_weight"),
        losses.BinaryFocalCrossentropy(),
        losses.BinaryFocalCrossentropy(apply_class_balancing=True, alpha=0.3, gamma=1.5),
        losses.BinaryFocalCrossentropy(label_smoothing=0.1, reduction="sum"),
        losses.Dice(),
        losses.Dice(axis=(1,), reduction="sum"),
        losses.Tversky(),
        losses.Tversky(alpha=0.3, beta=0.7, axis=1),
        losses.Tversky(alpha=0.2),
        "binary_crossentropy",
        "binary_focal_crossentropy",
        "dice",
        "tversky",
    ]
    classes = [
        losses.CategoricalCrossentropy(),
        losses.CategoricalCrossentropy(label_smoothing=0.1, reduction="sum"),
        losses.CategoricalCrossentropy(reduction="mean_with_sample_weight"),
        losses.CategoricalFocalCrossentropy(),
        losses.CategoricalFocalCrossentropy(alpha=0.5, gamma=1.0, label_smoothing=0.1),
        losses.CategoricalFocalCrossentropy(alpha=[0.1, 0.2, 0.3, 0.4, 0.5], reduction="sum"),
        losses.KLDivergence(),
        losses.KLDivergence(reduction="sum"),
        losses.CategoricalHinge(),
        losses.CategoricalHinge(reduction="sum"),
        "categorical_crossentropy",
        "categorical_focal_crossentropy",
        "categorical_hinge",
        "kl_divergence",
    ]
    hinges = [losses.Hinge, losses.SquaredHinge]
    found = [LossCase(loss, "each", _binary, (4,)) for loss in each]
    found += [LossCase(loss, "classes", _one_hot, (CLASSES,)) for loss in classes]
    found += [
        LossCase(loss(), "numbers", make, (3,)) for loss in hinges for make in (_signs, _binary)
    ]
    found += [
        LossCase(loss(reduction=r), "numbers", _signs, (3,)) for loss in hinges for r in _REDUCTIONS
    ]
    image = (3, 4, 2)
    return [
        *found,
        LossCase("hinge", "numbers", _signs, (3,)),
        LossCase("squared_hinge", "numbers", _signs, (3,)),
        LossCase(losses.KLDivergence(), "classes", _distribution, (CLASSES,)),
        LossCase(losses.CategoricalCrossentropy(axis=1), "classes", _one_hot, (3, CLASSES)),
        LossCase(losses.CategoricalFocalCrossentropy(axis=1), "classes", _one_hot, (3, CLASSES)),
        LossCase(losses.BinaryFocalCrossentropy(axis=1), "each", _binary, (3, 4)),
        LossCase(losses.Dice(axis=(1, 2)), "each", _binary, image),
        LossCase(losses.Tversky(axis=(1, 2, 3)), "each", _binary, image),
        LossCase(losses.BinaryCrossentropy(), "each_clipped", _binary, (3,)),
        LossCase(losses.CategoricalCrossentropy(), "classes_clipped", _one_hot, (CLASSES,)),
    ]


def _logits() -> list[LossCase]:
    sparse = losses.SparseCategoricalCrossentropy
    binary, focal = losses.BinaryCrossentropy, losses.BinaryFocalCrossentropy
    general = losses.CategoricalGeneralizedCrossEntropy
    categorical = losses.CategoricalCrossentropy
    categorical_focal = losses.CategoricalFocalCrossentropy
    one, many = (CLASSES,), (3, CLASSES)
    return [
        LossCase(binary(from_logits=True), "numbers", _binary, (3,)),
        LossCase(binary(from_logits=True, label_smoothing=0.3), "numbers", _binary, (3,)),
        LossCase(focal(from_logits=True), "numbers", _binary, (3,)),
        LossCase(focal(from_logits=True, gamma=3.0), "numbers", _binary, (3,)),
        LossCase(categorical(from_logits=True), "numbers", _one_hot, one),
        LossCase(categorical(from_logits=True, label_smoothing=0.2), "numbers", _one_hot, one),
        LossCase(categorical_focal(from_logits=True), "numbers", _one_hot, one),
        LossCase(sparse(from_logits=True), "numbers", _classes, one),
        LossCase(sparse(), "classes", _classes, one),
        LossCase(sparse(reduction="sum"), "classes", _classes, one),
        LossCase(sparse(reduction="mean_with_sample_weight"), "classes", _classes, many),
        LossCase(sparse(), "classes_clipped", _classes, one),
        LossCase(sparse(ignore_class=2), "classes", _classes, many),
        LossCase(sparse(ignore_class=2), "classes", _classes, one),
        LossCase(sparse(ignore_class=0, from_logits=True), "numbers", _classes, many),
        LossCase(sparse(from_logits=True, reduction="sum"), "numbers", _classes, many),
        LossCase("sparse_categorical_crossentropy", "classes", _classes, many),
        LossCase(general(q=0.6), "classes", _classes, one),
        LossCase(general(), "classes", _classes, many),
        LossCase(general(q=0.3, reduction="sum"), "classes", _classes, one),
        LossCase(losses.Circle(), "normal", _classes, one, 0.01),
        LossCase(losses.Circle(gamma=20.0, margin=0.2), "normal", _classes, one, 0.01),
        LossCase(losses.CTC(), "numbers", _sentences, (9, CLASSES), 0.2),
        LossCase(losses.CTC(reduction="sum"), "numbers", _sentences, (9, CLASSES), 0.2),
        LossCase("ctc", "numbers", _sentences, (9, CLASSES), 0.2),
    ]


FAMILIES = {"regression": _regression(), "probabilities": _probabilities(), "logits": _logits()}


def label(case: LossCase) -> str:
    """Says which loss it is."""
    if isinstance(case.loss, str):
        return f"'{case.loss}'"
    options = {**getattr(case.loss, "_fn_kwargs", {}), "reduction": case.loss.reduction}
    told = ", ".join(f"{name}={value}" for name, value in options.items())
    return f"{type(case.loss).__name__}({told}) of {case.kind} {case.shape}"


def branches(cases: list[LossCase]) -> keras.Model:
    """A model with an output for each case, `out<i>`, whose weights are `dense<i>`'s."""
    x = keras.Input((6,), name="x")
    return randomise(keras.Model(x, [_branch(i, x, case) for i, case in enumerate(cases)]))


def _branch(i: int, x: Any, case: LossCase) -> Any:
    y = layers.Dense(int(np.prod(case.shape)), name=f"dense{i}")(x)
    y = layers.Reshape(case.shape, name=f"reshape{i}")(y)
    kind, name = case.kind, f"out{i}"
    if kind == "normal":
        return layers.UnitNormalization(name=name)(y)
    if kind.endswith("_clipped"):
        # NB: no activation of which Keras would take the logits; some are clipped.
        kind = kind.removesuffix("_clipped")
        y = layers.Activation(_ACTIVATIONS[kind], name=f"activation{i}")(y)
        return layers.Rescaling(1.0, name=name)(y)
    return layers.Activation(_ACTIVATIONS[kind] or "linear", name=name)(y)


def sample_weights(case: LossCase, labels: np.ndarray) -> np.ndarray:
    """One for each value of the loss; some are 0."""
    shape = loss_shape(case, labels)
    return np.maximum(0, _RNG.uniform(-0.3, 2, shape)).astype("float32")


def loss_shape(case: LossCase, labels: np.ndarray) -> tuple[int, ...]:
    """The shape of what the loss reduces; that of the batch where it gives one number for all."""
    loss = keras.losses.get(case.loss)
    function, options = getattr(loss, "fn", loss), getattr(loss, "_fn_kwargs", {})
    predictions = keras.ops.full((len(labels), *case.shape), 0.5)
    found = function(keras.ops.convert_to_tensor(labels), predictions, **options)
    return tuple(found.shape) or (len(labels),)
