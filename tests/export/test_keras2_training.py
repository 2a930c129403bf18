"""compile()'s arguments and the optimizer's state as Keras 2 reads them: training goes on there."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from kbridge.export import keras2
from tests.export.keras2_files import (
    randomise,
    tf_keras,
    weighted,
    write_compiled,
)

L = layers

opt = keras.optimizers
OPTIMIZERS = {
    "Adadelta": lambda: opt.Adadelta(0.3, rho=0.9),
    "Adagrad": lambda: opt.Adagrad(0.1, initial_accumulator_value=0.2),
    "Adam": lambda: opt.Adam(0.01, beta_1=0.8, amsgrad=True, clipnorm=0.5),
    "Adam_schedule": lambda: opt.Adam(opt.schedules.ExponentialDecay(0.1, 2, 0.7, staircase=True)),
    "AdamW": lambda: opt.AdamW(0.01, weight_decay=0.1, use_ema=True, ema_momentum=0.9),
    "Adamax": lambda: opt.Adamax(0.05),
    "Ftrl": lambda: opt.Ftrl(0.1, l1_regularization_strength=0.01, beta=0.1),
    "RMSprop": lambda: opt.RMSprop(0.01, momentum=0.5, centered=True),
    "SGD_momentum": lambda: opt.SGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "SGD_schedule": lambda: opt.SGD(
        opt.schedules.CosineDecay(0.1, 10, warmup_target=0.2, warmup_steps=2), momentum=0.5
    ),
}


def trained(optimizer, **compiled):
    model = keras.Sequential([keras.Input((4,)), L.Dense(5, activation="tanh"), L.Dense(3)])
    randomise(model)
    compiled = {"loss": "mse"} | compiled
    model.compile(optimizer, **compiled)
    model.fit(*batch(), epochs=3, batch_size=6, verbose=0)
    return model


def batch():
    rng = np.random.default_rng(3)
    return rng.normal(size=(12, 4)).astype("float32"), rng.random((12, 3)).astype("float32")


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_goes_on_in_keras_2(name, tmp_path):
    """The next steps are the same, so nothing of the state was lost or mixed up."""
    model = trained(OPTIMIZERS[name]())
    loaded = tf_keras.models.load_model(write_compiled(model, tmp_path / "m.h5"))
    assert int(loaded.optimizer.iterations) == int(model.optimizer.iterations) == 6
    for _ in range(3):
        model.train_on_batch(*batch())
        loaded.train_on_batch(*batch())
    for a, e in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(a, e, rtol=1e-4, atol=1e-6)


def test_sgd_without_momentum_starts_afresh(tmp_path):
    model = trained(opt.SGD(0.1))
    assert keras2.keras2_optimizer_names(model, ["/optimizer_weights/0/iteration"] * 2) is None
    loaded = tf_keras.models.load_model(write_compiled(model, tmp_path / "m.h5"))
    model.train_on_batch(*batch())
    loaded.train_on_batch(*batch())
    for a, e in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(a, e, rtol=1e-5, atol=1e-6)


C = keras.losses
LOSSES = [
    "mse", "mean_absolute_error", "huber", "kl_divergence", "poisson", "cosine_similarity",
    C.mean_squared_logarithmic_error, C.MeanSquaredError(reduction="sum"), C.LogCosh(),
    C.Huber(delta=0.4), C.CosineSimilarity(axis=0), C.Hinge(), C.SquaredHinge(),
    C.BinaryCrossentropy(from_logits=True, label_smoothing=0.1), C.CategoricalHinge(),
    C.CategoricalCrossentropy(from_logits=True), C.BinaryFocalCrossentropy(gamma=1.5, alpha=0.3),
    C.CategoricalFocalCrossentropy(from_logits=True), C.KLDivergence(), C.Poisson(),
    C.MeanAbsoluteError(), C.MeanAbsolutePercentageError(), C.MeanSquaredLogarithmicError(),
]  # fmt: skip


# NB: no addresses in the names: the processes of a test run have to agree on them.
@pytest.mark.parametrize(
    "loss",
    LOSSES,
    ids=[f"{i}-{getattr(loss, 'name', 'function')}" for i, loss in enumerate(LOSSES)],
)
def test_losses_are_the_same_in_keras_2(loss, tmp_path):
    model = trained(opt.SGD(0.0), loss=loss)
    loaded = tf_keras.models.load_model(write_compiled(model, tmp_path / "m.h5"))
    x, y = batch()
    expected = model.test_on_batch(x, y)
    np.testing.assert_allclose(loaded.test_on_batch(x, y), expected, rtol=1e-5, atol=1e-6)


def test_metrics_and_structures_are_the_same_in_keras_2(tmp_path):
    inputs = keras.Input((4,))
    model = keras.Model(inputs, [L.Dense(3, name="a")(inputs), L.Dense(1, name="b")(inputs)])
    model.compile(
        opt.Adam(),
        loss={"a": "mse", "b": C.BinaryCrossentropy(from_logits=True)},
        loss_weights={"a": 0.3, "b": 2.0},
        metrics={"a": ["mae", keras.metrics.RootMeanSquaredError(name="r")], "b": ["accuracy"]},
        weighted_metrics={
            "a": ["mse"],
            "b": [keras.metrics.AUC(num_thresholds=50, from_logits=True, name="auc")],
        },
    )
    x, a = batch()
    b = (a[:, :1] > 0.5).astype("float32")
    model.fit(x, [a, b], verbose=0)
    loaded = tf_keras.models.load_model(write_compiled(model, tmp_path / "m.h5"))
    expected = model.evaluate(x, [a, b], verbose=0, return_dict=True)
    actual = loaded.evaluate(x, [a, b], verbose=0, return_dict=True)
    # NB: Keras 2 does not put the output's name before the metric's when it loads a model.
    names = {
        "a_mae": "mean_absolute_error",
        "a_mse": "mean_squared_error",
        "a_r": "r",
        "b_accuracy": "accuracy",
        "b_auc": "auc",
    }
    assert set(actual) == {names.get(name, name) for name in expected}
    for name, value in expected.items():
        np.testing.assert_allclose(actual[names.get(name, name)], value, rtol=1e-5, err_msg=name)


REFUSED_COMPILES = {
    "optimizer": {"optimizer": lambda: opt.Lamb()},
    "accumulation": {"optimizer": lambda: opt.Adam(gradient_accumulation_steps=2)},
    "loss_class": {"loss": C.Dice()},
    "own_loss": {"loss": lambda y, p: keras.ops.mean((y - p) ** 2)},
    "reduction": {"loss": C.MeanSquaredError(reduction="mean")},
    "metric": {"metrics": [keras.metrics.R2Score()]},
    "lion": {"optimizer": lambda: opt.Lion()},
    "nadam": {"optimizer": lambda: opt.Nadam()},
    "scaled": {"optimizer": lambda: opt.LossScaleOptimizer(opt.SGD())},
}


@pytest.mark.parametrize("name", REFUSED_COMPILES)
def test_what_keras_2_cannot_say_of_training_is_refused(name):
    given = dict(REFUSED_COMPILES[name])
    optimizer = given.pop("optimizer", opt.SGD)()
    model = weighted()
    model.compile(optimizer, **({"loss": "mse"} | given))
    assert keras2.keras2_model_config(model) is not None
    assert keras2.keras2_training_config(model) is None


def test_weight_decay_exclusions_are_refused():
    optimizer = opt.AdamW()
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    model = weighted()
    model.compile(optimizer, "mse")
    assert keras2.keras2_training_config(model) is None


def test_a_model_that_is_not_compiled_has_no_training_config():
    assert keras2.keras2_training_config(weighted()) is None
