"""Masks of the losses, weights of samples and of classes: five steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, losses

import kbridge
from tests.training import parity
from tests.training.test_trainer import Trainer
from tests.weights import randomise

ROWS, STEPS, WORDS, CLASSES = 6 * parity.STEPS, 7, 9, 4
DRAW = np.random.default_rng(31)
# Sentences of different lengths, with holes in between.
TOKENS = DRAW.integers(1, WORDS, (ROWS, STEPS)) * (DRAW.uniform(size=(ROWS, STEPS)) < 0.7)
TOKENS = TOKENS.astype("int32")
NUMBERS = DRAW.normal(size=(ROWS, STEPS, 3)).astype("float32")
NUMBERS[:, 4:][DRAW.uniform(size=(ROWS, STEPS - 4)) < 0.5] = 0
LABELS = {
    "tags": DRAW.integers(0, CLASSES, (ROWS, STEPS)).astype("int32"),
    "values": DRAW.normal(size=(ROWS, STEPS, 2)).astype("float32"),
    "kind": DRAW.integers(0, CLASSES, ROWS).astype("int32"),
}


def masked(reduction: str) -> keras.Model:
    keras.utils.set_random_seed(8)
    tokens, numbers = keras.Input((STEPS,), dtype="int32"), keras.Input((STEPS, 3))
    words = layers.Embedding(WORDS, 4, mask_zero=True)(tokens)
    seen = layers.LSTM(5, return_sequences=True)(words)
    rows = layers.GRU(3, return_sequences=True)(layers.Masking()(numbers))
    outputs = {
        "tags": layers.Dense(CLASSES, activation="softmax", name="tags")(seen),
        "values": layers.TimeDistributed(layers.Dense(2), name="values")(rows),
        "kind": layers.Dense(CLASSES, name="kind")(layers.GlobalAveragePooling1D()(seen)),
    }
    model = randomise(keras.Model([tokens, numbers], outputs))
    sparse = losses.SparseCategoricalCrossentropy
    model.compile(
        keras.optimizers.SGD(0.5 if reduction != "sum" else 0.01),
        {
            "tags": sparse(reduction=reduction),
            "values": losses.MeanSquaredError(reduction=reduction),
            "kind": sparse(from_logits=True, reduction=reduction),
        },
        loss_weights={"tags": 1.0, "values": 0.7, "kind": 0.4},
        metrics={"tags": ["accuracy"], "values": ["mae"]},
        weighted_metrics={"tags": ["accuracy"], "kind": ["sparse_categorical_crossentropy"]},
        jit_compile=False,
    )
    return model


# NB: with a mask, Keras takes weights of steps only.
@pytest.mark.parametrize(
    ("reduction", "weights"),
    [
        ("sum_over_batch_size", "none"),
        ("sum_over_batch_size", "steps"),
        pytest.param("sum", "none", marks=pytest.mark.slow),
        pytest.param("sum", "steps", marks=pytest.mark.slow),
        pytest.param("mean_with_sample_weight", "none", marks=pytest.mark.slow),
        pytest.param("mean_with_sample_weight", "steps", marks=pytest.mark.slow),
    ],
)
def test_masks(
    jvm: Any, tmp_path: Path, record_property: Any, reduction: str, weights: str
) -> None:
    record_property("suite", "training steps, masks and weights")
    sizes = {"tags": (ROWS, STEPS), "values": (ROWS, STEPS), "kind": (ROWS,)}
    given = {n: DRAW.uniform(0, 2, size).astype("float32") for n, size in sizes.items()}
    found = parity.follow(
        masked(reduction),
        tmp_path / "m.h5",
        [TOKENS, NUMBERS],
        LABELS,
        None if weights == "none" else given,
    )
    parity.check(found)


@pytest.mark.parametrize("kind", ["numbers", "one hot"])
def test_class_weights(jvm: Any, tmp_path: Path, record_property: Any, kind: str) -> None:
    record_property("suite", "training steps, masks and weights")
    keras.utils.set_random_seed(8)
    model = keras.Sequential([keras.Input((3,)), layers.Dense(CLASSES, activation="softmax")])
    prefix = "sparse_" if kind == "numbers" else ""
    model.compile(
        keras.optimizers.SGD(0.2),
        f"{prefix}categorical_crossentropy",
        weighted_metrics=["accuracy"],
    )
    x, y = NUMBERS[:, 0], LABELS["kind"]
    if kind == "one hot":
        y = np.eye(CLASSES, dtype="float32")[y]
    kbridge.export(model, tmp_path / "m.h5")
    before = model.get_weights()
    options = {"batch_size": 6, "class_weight": {0: 0.3, 2: 2.5}, "shuffle": False, "verbose": 0}
    with kbridge.load(tmp_path / "m.h5") as loaded:
        expected, found = model.fit(x, y, **options), loaded.fit(x, y, **options)
        for name, numbers in expected.history.items():
            np.testing.assert_allclose(found.history[name], numbers, rtol=parity.RTOL)
        for arrays in zip(before, model.get_weights(), loaded.get_weights(), strict=True):
            assert parity.compared(*arrays, train=True).problem() is None


def test_java_takes_weights_of_samples_for_all_their_steps(jvm: Any, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((STEPS, 3)), layers.Dense(2, name="values")])
    model.compile("sgd", "mse")
    kbridge.export(model, tmp_path / "m.h5")
    weights = DRAW.uniform(0, 2, ROWS).astype("float32")
    found = []
    for given in (weights, weights[:, None], np.repeat(weights[:, None], STEPS, 1)):
        trainer = Trainer(tmp_path / "m.h5", "nd4j")
        trainer.train(NUMBERS, LABELS["values"], given)
        found.append(trainer.variables())
        trainer.close()
    for name, value in found[-1].items():
        for other in found[:-1]:
            np.testing.assert_array_equal(other[name], value, name)
    assert np.abs(found[0]["values/bias"]).max() > 0


def test_weights_of_samples_where_the_sum_of_the_weights_counts(jvm: Any, tmp_path: Path) -> None:
    """Keras divides by the sum of the weights as given: (n,) is not the same as (n, steps)."""
    model = keras.Sequential([keras.Input((STEPS, 3)), layers.Dense(2, name="values")])
    model.compile("sgd", losses.MeanSquaredError(reduction="mean_with_sample_weight"))
    kbridge.export(model, tmp_path / "m.h5")
    with (
        kbridge.load(tmp_path / "m.h5") as loaded,
        pytest.raises(kbridge.InvalidInputError, match="sample weights of 'values' with the shape"),
    ):
        loaded.train_on_batch(NUMBERS, LABELS["values"], np.ones(ROWS, "float32"))
