"""Every loss of Keras with its options, as traced into the steps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tests.steps.harness import check, zero_rate
from tests.weights import randomise

losses = keras.losses
_RNG = np.random.default_rng(11)
_ROWS, _CLASSES = 7, 5


def _any(*shape: int) -> np.ndarray:
    return _RNG.normal(size=(_ROWS, *shape)).astype("float32")


def _unit(*shape: int) -> np.ndarray:
    return _RNG.uniform(0.02, 0.98, (_ROWS, *shape)).astype("float32")


def _binary(*shape: int) -> np.ndarray:
    return _RNG.integers(0, 2, (_ROWS, *shape)).astype("float32")


def _signs(*shape: int) -> np.ndarray:
    return 2 * _binary(*shape) - 1


def _distribution(*shape: int) -> np.ndarray:
    raw = _unit(*shape)
    return raw / raw.sum(-1, keepdims=True)


def _one_hot(*shape: int) -> np.ndarray:
    return np.eye(shape[-1], dtype="float32")[_RNG.integers(0, shape[-1], (_ROWS, *shape[:-1]))]


def _classes(*shape: int) -> np.ndarray:
    return _RNG.integers(0, _CLASSES, (_ROWS, *shape)).astype("int32")


# What the last layer gives: numbers, probabilities each for itself, or of classes.
_ACTIVATIONS = {"numbers": None, "each": "sigmoid", "classes": "softmax", "positive": "softplus"}

Entry = tuple[Any, str, Callable, tuple[int, ...]]


def _regression() -> list[Entry]:
    plain = [
        losses.MeanSquaredError(),
        losses.MeanSquaredError(reduction="sum"),
        losses.MeanSquaredError(reduction="mean_with_sample_weight"),
        losses.MeanAbsoluteError(),
        losses.Huber(),
        losses.Huber(delta=0.3),
        losses.LogCosh(),
        losses.CosineSimilarity(),
        losses.CosineSimilarity(axis=1, reduction="sum"),
        "mse",
        "mae",
        "log_cosh",
        "huber",
    ]
    found: list[Entry] = [(loss, "numbers", _any, (3,)) for loss in plain]
    found += [
        (losses.MeanSquaredLogarithmicError(), "positive", _unit, (3,)),
        ("msle", "positive", _unit, (3,)),
        (losses.MeanAbsolutePercentageError(), "positive", _unit, (3,)),
        ("mape", "positive", _unit, (3,)),
        (losses.Poisson(), "positive", _unit, (3,)),
        ("poisson", "positive", _unit, (3,)),
        (losses.MeanSquaredError(), "numbers", _any, (4, 3)),
        (losses.MeanAbsoluteError(reduction="sum"), "numbers", _any, (4, 3)),
        (losses.MeanSquaredError(dtype="float64"), "numbers", _any, (2,)),
    ]
    return found


def _probabilities() -> list[Entry]:
    each = [
        losses.BinaryCrossentropy(),
        losses.BinaryCrossentropy(label_smoothing=0.2),
        losses.BinaryCrossentropy(axis=1),
        losses.BinaryFocalCrossentropy(),
        losses.BinaryFocalCrossentropy(apply_class_balancing=True, alpha=0.3, gamma=1.5),
        losses.BinaryFocalCrossentropy(label_smoothing=0.1),
        losses.Dice(),
        losses.Dice(axis=(1,)),
        losses.Tversky(),
        losses.Tversky(alpha=0.3, beta=0.7, axis=1),
        "binary_crossentropy",
        "binary_focal_crossentropy",
    ]
    classes = [
        losses.CategoricalCrossentropy(),
        losses.CategoricalCrossentropy(label_smoothing=0.1),
        losses.CategoricalFocalCrossentropy(),
        losses.CategoricalFocalCrossentropy(alpha=0.5, gamma=1.0, label_smoothing=0.1),
        losses.KLDivergence(),
        losses.CategoricalHinge(),
        "categorical_crossentropy",
        "kl_divergence",
    ]
    found: list[Entry] = [(loss, "each", _binary, (4,)) for loss in each]
    found += [(loss, "classes", _one_hot, (_CLASSES,)) for loss in classes]
    found += [
        (losses.KLDivergence(), "classes", _distribution, (_CLASSES,)),
        (losses.CategoricalCrossentropy(axis=1), "classes", _one_hot, (3, _CLASSES)),
        (losses.Hinge(), "numbers", _signs, (3,)),
        (losses.Hinge(), "numbers", _binary, (3,)),
        (losses.SquaredHinge(), "numbers", _signs, (3,)),
        (losses.BinaryCrossentropy(), "numbers_clipped", _binary, (3,)),
        (losses.CategoricalCrossentropy(), "classes_clipped", _one_hot, (_CLASSES,)),
    ]
    return found


def _logits() -> list[Entry]:
    sparse = losses.SparseCategoricalCrossentropy
    return [
        (losses.BinaryCrossentropy(from_logits=True), "numbers", _binary, (3,)),
        (losses.BinaryFocalCrossentropy(from_logits=True), "numbers", _binary, (3,)),
        (losses.CategoricalCrossentropy(from_logits=True), "numbers", _one_hot, (_CLASSES,)),
        (losses.CategoricalFocalCrossentropy(from_logits=True), "numbers", _one_hot, (_CLASSES,)),
        (sparse(from_logits=True), "numbers", _classes, (_CLASSES,)),
        (sparse(), "classes", _classes, (_CLASSES,)),
        (sparse(), "classes_clipped", _classes, (_CLASSES,)),
        (sparse(ignore_class=2), "classes", _classes, (3, _CLASSES)),
        (sparse(from_logits=True, reduction="sum"), "numbers", _classes, (3, _CLASSES)),
        ("sparse_categorical_crossentropy", "classes", _classes, (3, _CLASSES)),
        (losses.CategoricalGeneralizedCrossEntropy(q=0.6), "classes", _classes, (_CLASSES,)),
        (losses.Circle(), "normal", _classes, (_CLASSES,)),
        (losses.Circle(gamma=20.0, margin=0.2), "normal", _classes, (_CLASSES,)),
    ]


def _output(i: int, hidden: Any, kind: str, shape: tuple[int, ...]) -> Any:
    layers = keras.layers
    y = layers.Dense(int(np.prod(shape)), name=f"dense{i}")(hidden)
    y = layers.Reshape(shape, name=f"reshape{i}")(y)
    name = f"out{i}"
    if kind == "normal":
        return layers.UnitNormalization(name=name)(y)
    if kind.endswith("_clipped"):
        # NB: no activation of which Keras would take the logits; some are clipped.
        kind = "each" if kind.startswith("numbers") else "classes"
        y = layers.Activation(_ACTIVATIONS[kind], name=f"activation{i}")(y)
        return layers.Rescaling(1.0, name=name)(y)
    return layers.Activation(_ACTIVATIONS[kind] or "linear", name=name)(y)


def _model(entries: list[Entry], weights: list[float] | None) -> keras.Model:
    keras.utils.set_random_seed(3)
    x = keras.Input((6,), name="x")
    hidden = keras.layers.Dense(8, activation="tanh", name="hidden")(x)
    outputs = [_output(i, hidden, kind, s) for i, (_, kind, _, s) in enumerate(entries)]
    model = randomise(keras.Model(x, outputs))
    model.compile(zero_rate(), [entry[0] for entry in entries], loss_weights=weights)
    return model


def _labels(entry: Entry) -> np.ndarray:
    _, _, make, shape = entry
    return make(*shape[:-1]) if make is _classes else make(*shape)


FAMILIES = {"regression": _regression, "probabilities": _probabilities, "logits": _logits}


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("family", FAMILIES)
def test_losses(jvm: Any, tmp_path: Path, family: str, weighted: bool) -> None:
    entries = FAMILIES[family]()
    weights = [0.5 + 0.1 * i for i in range(len(entries))] if weighted else None
    model = _model(entries, weights)
    y = [_labels(entry) for entry in entries]
    samples = _sample_weights(entries, y) if weighted else None
    check(model, tmp_path, [_any(6)], y, samples, labels=y)


def _sample_weights(entries: list[Entry], y: list[np.ndarray]) -> list[np.ndarray]:
    """One for each value of the loss: the labels' shape without the axis of classes."""
    found = []
    for (loss, _, make, _), label in zip(entries, y, strict=True):
        shape = list(label.shape)
        if make is not _classes and len(shape) > 1:
            axis = getattr(loss, "_fn_kwargs", {}).get("axis", -1)
            del shape[axis if isinstance(axis, int) else -1]
        found.append(_RNG.uniform(0, 2, shape).astype("float32"))
    return found
