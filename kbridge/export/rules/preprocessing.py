"""Preprocessing layers: categories, vocabularies and hashes, which Keras computes by TensorFlow.

What works on strings is refused: arrays of strings have no counterpart in the JVM.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from kbridge.export.registry import lowers
from kbridge.export.trace import UnsupportedCall
from kbridge.export.tracing import emit_node


@lowers(layers.StringLookup, layers.TextVectorization)
def refuse_text(layer: Any, inputs: Any) -> Any:
    """Text in, or text out; the rest of the model can run in the JVM."""
    if inputs.dtype == "string":
        advice = (
            "Run this layer in Python, in front of the model. With layer = "
            f"model.get_layer({layer.name!r}), export keras.Model(layer.output, model.outputs) and "
            "give it keras.ops.convert_to_numpy(layer(texts))."
        )
    else:
        advice = (
            "Run this layer in Python, behind the model. With layer = "
            f"model.get_layer({layer.name!r}), export keras.Model(model.inputs, layer.input) and "
            "call layer(...) with what it answers."
        )
    raise UnsupportedCall("it works on strings, which the JVM side does not take", advice)


@lowers(layers.Discretization)
def lower_discretization(layer: Any, inputs: Any) -> Any:
    """Which bin each number is in, by search in the boundaries."""
    if layer.bin_boundaries is None:
        raise UnsupportedCall("it has no bin boundaries yet", "Call its adapt() before the export.")
    # NB: the boundaries are float32 in Keras; integers are compared with them exactly.
    dtype = inputs.dtype if "float" in inputs.dtype else "float64"
    bounds = np.asarray(layer.bin_boundaries, "float32").astype(dtype)
    bins = ops.searchsorted(bounds, inputs, side="right")
    return encode(bins, layer.output_mode, len(bounds) + 1, layer.output_dtype, layer.sparse)


@lowers(layers.CategoryEncoding)
def lower_category_encoding(layer: Any, inputs: Any, count_weights: Any = None) -> Any:
    """One code per sample."""
    return encode(
        inputs,
        layer.output_mode,
        layer.num_tokens,
        layer.compute_dtype,
        layer.sparse,
        count_weights,
    )


@lowers(layers.Hashing)
def lower_hashing(layer: Any, inputs: Any) -> Any:
    """Hashes of integers as text, as TensorFlow's `to_hash_bucket_fast` and `_strong` give them."""
    if layer.output_mode == "one_hot" and len(inputs.shape) and inputs.shape[-1] == 1:
        inputs = ops.squeeze(inputs, -1)
    if "float" in inputs.dtype:
        inputs = ops.cast(inputs, "int64")
    masks = layer.mask_value is not None and layer.num_bins > 1
    bins = _hashed(layer, inputs, layer.num_bins - masks)
    if masks:
        bins = ops.where(ops.equal(inputs, layer.mask_value), ops.zeros_like(bins), bins + 1)
    return encode(bins, layer.output_mode, layer.num_bins, layer.dtype, layer.sparse)


@lowers(layers.HashedCrossing)
def lower_hashed_crossing(layer: Any, inputs: Any) -> Any:
    """Hashes of tuples of integers, as TensorFlow's `cross_hashed` gives them."""
    inputs = [_integers(layer, x) for x in inputs]
    attrs = {"num_bins": int(layer.num_bins)}
    bins = emit_node("HashedCrossing", inputs, attrs, (inputs[0].shape, "int64"))
    encoded = encode(bins, layer.output_mode, layer.num_bins, layer.compute_dtype, layer.sparse)
    return ops.cast(encoded, layer.dtype)


def _hashed(layer: Any, x: Any, num_bins: int) -> Any:
    salt = None if layer.salt is None else [int(s) for s in layer.salt]
    attrs = {"num_bins": int(num_bins), "salt": salt}
    return emit_node("Hashing", [_integers(layer, x)], attrs, (x.shape, "int64"))


def _integers(layer: Any, x: Any) -> Any:
    if x.dtype == "string":
        return refuse_text(layer, x)
    return ops.cast(x, "int64")


@lowers(layers.IntegerLookup)
def lower_integer_lookup(layer: Any, inputs: Any) -> Any:
    """Positions in the vocabulary, by search in a sorted table; unknown ones as the layer says."""
    inputs = ops.cast(inputs, "int64")
    if layer.invert:
        return _inverted(layer, inputs)
    known = np.asarray(layer.get_vocabulary(include_special_tokens=False), "int64")
    order = np.argsort(known)
    first = layer._token_start_index()
    found, matches = _searched(inputs, known[order], order + first)
    lookups = ops.where(matches, found, _unknown(layer, inputs))
    if layer.mask_token is not None:
        lookups = ops.where(ops.equal(inputs, int(layer.mask_token)), _mask_index(layer), lookups)
    if layer.output_mode == "int":
        return lookups
    return _encoded_lookup(layer, lookups)


