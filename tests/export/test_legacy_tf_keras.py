"""Files and archives of the real Keras 2 (tf_keras): the Keras 3 model answers the same."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from kbridge.errors import UnsupportedModelError
from kbridge.export.legacy.layers_tfops import known_functions
from kbridge.export.legacy.registry import known_layers
from kbridge.export.sources import open_source
from tests.export import tf_keras_cases as cases

ALL = {**cases.LAYERS, **cases.GRAPHS}
# Statistics are in the layer's own copy, which new weights would not reach.
NOT_RANDOM = {"norm"}


@pytest.fixture(autouse=True)
def fresh_names() -> None:
    tf_keras.backend.clear_session()
    keras.utils.clear_session()


def build(name: str) -> tuple[Any, Any, list[np.ndarray]]:
    model = ALL[name]()
    if name not in NOT_RANDOM:
        cases.randomize(model)
    x = cases.samples(model, name)
    return model, x, [np.asarray(v) for v in tf.nest.flatten(model(x, training=False))]


def compare(model: keras.Model, x: Any, expected: list[np.ndarray], rtol: float) -> None:
    answers = [np.asarray(v) for v in keras.tree.flatten(model(x, training=False))]
    assert len(answers) == len(expected)
    for actual, desired in zip(answers, expected, strict=True):
        assert actual.shape == desired.shape
        # NB: integers are int64 in Keras 2 and int32 in Keras 3 (Discretization).
        assert actual.dtype.kind == desired.dtype.kind
        assert actual.dtype.kind == "i" or actual.dtype == desired.dtype
        atol = rtol * max(1.0, float(np.abs(desired.astype("float64")).max()))
        np.testing.assert_allclose(actual, desired, rtol=rtol, atol=atol)


@pytest.mark.parametrize("name", sorted(ALL))
def test_hdf5(name: str, tmp_path: Path) -> None:
    model, x, expected = build(name)
    model.save(tmp_path / "model.h5", save_format="h5")
    source = open_source(tmp_path / "model.h5")
    # NB: float16 keeps three digits.
    compare(source.model, x, expected, 1e-3 if name == "mixed" else 1e-5)


ARCHIVED = ["bn", "LSTM_bi", "TDmodel", "RNNcell", "ConvLSTM2D", "sep2", *sorted(cases.GRAPHS)]


@pytest.mark.parametrize("name", ARCHIVED)
def test_archive(name: str, tmp_path: Path) -> None:
    model, x, expected = build(name)
    model.save(tmp_path / "model.keras", save_format="keras")
    source = open_source(tmp_path / "model.keras")
    assert source.kind == "keras"
    assert source.keras_version.startswith("2.")
    compare(source.model, x, expected, 1e-3 if name == "mixed" else 1e-5)


def test_live_tf_keras_model() -> None:
    model, x, expected = build("nested")
    source = open_source(model)
    assert (source.kind, source.file, source.sha256) == ("live", None, None)
    assert "tf_keras" in source.notes[0]
    compare(source.model, x, expected, 1e-5)


def test_every_converter_has_a_case() -> None:
    """Registry and cases agree: a converter with no file that shows it is an unproved one."""
    used: set[str] = set()
    functions: set[str] = set()

    def see(value: Any) -> None:
        if isinstance(value, dict):
            if isinstance(value.get("class_name"), str):
                used.add(value["class_name"])
                if value["class_name"] in ("TFOpLambda", "SlicingOpLambda"):
                    functions.add(value["config"]["function"])
            for item in value.values():
                see(item)
        elif isinstance(value, (list, tuple)):
            for item in value:
                see(item)

    for make in ALL.values():
        model = make()
        see({"class_name": type(model).__name__, "config": model.get_config()})
    elsewhere = {
        # refused, shown in test_legacy_hostile.py and below
        *"Lambda StringLookup IntegerLookup TextVectorization Hashing HashedCrossing".split(),
        *"LocallyConnected1D LocallyConnected2D RandomCrop".split(),
        *"DenseFeatures SequenceFeatures LinearModel WideDeepModel".split(),
        # cuDNN layers, made by hand below, since they need a GPU to be written
        *"CuDNNLSTM CuDNNGRU".split(),
        # raw nodes of TensorFlow 2.0 to 2.3, made by hand below
        "TensorFlowOpLayer",
        # other names of layers that are shown
        *"Convolution1D Convolution2D Convolution3D Convolution2DTranspose".split(),
        *"SeparableConvolution1D SeparableConvolution2D".split(),
        *"BatchNormalizationV1 BatchNormalizationV2 SyncBatchNormalization".split(),
    }
    assert sorted(set(known_layers(2)) - used - elsewhere) == []
    assert functions <= set(known_functions())


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_cudnn_layers(kind: str, tmp_path: Path) -> None:
    """Arrays in cuDNN's layout, computed from its definition: gate by gate, transposed."""
    import json

    import h5py

    model = tf_keras.Sequential(
        [tf_keras.Input((5, 3)), getattr(tf_keras.layers, kind)(4, name="rnn")]
    )
    cases.randomize(model)
    x = cases.samples(model, kind)
    expected = np.asarray(model(x))
    path = tmp_path / "model.h5"
    model.save(path, save_format="h5")
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        entry = next(e for e in config["config"]["layers"] if e["class_name"] == kind)
        entry["class_name"] = f"CuDNN{kind}"
        keep = ("name", "trainable", "units", "return_sequences", "go_backwards", "stateful")
        entry["config"] = {k: entry["config"][k] for k in keep}
        file.attrs["model_config"] = json.dumps(config)
        group = file["model_weights"]["rnn"]
        names = list(group.attrs["weight_names"])
        kernel, recurrent, bias = (group[n][()] for n in names)
        gates = {"LSTM": 4, "GRU": 3}[kind]
        # cuDNN holds each gate's input matrix as (units, inputs) in memory.
        parts = [np.ascontiguousarray(k.T).reshape(k.shape) for k in np.hsplit(kernel, gates)]
        new = [
            np.hstack(parts),
            np.hstack([r.T for r in np.hsplit(recurrent, gates)]),
            bias.reshape(-1) if kind == "GRU" else np.concatenate([0.25 * bias, 0.75 * bias]),
        ]
        for name, array in zip(names, new, strict=True):
            del group[name]
            group[name] = array
    source = open_source(path)
    assert any("CuDNN" in note for note in source.notes)
    compare(source.model, x, [expected], 1e-5)


