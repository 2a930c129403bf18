"""Keeps biases of channels-first convolutions on their own axis under TensorFlow.

NB: Keras 3.15 turns ``ops.add(x, bias)`` into TensorFlow's `bias_add` whenever one dimension of
`bias` is longer than 1, and takes the last axis of `x` if that has as many cells. A channels-first
convolution with as many filters as its output has columns then gets its bias along the columns.
Adding in the other order (``bias + x``) does not take that turn. A test fails once Keras is right.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kbridge.export.legacy.context import Context


def repair_biases(model: keras.Model, context: Context) -> None:
    """Replaces the call of the affected layers of a model that was read from a file.

    Args:
        model: The model.
        context: The reading; gets a note.
    """
    if keras.config.backend() != "tensorflow":
        return
    for layer in model._flatten_layers(include_self=False):
        if _is_affected(layer):
            layer.call = _call_with_bias_first(layer)
            context.note("channels-first biases are added around a fault of Keras on TensorFlow")
        elif isinstance(layer, _RECURRENT) and _is_ambiguous(layer):
            context.note(
                f"{layer.name}: Keras adds its biases along the wrong axis under TensorFlow, so "
                "native predictions are wrong; use KERAS_BACKEND=jax or torch"
            )


_CONVOLUTIONS = tuple(
    getattr(keras.layers, name)
    for name in (
        "Conv1D Conv2D Conv3D Conv1DTranspose Conv2DTranspose Conv3DTranspose SeparableConv1D "
        "SeparableConv2D DepthwiseConv1D DepthwiseConv2D"
    ).split()
)
_RECURRENT = (keras.layers.ConvLSTM1D, keras.layers.ConvLSTM2D, keras.layers.ConvLSTM3D)


def _is_affected(layer: Any) -> bool:
    return (
        isinstance(layer, _CONVOLUTIONS)
        and layer.data_format == "channels_first"
        and layer.use_bias
    )


def _is_ambiguous(layer: Any) -> bool:
    first = layer.cell.data_format == "channels_first"
    return first and layer.output.shape[-1] == layer.cell.filters


def _call_with_bias_first(layer: Any) -> Any:
    original = layer.call

    def call(inputs: Any) -> Any:
        activation = layer.activation
        layer.use_bias, layer.activation = False, None
        try:
            outputs = original(inputs)
        finally:
            layer.use_bias, layer.activation = True, activation
        bias = ops.reshape(layer.bias, (1, -1) + (1,) * layer.rank)
        outputs = ops.add(bias, outputs)
        return outputs if activation is None else activation(outputs)

    return call
