"""What is trained in the JVM goes back to Keras, and on from there with the same numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from keras import optimizers

import kbridge
from kbridge.bundle import read_bundle
from kbridge.importer import import_model
from kbridge.jvm import host
from tests.optimizers import harness
from tests.optimizers.test_optimizers import TOLERANCE, several

OPTIMIZERS: dict[str, Callable[[], Any]] = {
    "Adam": lambda: optimizers.Adam(0.01, amsgrad=True, use_ema=True, weight_decay=0.1),
    "Adafactor": lambda: optimizers.Adafactor(0.05),
    "Nadam": lambda: optimizers.Nadam(0.01, gradient_accumulation_steps=2),
    "Muon": lambda: optimizers.Muon(0.02),
    "ScheduleFreeAdamW": lambda: optimizers.ScheduleFreeAdamW(0.01),
    "scheduled": lambda: optimizers.SGD(
        optimizers.schedules.CosineDecay(0.1, 8), momentum=0.9, global_clipnorm=1.0
    ),
    "loss scale": lambda: optimizers.LossScaleOptimizer(
        optimizers.RMSprop(0.01, momentum=0.5), initial_scale=1.0, dynamic_growth_steps=100
    ),
    "several": several,
}


def save(jvm_optimizer: harness.JvmOptimizer, path: Path) -> Path:
    checkpoints = host.java_class("io.kbridge.train.optimizer.Checkpoints")
    target = host.java_class("java.nio.file.Paths").get(str(path))
    writer = checkpoints(jvm_optimizer.bundle)
    states = host.java_class("java.util.HashMap")()
    writer.save(target, jvm_optimizer.weights, states, jvm_optimizer.java)
    return path


@pytest.mark.parametrize("keras_first", [0, 3])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_keras_jvm_keras(jvm, tmp_path, name, keras_first):
    """Some steps in Keras, some in the JVM, some in Keras equal all in Keras.

    Without steps in Keras first, the state is made in the JVM.
    """
    factor = 4.0 if name == "several" else 1.0
    reference = harness.model_with(OPTIMIZERS[name]())
    first = harness.model_with(OPTIMIZERS[name]())
    step, step_first = harness.keras_step(reference, False), None
    if keras_first:
        step_first = harness.keras_step(first, False)
    for i in range(keras_first):
        step(harness.gradients(i))
        step_first(harness.gradients(i))
    kbridge.export(first, tmp_path / "first.h5")
    trained = harness.JvmOptimizer(tmp_path / "first.h5")
    for i in range(keras_first, 6):
        step(harness.gradients(i))
        trained.step(harness.gradients(i))
    path = save(trained, tmp_path / "trained.h5")
    last = import_model(path, {"Weights": harness.Weights})
    assert int(last.optimizer.iterations) == int(reference.optimizer.iterations)
    step_last = harness.keras_step(last, False)
    for i in range(6, 9):
        step(harness.gradients(i))
        step_last(harness.gradients(i))
    for expected, actual in zip(
        [*reference.trainable_variables, *reference.optimizer.variables],
        [*last.trainable_variables, *last.optimizer.variables],
        strict=True,
    ):
        found = harness.difference(np.asarray(actual), np.asarray(expected))
        assert found <= TOLERANCE * factor, f"{expected.path} differs by {found:.2g}"
    again = harness.JvmOptimizer(path)
    assert len(again.state()) == len(trained.state())


def everything(path: Path) -> dict[str, Any]:
    """Returns all datasets and attributes of a file as comparable values."""
    found: dict[str, Any] = {}

    def note(name: str, member: Any) -> None:
        if isinstance(member, h5py.Dataset):
            found[name] = (member.dtype.str, member.shape, member[()].tobytes())
        for key, value in member.attrs.items():
            plain = value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value
            found[f"{name}@{key}"] = (type(value), plain)

    with h5py.File(path) as file:
        file.visititems(note)
        note("", file)
    return found


def test_what_is_not_trained_stays(jvm, tmp_path):
    """Every other dataset and attribute is in the new file, in the form that h5py gave it."""
    model = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            keras.layers.Conv2D(3, 3, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5),
            keras.layers.Flatten(),
            keras.layers.Dense(2, name="dense"),
        ]
    )
    model.compile("adam", "mse")
    model.fit(np.ones((4, 6, 6, 2)), np.ones((4, 2)), verbose=0)
    source = tmp_path / "model.h5"
    kbridge.export(model, source)
    before = everything(source)
    trained = harness.JvmOptimizer(source)
    harness.view(trained.weights.get("dense/bias"))[...] = [1.5, -2.5]
    save(trained, source)  # over the file that is open
    after = everything(source)
    changed = {"kbridge/spec", "kbridge/training", "kbridge/spec@sha256", "kbridge/training@sha256"}
    changed.add("model_weights/dense/dense/bias:0")
    golden = {name for name in before if name.startswith("kbridge/golden")}
    assert golden
    assert {name for name in before if before[name] != after.get(name)} == changed | golden
    assert after.keys() == before.keys() - golden
    with read_bundle(source) as bundle:
        np.testing.assert_array_equal(bundle.weight("dense/bias"), np.float32([1.5, -2.5]))
    with kbridge.load(source) as loaded:
        x = np.random.default_rng(0).normal(size=(3, 6, 6, 2)).astype("float32")
        model.get_layer("dense").bias.assign([1.5, -2.5])
        np.testing.assert_allclose(loaded.predict(x), model.predict(x, verbose=0), rtol=1e-5)
    assert keras.models.load_model(source, compile=False).count_params() == model.count_params()


def test_a_save_that_fails_leaves_the_file_alone(jvm, tmp_path):
    import jpype

    source = tmp_path / "model.h5"
    harness.write(harness.model_with(optimizers.SGD()), source)
    trained = harness.JvmOptimizer(source)
    before = source.read_bytes()
    with pytest.raises(jpype.JException, match="Nothing was changed there"):
        save(trained, tmp_path / "nowhere" / "model.h5")
    folder = tmp_path / "model.h5.d"
    folder.mkdir()
    (folder / "full").touch()
    with pytest.raises(jpype.JException, match="Nothing was changed there"):
        save(trained, folder)
    assert source.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.h5", "model.h5.d"]
