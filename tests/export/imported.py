"""Models for the tests of the way back, their bundles, and what has to be equal afterwards."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers as L
from keras import optimizers

from kbridge import bundle
from kbridge.export import metadata, training


def randomised(model):
    rng = np.random.default_rng(5)
    for variable in model.weights:
        if "float" in variable.dtype:
            variable.assign(
                np.abs(rng.normal(0.0, 0.5, variable.shape)).astype(variable.dtype) + 0.1
            )
    return model


def bundle_of(model, path):
    """Writes a bundle without tracing the model, for models that no runtime can run yet."""
    config, reason = metadata.keras_model_config(model)
    names = metadata.weight_names(model)
    weights = metadata.weights_metadata(model)
    document, variables = training.training_metadata(model, names)
    with bundle.BundleWriter(path) as writer:
        for variable in model.variables:
            name = names[id(variable)]
            values = keras.ops.convert_to_numpy(variable)
            writer.array(f"/kbridge/variables/{name}", values, weights[name])
        writer.wait_for_digests()
        for place, variable in variables:
            writer.array(place, keras.ops.convert_to_numpy(variable))
        spec = {
            "name": model.name,
            "weights": weights,
            "keras_model": config,
            "keras_model_refusal": reason,
        }
        writer.document(bundle.SPEC, spec)
        writer.document(bundle.TRAINING, document)
        writer.document(bundle.PROVENANCE, {"backend": keras.backend.backend()})
    return path


def assert_same_predictions(model, twin, x):
    expected, actual = model.predict(x, verbose=0), twin.predict(x, verbose=0)
    keras.tree.assert_same_structure(expected, actual)
    for a, e in zip(keras.tree.flatten(actual), keras.tree.flatten(expected), strict=True):
        np.testing.assert_array_equal(a, e)


def assert_same_steps(model, twin, x, y, steps=3):
    for _ in range(steps):
        expected, actual = model.train_on_batch(x, y), twin.train_on_batch(x, y)
        np.testing.assert_array_equal(actual, expected)
    for a, e in zip(twin.variables, model.variables, strict=True):
        np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, (a, e)), err_msg=e.path)
    for a, e in zip(twin.optimizer.variables, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, (a, e)), err_msg=e.path)


class Mine(L.Layer):
    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor
        self.inner = [L.Dense(3), L.Dense(3)]  # Their names are new each time.

    def build(self, shape):
        for layer in self.inner:
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
        self.scale = self.add_weight(shape=(), name="scale")

    def call(self, x):
        for layer in self.inner:
            x = layer(x)
        return x * self.factor * self.scale

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


def my_loss(y_true, y_pred):
    return keras.ops.mean(keras.ops.abs(y_true - y_pred), axis=-1)


def custom_model():
    model = keras.Sequential([keras.Input((3,)), Mine(0.5, name="mine")])
    model.compile(optimizers.SGD(0.1), my_loss)
    return randomised(model)