def _searched(x: Any, table: np.ndarray, values: np.ndarray) -> tuple[Any, Any]:
    """The value beside each number in a sorted table, and whether it is there."""
    position = ops.minimum(ops.searchsorted(table, x, side="left"), len(table) - 1)
    return (
        ops.take(values.astype("int64"), position, axis=0),
        ops.equal(ops.take(table, position, axis=0), x),
    )


def _unknown(layer: Any, inputs: Any) -> Any:
    count, first = layer.num_oov_indices, layer._oov_start_index()
    if count == 0:
        raise UnsupportedCall(
            "with num_oov_indices=0 it raises an error for numbers outside of its vocabulary, "
            "which a graph cannot",
            "Use num_oov_indices=1.",
        )
    if count == 1:
        return ops.full_like(inputs, first)
    if layer.oov_method == "farmhash":
        return _hashed(layer, inputs, count) + first
    return ops.mod(inputs, count) + first


def _mask_index(layer: Any) -> int:
    """Where the mask token is: at 0 for indices; it counts as unknown in codes."""
    return int(keras.ops.convert_to_numpy(layer._mask_value))


def _inverted(layer: Any, inputs: Any) -> Any:
    vocabulary = np.asarray(layer.get_vocabulary(), "int64")
    first = layer._token_start_index()
    positions = np.arange(first, len(vocabulary))
    found, matches = _searched(inputs, positions.astype("int64"), vocabulary[first:])
    tokens = ops.where(matches, found, int(layer.oov_token))
    if layer.mask_token is not None:
        tokens = ops.where(ops.equal(inputs, 0), int(layer.mask_token), tokens)
    return ops.cast(tokens, "int64")


def _encoded_lookup(layer: Any, lookups: Any) -> Any:
    depth = layer.max_tokens if layer.pad_to_max_tokens else layer.vocabulary_size()
    mode = "count" if layer.output_mode == "tf_idf" else layer.output_mode
    codes = encode(lookups, mode, depth, layer._value_dtype, layer.sparse)
    if layer.output_mode != "tf_idf":
        return codes
    weights = keras.ops.convert_to_numpy(layer.idf_weights_const)
    return ops.multiply(ops.cast(codes, str(weights.dtype)), weights)


def encode(
    x: Any, mode: str, depth: int, dtype: str, sparse: bool = False, weights: Any = None
) -> Any:
    """The codes of `keras.src.utils.numerical_utils.encode_categorical_inputs`."""
    if sparse:
        raise UnsupportedCall("it gives a sparse tensor", "Use sparse=False.")
    if mode == "int":
        return ops.cast(x, dtype)
    if mode == "one_hot":
        if len(x.shape) > 1 and x.shape[-1] == 1:
            x = ops.squeeze(x, -1)
        return ops.one_hot(x, depth, dtype=dtype)
    if len(x.shape) == 1:
        # A vector is one sample with several values; Keras gives one code for it.
        x = ops.expand_dims(x, 0)
        codes = encode(x, mode, depth, dtype, sparse, None if weights is None else weights[None])
        return ops.squeeze(codes, 0)
    if weights is not None:
        dtype = weights.dtype
    codes = ops.one_hot(x, depth, dtype=dtype)
    if mode == "multi_hot":
        return ops.max(codes, axis=1)
    if weights is not None:
        codes = ops.multiply(codes, ops.expand_dims(weights, -1))
    return ops.sum(codes, axis=1)


@lowers(
    layers.MixUp,
    layers.RandomColorDegeneration,
    layers.RandomGrayscale,
    layers.RandomHue,
    layers.RandomPosterization,
    layers.RandomSaturation,
    layers.RandomSharpness,
)
def lower_unused_draw(layer: Any, data: Any, training: Any = None) -> Any:
    """These draw random numbers at inference too, and then do not use them."""
    # NB: an attribute of the instance hides the method; it is of no use to Keras's tracking.
    object.__setattr__(layer, "get_random_transformation", lambda *args, **kwargs: None)
    try:
        return layer.call(data, training=False)
    finally:
        object.__delattr__(layer, "get_random_transformation")
