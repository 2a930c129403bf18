"""Layers and whole models are described completely, and nothing is changed by that."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import keras
import numpy as np
from keras import layers as L

from kbridge.export import jsonable, metadata
from tests.export.models import FLAT, SERIES, built, nested


def test_a_shared_weight_belongs_to_the_layer_that_made_it():
    model = built(FLAT, L.SpectralNormalization(L.Dense(3, name="kept"), name="sn"))
    weights = metadata.weights_metadata(model)
    assert {w["variable"]: w["layer"] for w in weights.values()} == {
        "kernel": "sn/kept",
        "bias": "sn/kept",
        "vector_u": "sn",
    }


def test_each_entry_is_complete():
    model = built(
        SERIES,
        L.LSTM(
            3,
            dtype="mixed_float16",
            activity_regularizer=keras.regularizers.L2(0.25),
            name="lstm",
            trainable=False,
        ),
    )
    entry = next(e for e in metadata.layers_metadata(model) if e["path"] == "lstm")
    assert (entry["class_name"], entry["module"], entry["registered_name"]) == (
        "LSTM",
        "keras.layers",
        None,
    )
    assert entry["trainable"] is False
    assert entry["dtype_policy"]["config"] == {"name": "mixed_float16"}
    assert entry["activity_regularizer"]["config"] == {"l2": 0.25}
    assert len(entry["weights"]) == 4
    rebuilt = L.LSTM.from_config(entry["config"])
    assert rebuilt.get_config() == model.layers[1].get_config()


def own_activation(x):
    return x + 1


def test_functions_are_named_and_never_stored():
    inputs = keras.Input((2,))
    x = L.Dense(2, activation="gelu", name="known")(inputs)
    x = L.Dense(2, activation=own_activation, name="own")(x)
    x = L.Dense(2, activation=lambda y: y * 2, name="nameless")(x)
    x = L.Lambda(lambda y: y, name="code")(x)
    entries = {e["path"]: e for e in metadata.layers_metadata(keras.Model(inputs, x))}
    here = __name__
    assert entries["known"]["config"]["activation"] == "gelu"
    assert entries["own"]["config"]["activation"] == {"custom": f"{here}.own_activation"}
    lambdas = (entries["nameless"]["config"]["activation"], entries["code"]["config"]["function"])
    for mark in lambdas:
        assert set(mark) == {"custom"}
        assert mark["custom"].endswith("<lambda>")


class NoConfig(L.Layer):
    def __init__(self, table):
        super().__init__(name="bare")
        self.table = table

    def call(self, x):
        return x


def test_a_layer_without_config_is_listed_with_the_reason():
    entries = metadata.layers_metadata(built(FLAT, NoConfig(object())))
    assert entries[1]["config"] is None
    assert "get_config" in entries[1]["reason"]


def test_json_is_strict():
    value = {
        "a": np.float32("inf"),
        "b": (np.int64(3), np.array([1.5, np.nan])),
        3: [-np.inf, True, None],
        "c": {"class_name": "function", "module": "builtins", "config": "mine"},
    }
    assert jsonable.jsonable(value) == {
        "a": "inf",
        "b": [3, [1.5, "nan"]],
        "3": ["-inf", True, None],
        "c": {"custom": "mine"},
    }
    stored = json.loads(
        json.dumps(jsonable.exact({"x": [1.0, float("inf"), "inf"]}), allow_nan=False)
    )
    assert jsonable.restored(stored) == {"x": [1.0, float("inf"), "inf"]}


def test_nothing_is_changed():
    model = nested()
    model.compile("adam", "mse")
    before = json.dumps(model.get_config(), default=str), [v.numpy() for v in model.variables]
    metadata.layers_metadata(model)
    metadata.weights_metadata(model)
    metadata.keras_model_config(model)
    assert json.dumps(model.get_config(), default=str) == before[0]
    for variable, value in zip(model.variables, before[1], strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


class Tied(L.Layer):
    """Holds a layer that another one holds too."""

    def __init__(self, held, **kwargs):
        super().__init__(**kwargs)
        self.held = held

    def call(self, x):
        return self.held(x)

    def get_config(self):
        return {**super().get_config(), "held": keras.saving.serialize_keras_object(self.held)}

    @classmethod
    def from_config(cls, config):
        held = keras.saving.deserialize_keras_object(config.pop("held"))
        return cls(held, **config)


def test_the_model_s_document_is_the_same_twice():
    """Ids of shared objects are addresses in Keras; here they are not."""
    dense = L.Dense(4)
    inputs = keras.Input((4,))
    model = keras.Model(inputs, Tied(dense, name="b")(Tied(dense, name="a")(inputs)))
    first, reason = metadata.keras_model_config(model)
    assert reason is None
    assert json.dumps(first, allow_nan=False) == json.dumps(metadata.keras_model_config(model)[0])
    assert '"shared_object_id": 1' in json.dumps(first)


def test_a_layer_that_two_models_share_gives_the_reason():
    """Keras loads such a model as one with two layers, or not at all."""
    dense = L.Dense(4, name="tied")
    one = keras.Sequential([keras.Input((4,)), dense], name="one")
    two = keras.Sequential([keras.Input((4,)), dense, L.ReLU()], name="two")
    inputs = keras.Input((4,))
    config, reason = metadata.keras_model_config(keras.Model(inputs, two(one(inputs))))
    assert config is None
    assert "'one' and 'two' share it" in reason


class Unsaid(keras.Model):
    def __init__(self, table):
        super().__init__()
        self.table, self.dense = table, L.Dense(2)

    def call(self, x):
        return self.dense(x)


def test_a_model_without_config_gives_the_reason():
    model = Unsaid(object())
    model(np.zeros((1, 3), "float32"))
    config, reason = metadata.keras_model_config(model)
    assert config is None
    assert "Unsaid" in reason


BACKEND_CHECK = """
import json, keras
from kbridge.export import keras2, metadata, training
inputs = keras.Input((6, 4))
x = keras.layers.Bidirectional(keras.layers.GRU(3, return_sequences=True), name="b")(inputs)
x = keras.layers.BatchNormalization(name="bn")(x)
x = keras.layers.Dropout(0.5, name="drop")(x)
model = keras.Model(inputs, keras.layers.Dense(2, name="d")(x))
model.compile(keras.optimizers.AdamW(keras.optimizers.schedules.CosineDecay(0.1, 9)), "mse")
model.optimizer.build(model.trainable_variables)
names = metadata.weight_names(model)
document, variables = training.training_metadata(model, names)
found = [metadata.weights_metadata(model), metadata.layers_metadata(model), document,
         metadata.keras_model_config(model), keras2.keras2_model_config(model)]
assert found[4] is not None
dump = json.dumps(found, allow_nan=False)
slots = [(v["slot"], v["weight"]) for v in document["optimizer"]["variables"]]
print(json.dumps({"names": sorted(names.values()), "slots": slots, "keras2": found[4]}))
"""


def test_backends_agree():
    """What is said of a model does not depend on the backend that runs it."""
    said = {}
    for backend in ("tensorflow", "jax", "torch"):
        done = subprocess.run(
            [sys.executable, "-c", BACKEND_CHECK],
            env={**os.environ, "KERAS_BACKEND": backend},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        said[backend] = json.loads(done.stdout.splitlines()[-1])
    assert said["tensorflow"] == said["jax"] == said["torch"]
