"""Bundles that no Keras model is made of, and what is told instead."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
from keras import layers as L

from kbridge import bundle, errors
from kbridge.importer import import_model
from tests.export.imported import Mine, assert_same_predictions, bundle_of, custom_model, randomised


def test_custom_classes_have_to_be_given(tmp_path):
    path = bundle_of(custom_model(), tmp_path / "m.h5")
    with pytest.raises(errors.UnsupportedModelError, match=r"custom_objects=\{'Mine'"):
        import_model(path)


def test_custom_functions_have_to_be_given(tmp_path):
    path = bundle_of(custom_model(), tmp_path / "m.h5")
    with pytest.raises(errors.UnsupportedModelError, match=r"my_loss.*compile=False"):
        import_model(path, {"Mine": Mine})
    assert not import_model(path, {"Mine": Mine}, compile=False).compiled


@pytest.mark.parametrize("where", ["layer", "activation"])
def test_code_is_refused_unless_allowed(where, tmp_path):
    layer = (
        L.Lambda(lambda x: x * 2, output_shape=(2,), name="code")
        if where == "layer"
        else L.Dense(2, activation=lambda x: x * 2, name="code")
    )
    model = randomised(keras.Sequential([keras.Input((2,)), L.Dense(2), layer]))
    path = bundle_of(model, tmp_path / "m.h5")
    with pytest.raises(errors.UnsupportedModelError, match=r"bytecode.*\n.*allow_lambda=True"):
        import_model(path)
    if where == "layer":
        twin = import_model(path, allow_lambda=True)
        assert_same_predictions(model, twin, np.ones((2, 2), "float32"))


def test_a_model_that_cannot_be_rebuilt(tmp_path):
    dense = L.Dense(4, name="tied")
    one = keras.Sequential([keras.Input((4,)), dense], name="one")
    two = keras.Sequential([keras.Input((4,)), dense, L.ReLU()], name="two")
    inputs = keras.Input((4,))
    path = bundle_of(keras.Model(inputs, two(one(inputs))), tmp_path / "m.h5")
    with pytest.raises(errors.UnsupportedModelError, match="'one' and 'two' share it"):
        import_model(path)


class Forgetful(keras.Model):
    """Its config has arguments that its constructor does not take."""

    def __init__(self):
        super().__init__(name="forgetful")
        self.dense = L.Dense(2)

    def call(self, x):
        return self.dense(x)


def test_a_class_that_cannot_be_made_again(tmp_path):
    model = Forgetful()
    model(np.zeros((1, 3), "float32"))
    path = bundle_of(model, tmp_path / "m.h5")
    with pytest.raises(errors.UnsupportedModelError, match=r"unexpected keyword.*\n.*from_config"):
        import_model(path, {"Forgetful": Forgetful})


def edited(path, edit):
    """Changes the spec of a bundle, with a right digest."""
    import h5py

    with h5py.File(path, "a") as f:
        spec = json.loads(f["kbridge/spec"][()].tobytes())
        edit(spec)
        data = np.frombuffer(json.dumps(spec).encode(), np.uint8)
        del f["kbridge/spec"]
        f["kbridge/spec"] = data
        f["kbridge/spec"].attrs["sha256"] = bundle.digest_of(data)
    return path


def test_hostile_configs_are_refused(tmp_path):
    model = keras.Sequential([keras.Input((2,)), L.Dense(2, name="d")])

    def name_a_function(spec):
        spec["keras_model"]["config"]["layers"][1] = {
            "module": "os",
            "class_name": "function",
            "config": "system",
            "registered_name": "system",
        }

    path = edited(bundle_of(model, tmp_path / "m.h5"), name_a_function)
    with pytest.raises(errors.UnsupportedModelError, match="system"):
        import_model(path)


def test_weights_of_another_model_are_refused(tmp_path):
    model = keras.Sequential([keras.Input((2,)), L.Dense(2, name="d")])

    def widen(spec):
        spec["keras_model"]["config"]["layers"][1]["config"]["units"] = 3

    def remove_bias(spec):
        spec["keras_model"]["config"]["layers"][1]["config"]["use_bias"] = False

    path = edited(bundle_of(model, tmp_path / "a.h5"), widen)
    with pytest.raises(errors.BundleFormatError, match=r"shape \[2, 3\].*Received: \[2, 2\]"):
        import_model(path)
    path = edited(bundle_of(model, tmp_path / "b.h5"), remove_bias)
    with pytest.raises(errors.BundleFormatError, match="Expected 2 weights.*Received: 1"):
        import_model(path)