def raw_node(op: str, attr: dict, inputs: list, constants: dict) -> dict:
    return {
        "class_name": "TensorFlowOpLayer",
        "name": f"tf_op_layer_{op}",
        "config": {
            "name": op,
            "trainable": True,
            "dtype": "float32",
            "node_def": {"name": op, "op": op, "input": inputs, "attr": attr},
            "constants": constants,
        },
        "inbound_nodes": [[["in", 0, 0, {}]]],
    }


RAW = {
    "AddV2": ({"T": {"type": "DT_FLOAT"}}, {"1": 2.5}, lambda x: x + 2.5),
    "Relu": ({"T": {"type": "DT_FLOAT"}}, {}, lambda x: np.maximum(x, 0)),
    "Mean": ({"keep_dims": {"b": True}}, {"1": [1]}, lambda x: x.mean(1, keepdims=True)),
    "Reshape": ({}, {"1": [-1, 2]}, lambda x: x.reshape(-1, 2)),
    "LeakyRelu": ({"alpha": {"f": 0.3}}, {}, lambda x: np.where(x > 0, x, 0.3 * x)),
}


def raw_file(path: Path, node: dict) -> Path:
    import json

    import h5py

    start = {
        "class_name": "InputLayer",
        "name": "in",
        "config": {"batch_input_shape": [None, 4], "dtype": "float32", "name": "in"},
        "inbound_nodes": [],
    }
    config = {
        "name": "model",
        "layers": [start, node],
        "input_layers": [["in", 0, 0]],
        "output_layers": [[node["name"], 0, 0]],
    }
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = "2.2.4-tf"
        file.attrs["backend"] = "tensorflow"
        file.attrs["model_config"] = json.dumps({"class_name": "Model", "config": config})
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = np.array([b"in", node["name"].encode()])
        for name in ("in", node["name"]):
            group.create_group(name).attrs["weight_names"] = np.array([], "S1")
    return path


@pytest.mark.parametrize("op", sorted(RAW))
def test_raw_tensorflow_node(op: str, tmp_path: Path) -> None:
    attr, constants, formula = RAW[op]
    path = raw_file(tmp_path / "model.h5", raw_node(op, attr, [op], constants))
    x = np.random.default_rng(0).normal(size=(2, 4)).astype("float32")
    compare(open_source(path).model, x, [formula(x).astype("float32")], 1e-6)


def test_all_unsupported_parts_are_told_at_once(tmp_path: Path) -> None:
    layers = tf_keras.layers
    start = tf_keras.Input((8, 3))
    x = layers.LocallyConnected1D(4, 3, name="local")(start)
    x = tf.signal.fft(tf.cast(x, tf.complex64))
    x = tf.math.betainc(tf.abs(tf.math.real(x)), tf.abs(tf.math.real(x)), 0.5)
    tf_keras.Model(start, x).save(tmp_path / "model.h5", save_format="h5")
    with pytest.raises(UnsupportedModelError) as caught:
        open_source(tmp_path / "model.h5")
    reasons = " ".join(problem.reason for problem in caught.value.problems)
    assert "locally connected" in reasons
    assert "tf.signal.fft" in reasons
    assert "tf.math.betainc" in reasons
    assert all(problem.advice for problem in caught.value.problems)


def test_custom_objects_come_from_the_caller_alone(tmp_path: Path) -> None:
    class Twice2(tf_keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return x * 2

    class Twice(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return x * 2

    model = tf_keras.Sequential([tf_keras.Input((3,)), Twice2(name="t"), tf_keras.layers.Dense(2)])
    model.save(tmp_path / "model.h5", save_format="h5")
    with pytest.raises(UnsupportedModelError, match="custom_objects"):
        open_source(tmp_path / "model.h5")

    class Twice2Keras3(Twice):
        @classmethod
        def from_config(cls, config: dict) -> Twice:
            return cls(name=config["name"])

    source = open_source(tmp_path / "model.h5", custom_objects={"Twice2": Twice2Keras3})
    x = np.ones((2, 3), "float32")
    compare(source.model, x, [np.asarray(model(x))], 1e-6)
