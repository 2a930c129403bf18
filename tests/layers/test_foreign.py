"""Code of other frameworks: refused by name, with the line and what to write instead."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import kbridge
from kbridge.export import registry, rules
from kbridge.export.trace import UnsupportedCall


class CallsTensorFlow(keras.layers.Layer):
    def call(self, x: Any) -> Any:
        return tf.reduce_sum(tf.nn.gelu(x), axis=-1)


class CallsTensorFlowOnly(keras.layers.Layer):
    def call(self, x: Any) -> Any:
        return tf.raw_ops.Betainc(a=x, b=x, x=x)

    def compute_output_shape(self, shape: Any) -> Any:
        return shape


class CallsJax(keras.layers.Layer):
    def call(self, x: Any) -> Any:
        import jax.numpy as jnp

        return jnp.concatenate([x, x], axis=-1)

    def compute_output_shape(self, shape: Any) -> Any:
        return (*shape[:-1], 2 * shape[-1])


class CallsTorch(keras.layers.Layer):
    def call(self, x: Any) -> Any:
        import torch

        return torch.unsqueeze(x, -1)

    def compute_output_shape(self, shape: Any) -> Any:
        return (*shape, 1)


class CallsNumpy(keras.layers.Layer):
    def call(self, x: Any) -> Any:
        return np.tanh(x)

    def compute_output_shape(self, shape: Any) -> Any:
        return shape


class ReturnsRandom(keras.layers.Layer):
    def call(self, x: Any) -> Any:
        return x + keras.random.normal((1,))


def _refusal(model: keras.Model, tmp_path: Any) -> kbridge.UnsupportedModelError:
    with pytest.raises(kbridge.UnsupportedModelError) as refused:
        kbridge.export(model, tmp_path / "model.h5")
    assert not (tmp_path / "model.h5").exists()
    return refused.value


def _model(*layers: Any) -> keras.Model:
    return keras.Sequential([keras.Input((4,)), *layers])


@pytest.mark.parametrize(
    ("layer", "line", "instead"),
    [
        (CallsTensorFlow, "tf.reduce_sum(tf.nn.gelu(x)", "keras.ops.sum in place of tf.reduce_sum"),
        (CallsJax, "jnp.concatenate([x, x]", "keras.ops.concatenate in place of jnp.concatenate"),
        (CallsTorch, "torch.unsqueeze(x, -1)", "keras.ops.expand_dims in place of torch.unsqueeze"),
        (CallsNumpy, "np.tanh(x)", "keras.ops.tanh in place of np.tanh"),
        (CallsTensorFlowOnly, "tf.raw_ops.Betainc(", "keras.ops has no function of that name"),
        (ReturnsRandom, "keras.random.normal", "Draw random numbers only when `training`"),
    ],
)
def test_custom_layer_that_calls_another_package(
    layer: type, line: str, instead: str, tmp_path: Any
) -> None:
    (problem,) = _refusal(_model(layer(name="mine")), tmp_path).problems
    assert problem.path == "mine"
    assert problem.class_name == layer.__name__
    assert line in problem.reason
    assert "test_foreign.py line" in problem.reason
    assert instead in problem.advice


def test_all_problems_of_a_model_are_told_at_once(tmp_path: Any) -> None:
    model = _model(CallsNumpy(name="first"), keras.layers.Dense(3), CallsNumpy(name="second"))
    assert [p.path for p in _refusal(model, tmp_path).problems] == ["first", "second"]


def test_jax_layer(tmp_path: Any) -> None:
    import jax.numpy as jnp

    weights = {"kernel": np.ones((4, 2))}
    layer = keras.layers.JaxLayer(
        lambda params, inputs: jnp.dot(inputs, params["kernel"]), params=weights
    )
    (problem,) = _refusal(_model(layer), tmp_path).problems
    assert problem.class_name == "JaxLayer"
    assert "a JAX function" in problem.reason


def test_saved_model_layer(tmp_path: Any) -> None:
    _model(keras.layers.Dense(2)).export(tmp_path / "saved", verbose=False)
    layer = keras.layers.TFSMLayer(tmp_path / "saved", call_endpoint="serve")
    x = keras.Input((4,))
    (problem,) = _refusal(keras.Model(x, layer(x)), tmp_path).problems
    assert problem.class_name == "TFSMLayer"
    assert "a TensorFlow SavedModel" in problem.reason


def test_flax_layer() -> None:
    # NB: without the Flax package such a layer cannot be made, so its rule is asked directly.
    rules.load()
    layer = object.__new__(keras.layers.FlaxLayer)
    with pytest.raises(UnsupportedCall, match="a Flax module"):
        registry.rule_for(layer)(layer, None)


_TORCH = """
import os
os.environ["KERAS_BACKEND"] = "torch"
import keras, torch, kbridge
layer = keras.layers.TorchModuleWrapper(torch.nn.Linear(4, 2))
model = keras.Sequential([keras.Input((4,)), layer])
try:
    kbridge.export(model, "model.h5")
except kbridge.UnsupportedModelError as e:
    print(e.problems[0].class_name, e.problems[0].reason)
"""


def test_torch_module(run_python: Any) -> None:
    out = run_python(_TORCH).stdout
    assert "TorchModuleWrapper it runs a PyTorch module" in out
