"""Specs of outputs for the operations whose own shape inference in Keras is wrong or fails."""

from __future__ import annotations

from typing import Any

import keras
from keras.src import backend
from keras.src.ops import operation_utils

from kbridge.export.normalise import specifies


@specifies("Conv")
def conv_spec(op: Any, inputs: Any, kernel: Any) -> keras.KerasTensor:
    """Keras's own inference refuses grouped convolutions (kernel channels < input channels)."""
    shape = operation_utils.compute_conv_output_shape(
        inputs.shape,
        kernel.shape[-1],
        kernel.shape[:-2],
        strides=op.strides,
        padding=op.padding,
        data_format=backend.standardize_data_format(op.data_format),
        dilation_rate=op.dilation_rate,
    )
    return keras.KerasTensor(shape, dtype=inputs.dtype)


@specifies("AdaptiveMaxPool", "AdaptiveAveragePool")
def adaptive_pool_spec(op: Any, inputs: Any) -> keras.KerasTensor:
    """Keras's own inference is wrong for channels_last and for one size for all axes."""
    size = op.output_size
    spatial = (size,) * (len(inputs.shape) - 2) if isinstance(size, int) else tuple(size)
    if backend.standardize_data_format(op.data_format) == "channels_last":
        shape = (inputs.shape[0], *spatial, inputs.shape[-1])
    else:
        shape = (*inputs.shape[:2], *spatial)
    return keras.KerasTensor(shape, dtype=inputs.dtype)


@specifies("MultiHot")
def multi_hot_spec(op: Any, inputs: Any) -> keras.KerasTensor:
    """Keras's own inference gives the dtype of the operand."""
    return keras.KerasTensor(type(op).compute_output_spec(op, inputs).shape, dtype=op.dtype)


@specifies("CategoricalCrossentropy")
def categorical_crossentropy_spec(op: Any, target: Any, output: Any) -> keras.KerasTensor:
    """Keras's own inference takes the classes to be on the last axis always."""
    shape = operation_utils.reduce_shape(output.shape, axis=[op.axis])
    return keras.KerasTensor(shape, dtype=output.dtype)


@specifies("Logsumexp", "Reciprocal")
def floating_spec(op: Any, x: Any) -> keras.KerasTensor:
    """Keras's own inference says float32 whatever the operand."""
    dtype = x.dtype if "float" in x.dtype else backend.floatx()
    shape = x.shape
    if hasattr(op, "axis"):
        shape = operation_utils.reduce_shape(x.shape, axis=op.axis, keepdims=op.keepdims)
    return keras.KerasTensor(shape, dtype=dtype)


@specifies("GetItem")
def get_item_spec(op: Any, x: Any, key: Any) -> keras.KerasTensor:
    """Keras's own inference refuses a key that is one slice, one ellipsis or one newaxis."""
    if key is None or key is Ellipsis or isinstance(key, slice):
        key = (key,)
    return op.compute_output_spec(x, key)
