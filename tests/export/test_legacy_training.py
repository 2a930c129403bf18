"""Training state of Keras 2 files: after reading one, the next training step is tf_keras's own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
import pytest
import tf_keras

from kbridge.export.sources import open_source

NEW = tf_keras.optimizers
OLD = tf_keras.optimizers.legacy
OPTIMIZERS = {
    "sgd": lambda: NEW.SGD(0.05),
    "momentum": lambda: NEW.SGD(0.05, momentum=0.9, nesterov=True),
    "adam": lambda: NEW.Adam(0.01, amsgrad=True, clipnorm=1.0),
    "adamw": lambda: NEW.AdamW(0.01, weight_decay=0.02),
    "rmsprop": lambda: NEW.RMSprop(0.01, momentum=0.5, centered=True),
    "adagrad": lambda: NEW.Adagrad(0.05),
    "adadelta": lambda: NEW.Adadelta(0.5),
    "adamax": lambda: NEW.Adamax(0.01),
    "nadam": lambda: NEW.Nadam(0.01),
    "ftrl": lambda: NEW.Ftrl(0.05),
    "lion": lambda: NEW.Lion(0.01),
    "schedule": lambda: NEW.Adam(NEW.schedules.ExponentialDecay(0.05, 2, 0.5)),
    "old_sgd_decay": lambda: OLD.SGD(0.05, momentum=0.9, decay=0.1),
    "old_adam": lambda: OLD.Adam(0.01, amsgrad=True),
    "old_adagrad": lambda: OLD.Adagrad(0.05),
    "old_adadelta": lambda: OLD.Adadelta(0.5),
    "old_adamax": lambda: OLD.Adamax(0.01),
    "old_ftrl": lambda: OLD.Ftrl(0.05),
}


@pytest.fixture(autouse=True)
def fresh_names() -> None:
    tf_keras.backend.clear_session()
    keras.utils.clear_session()


def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(16, 6)).astype("f4"), rng.uniform(size=(16, 3)).astype("f4")


def trained(optimizer: Any, **compile_args: Any) -> Any:
    layers = tf_keras.layers
    model = tf_keras.Sequential(
        [
            tf_keras.Input((6,)),
            layers.Dense(5, activation="tanh", kernel_regularizer="l2"),
            layers.PReLU(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    model.layers[0].trainable = compile_args.pop("first", True)
    # NB: eager, since tracing a graph takes longer than these steps.
    model.compile(optimizer, **{"loss": "mse", "run_eagerly": True, **compile_args})
    for _ in range(3):
        model.train_on_batch(*data())
    return model


def check_next_steps(model: Any, restored: keras.Model) -> None:
    x, y = data()
    restored.run_eagerly = True
    before = [np.array(w) for w in model.get_weights()]
    for _ in range(2):
        model.train_on_batch(x, y)
        restored.train_on_batch(x, y)
    for start, native, ours in zip(
        before, model.get_weights(), restored.get_weights(), strict=True
    ):
        moved = np.abs(native - start).max()
        # NB: float32 sums in another order: measured at most 2e-5 of two steps.
        assert np.abs(native - ours).max() <= 2e-4 * moved + 1e-7


# NB: archives differ from HDF5 files in where the state lies, not in what the optimizer is.
# tf_keras saves no legacy optimizers in them.
IN_ARCHIVES = ("adam", "sgd")
FILES = [
    pytest.param(
        name,
        suffix,
        marks=() if suffix == "h5" or name in IN_ARCHIVES else pytest.mark.slow,
        id=f"{suffix}-{name}",
    )
    for name in sorted(OPTIMIZERS)
    for suffix in ("h5", "keras")
    if suffix == "h5" or not name.startswith("old_")
]


@pytest.mark.parametrize(("name", "suffix"), FILES)
def test_training_goes_on(name: str, suffix: str, tmp_path: Path) -> None:
    model = trained(OPTIMIZERS[name]())
    path = tmp_path / f"model.{suffix}"
    model.save(path, save_format="h5" if suffix == "h5" else "keras")
    source = open_source(path)
    assert source.model.compiled
    assert int(source.model.optimizer.iterations) == 3
    assert not [note for note in source.notes if "not restored" in note]
    if name == "nadam":
        assert any("momentum product" in note for note in source.notes)
        return
    check_next_steps(model, source.model)


def test_frozen_layers_have_no_state(tmp_path: Path) -> None:
    model = trained(NEW.Adam(0.01), first=False)
    model.save(tmp_path / "model.h5", save_format="h5")
    source = open_source(tmp_path / "model.h5")
    assert not source.model.layers[0].trainable
    check_next_steps(model, source.model)


COMPILED = {
    "strings": {"loss": "categorical_crossentropy", "metrics": ["accuracy", "mae", "AUC"]},
    "objects": {
        "loss": tf_keras.losses.CategoricalCrossentropy(label_smoothing=0.1),
        "metrics": [
            tf_keras.metrics.CategoricalAccuracy(),
            tf_keras.metrics.TopKCategoricalAccuracy(2),
        ],
        "weighted_metrics": [tf_keras.metrics.Precision()],
    },
    "renamed": {"loss": "log_cosh", "metrics": ["kullback_leibler_divergence"]},
    "huber": {"loss": tf_keras.losses.Huber(0.5), "loss_weights": [0.3]},
}


@pytest.mark.parametrize("name", sorted(COMPILED))
def test_losses_and_metrics(name: str, tmp_path: Path) -> None:
    model = trained(NEW.SGD(0.05), **COMPILED[name])
    model.save(tmp_path / "model.h5", save_format="h5")
    source = open_source(tmp_path / "model.h5")
    assert source.model.compiled, source.notes
    x, y = data()
    native = model.evaluate(x, y, verbose=0, return_dict=True)
    ours = source.model.evaluate(x, y, verbose=0, return_dict=True)
    np.testing.assert_allclose(ours.pop("loss"), native.pop("loss"), rtol=1e-4)
    # NB: some names are others in Keras 3 ("AUC", "kl_divergence"), the numbers are not.
    np.testing.assert_allclose(sorted(ours.values()), sorted(native.values()), rtol=1e-4)


def test_several_outputs(tmp_path: Path) -> None:
    start = tf_keras.Input((6,))
    outs = [tf_keras.layers.Dense(3, name=n)(start) for n in ("one", "two")]
    model = tf_keras.Model(start, outs)
    x, y = data()
    model.compile("adam", loss=["mse", "mae"], metrics=["mse"], loss_weights=[0.2, 0.8])
    model.train_on_batch(x, [y, y])
    model.save(tmp_path / "model.h5", save_format="h5")
    source = open_source(tmp_path / "model.h5")
    native = model.evaluate(x, [y, y], verbose=0)
    np.testing.assert_allclose(source.model.evaluate(x, [y, y], verbose=0)[0], native[0], rtol=1e-5)


def test_what_cannot_be_restored_is_said(tmp_path: Path) -> None:
    def own_loss(y: Any, p: Any) -> Any:
        return (y - p) ** 4

    model = trained(NEW.SGD(0.05), loss=own_loss)
    model.save(tmp_path / "model.h5", save_format="h5")
    source = open_source(tmp_path / "model.h5")
    assert not source.model.compiled
    assert any("own_loss" in note and "not compiled" in note for note in source.notes)
    assert source.training_config["loss"] == "own_loss"

    def again(y: Any, p: Any) -> Any:
        return (y - p) ** 4

    source = open_source(tmp_path / "model.h5", custom_objects={"own_loss": again})
    assert source.model.compiled
    check_next_steps(model, source.model)


def test_damaged_state_is_said(tmp_path: Path) -> None:
    import h5py

    model = trained(NEW.Adam(0.01))
    path = tmp_path / "model.h5"
    model.save(path, save_format="h5")
    with h5py.File(path, "r+") as file:
        group = file["optimizer_weights"]
        names = list(group.attrs["weight_names"])[:-1]
        del group.attrs["weight_names"]
        group.attrs["weight_names"] = names
    source = open_source(path)
    assert any("state is not restored" in note for note in source.notes)
    assert int(source.model.optimizer.iterations) == 0
