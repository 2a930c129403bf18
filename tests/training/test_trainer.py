"""Some training steps in the JVM, next to Keras's `train_on_batch`: every weight and log."""

from __future__ import annotations

import json
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

import kbridge
from kbridge import errors
from kbridge.jvm import host
from kbridge.jvm.inprocess import InProcess

STEPS = 5
RTOL = 1e-4


def dense() -> keras.Model:
    return keras.Sequential([layers.Dense(32, activation="relu"), layers.Dense(3)])


def convolutional() -> keras.Model:
    return keras.Sequential(
        [
            layers.Conv2D(8, 3, use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Conv2D(16, 3, strides=2, padding="same", activation="relu"),
            layers.DepthwiseConv2D(3),
            layers.MaxPooling2D(),
            layers.Dropout(0.3),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )


def recurrent() -> keras.Model:
    gru = layers.GRU(6, return_sequences=True)
    return keras.Sequential([layers.Bidirectional(gru), layers.LSTM(4), layers.Dense(3)])


def embedding() -> keras.Model:
    return keras.Sequential([layers.Embedding(11, 5), layers.Flatten(), layers.Dense(3)])


MODELS = {
    "dense": (dense, (16, 20)),
    "convolutional": (convolutional, (8, 16, 16, 3)),
    "recurrent": (recurrent, (4, 7, 5)),
    "embedding": (embedding, (8, 6)),
}


class Trainer:
    """The Java side, called directly."""

    def __init__(self, path: Any, engine: str):
        self._jvm = InProcess().start("cpu")
        door = host.java_class("io.kbridge.host.HostTrainer")
        self._java = self._jvm.ask(door, "load", str(path), json.dumps({"engine": engine}))
        self._inputs = json.loads(self._ask("inputs"))

    def _ask(self, method: str, *args: Any) -> Any:
        return self._jvm.ask(self._java, method, *args)

    def train(self, x: np.ndarray, y: np.ndarray, weights: Any = None) -> dict[str, float]:
        """Does what Keras's `train_on_batch` does."""
        by_role = {"x": x, "y": y, "sample_weight": weights}
        given = [by_role[each["role"]] for each in self._inputs]
        step = self._ask("step", [None if a is None else list(a.shape) for a in given])
        self._ask("resetMetrics")
        with self._jvm.lend(given, [np.dtype(each["dtype"]) for each in self._inputs]) as lent:
            lent.ask(step, "train", lent.inputs)
        return json.loads(self._ask("logs"))

    def variables(self) -> dict[str, np.ndarray]:
        """Copies of all variables."""
        names = json.loads(self._ask("variables"))
        values = self._jvm.collect(self._ask("values", names))
        return {name: np.array(x) for name, x in zip(names, values, strict=True)}

    def close(self) -> None:
        self._ask("close")


def of_weight(variables: dict[str, np.ndarray], path: str) -> np.ndarray:
    """Finds a variable by Keras's path, which also has the model's name in front."""
    while path not in variables:
        path = path.partition("/")[2]
        assert path
    return variables[path]


def compiled(name: str, tmp_path: Any, **options: Any) -> tuple:
    make, shape = MODELS[name]
    keras.utils.set_random_seed(3)
    draw = np.random.default_rng(5)
    x = draw.normal(size=shape).astype("float32")
    if name == "embedding":
        x = draw.integers(0, 11, shape).astype("int32")  # numbers occur more than once
    y = draw.normal(size=(shape[0], 3)).astype("float32")
    inputs = keras.Input(shape[1:], dtype=str(x.dtype))
    model = keras.Model(inputs, make()(inputs))
    model.compile(**{"optimizer": keras.optimizers.Adam(1e-2), "loss": "mse", **options})
    kbridge.export(model, tmp_path / "model.h5", sample=x[:2])
    return model, x, y, tmp_path / "model.h5"


@pytest.mark.parametrize("engine", ["nd4j", "onednn"])
@pytest.mark.parametrize("name", MODELS)
def test_steps_equal_keras(jvm, tmp_path, name, engine):
    model, x, y, path = compiled(name, tmp_path, metrics=["mae"])
    trainer = Trainer(path, engine)
    for _ in range(STEPS):
        expected = model.train_on_batch(x, y, return_dict=True)
        logs = trainer.train(x, y)
        assert logs.keys() == expected.keys()
        for key, value in expected.items():
            np.testing.assert_allclose(logs[key], value, rtol=RTOL, err_msg=key)
    found = trainer.variables()
    trainer.close()
    for weight in model.weights:
        want = np.asarray(weight)
        scale = np.abs(want).max() if want.dtype.kind == "f" else 0
        np.testing.assert_allclose(
            of_weight(found, weight.path), want, rtol=0, atol=RTOL * scale, err_msg=weight.path
        )


def test_a_loss_that_is_no_number_changes_nothing(jvm, tmp_path):
    _, x, y, path = compiled("dense", tmp_path)
    trainer = Trainer(path, "onednn")
    before = trainer.variables()
    x = x.copy()
    x[0, 0] = np.nan
    with pytest.raises(errors.KBridgeError, match=r"loss that is a number.*has NaN"):
        trainer.train(x, y)
    after = trainer.variables()
    trainer.close()
    for name, value in before.items():
        if "metrics/" not in name:
            np.testing.assert_array_equal(after[name], value, err_msg=name)


def test_labels_of_a_wrong_shape(jvm, tmp_path):
    _, x, y, path = compiled("dense", tmp_path)
    trainer = Trainer(path, "nd4j")
    with pytest.raises(errors.KBridgeError, match="labels of"):
        trainer.train(x, y[:, :2])
    trainer.close()
