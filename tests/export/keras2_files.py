"""What the tests of Keras 2 files share: models, and files as the exporter writes them."""

from __future__ import annotations

import json

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from kbridge.export import keras2, metadata, training

tf_keras = pytest.importorskip("tf_keras", reason="tf-keras is the judge here")

L = layers
IMAGE, SERIES, VOLUME, FLAT = (8, 9, 4), (10, 4), (6, 6, 6, 2), (7,)


def randomise(model):
    """Gives every weight values that tell it from all others; variances and counts stay valid."""
    rng = np.random.default_rng(7)
    for variable in model.weights:
        values = rng.normal(0.0, 0.4, variable.shape)
        if "variance" in variable.name or "stddev" in variable.name:
            values = np.abs(values) + 0.5
        if "int" in variable.dtype:
            continue
        variable.assign(values.astype("float32"))
    for layer in model.layers:
        if isinstance(layer, layers.Normalization):
            layer.finalize_state()
    return model


def write(model, path):
    """Writes the file as the exporter does, with nothing but what kbridge gives."""
    config = keras2.keras2_model_config(model)
    assert config is not None, keras2.keras2_refusal(model)
    layout = keras2.keras2_weight_layout(model)
    with h5py.File(path, "w") as f:
        f.attrs["keras_version"], f.attrs["backend"] = "2.15.0", "tensorflow"
        f.attrs["model_config"] = json.dumps(config, allow_nan=False)
        group = f.create_group("model_weights")
        group.attrs["keras_version"], group.attrs["backend"] = "2.15.0", "tensorflow"
        group.attrs["layer_names"] = [name.encode() for name, _ in layout]
        for name, weights in layout:
            held = group.create_group(name)
            held.attrs["weight_names"] = [weight.encode() for weight, _ in weights]
            for weight, variable in weights:
                held[weight] = keras.ops.convert_to_numpy(variable)
    return path


def write_compiled(model, path):
    """Adds compile()'s arguments and the optimizer's state, as the exporter does."""
    write(model, path)
    config = keras2.keras2_training_config(model)
    assert config is not None
    _, variables = training.training_metadata(model, metadata.weight_names(model))
    with h5py.File(path, "a") as f:
        f.attrs["training_config"] = json.dumps(config, allow_nan=False)
        names = keras2.keras2_optimizer_names(model, [path for path, _ in variables])
        group = f.create_group("optimizer_weights")
        if names is not None:
            group.attrs["weight_names"] = [name.encode() for name in names]
        for place, variable in variables:
            f[place] = keras.ops.convert_to_numpy(variable)
    return path


def inputs_of(model, steps=6):
    """Random inputs; where a layer masks steps of 0.25, some steps are."""
    rng = np.random.default_rng(11)

    def one(tensor):
        shape = [3 if i == 0 and n is None else n or steps for i, n in enumerate(tensor.shape)]
        if "int" in tensor.dtype:
            return rng.integers(0, 5, shape).astype(tensor.dtype)
        values = rng.normal(size=shape).astype(tensor.dtype)
        values[rng.random(shape[:2]) < 0.3] = 0.25
        return values

    return keras.tree.map_structure(
        one, model._inputs_struct if not isinstance(model, keras.Sequential) else model.inputs[0]
    )


def assert_same_in_keras_2(model, tmp_path, rtol=2e-5, atol=2e-6):
    randomise(model)
    loaded = tf_keras.models.load_model(write(model, tmp_path / "m.h5"), compile=False)
    x = inputs_of(model)
    expected = keras.tree.flatten(model.predict(x, verbose=0))
    # NB: not predict(), whose graph TensorFlow rewrites; its fused normalisation takes one axis.
    actual = [np.asarray(a) for a in keras.tree.flatten(loaded(x, training=False))]
    assert len(actual) == len(expected)
    for a, e in zip(actual, expected, strict=True):
        assert a.dtype == e.dtype
        assert np.isfinite(e).all()
        np.testing.assert_allclose(a, e, rtol=rtol, atol=atol)


def nested_models():
    inner_in = keras.Input((4,), name="inner_in")
    x = L.BatchNormalization()(L.Dense(4, name="dense")(inner_in))
    inner = keras.Model(inner_in, [L.Dense(4)(x), L.Dense(4)(inner_in)], name="inner")
    sequence = keras.Sequential(
        [keras.Input((4,)), L.Dense(4, name="dense"), L.BatchNormalization(), L.Dense(4)],
        name="seq",
    )
    inputs = keras.Input((4,), name="x")
    first, second = inner(L.Dense(4)(inputs))
    third, _ = inner(first)
    x = L.Add()([sequence(second), sequence(third), first])
    return inner, sequence, keras.Model(inputs, [x, sequence(x)])


def weighted(**kwargs):
    return keras.Sequential([keras.Input((4,)), L.Dense(4, **kwargs)])
