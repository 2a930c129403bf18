"""Dtype policies: half precision, mixed, float64, and layers quantised to int8."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from tests.layers.harness import Case, In, layer_test

POLICIES = ("float16", "bfloat16", "mixed_float16", "mixed_bfloat16", "float64")
# One unit in the last place of a number of 11 and of 8 bits, and half of one for what went before.
_ULPS = {"float16": 2**-10, "bfloat16": 2**-7}

_LAYERS: dict[str, tuple[tuple[In, ...], dict[str, Any], Any]] = {
    "Dense": ((In((5,)),), {"units": 4, "activation": "tanh"}, None),
    "Conv2D": ((In((6, 5, 3)),), {"filters": 4, "kernel_size": 3, "padding": "same"}, None),
    "DepthwiseConv2D": ((In((6, 5, 3)),), {"kernel_size": 2}, None),
    "BatchNormalization": ((In((4, 3)),), {}, None),
    "LayerNormalization": ((In((4, 6)),), {}, None),
    "GroupNormalization": ((In((4, 6)),), {"groups": 2}, None),
    "RMSNormalization": ((In((4, 6)),), {}, None),
    "MaxPooling2D": ((In((6, 4, 2)),), {}, None),
    "AveragePooling2D": ((In((6, 4, 2)),), {"pool_size": 2}, None),
    "GlobalAveragePooling1D": ((In((6, 4)),), {}, None),
    "Embedding": ((In((5,), "int32", high=9),), {"input_dim": 9, "output_dim": 4}, None),
    "Softmax": ((In((6,)),), {}, None),
    "ReLU": ((In((6,)),), {"negative_slope": 0.1}, None),
    "Add": ((In((6,)), In((6,))), {}, None),
    "UpSampling2D": ((In((3, 4, 2)),), {"interpolation": "bilinear"}, None),
    "MultiHeadAttention": (
        (In((4, 6)),),
        {"num_heads": 2, "key_dim": 3},
        lambda layer, x: layer(x, x),
    ),
    "EinsumDense": ((In((3, 5)),), {"equation": "abc,cd->abd", "output_shape": (3, 4)}, None),
}


def _tolerances(layer: str, policy: str) -> dict[str, float]:
    ulp = _ULPS.get(policy.removeprefix("mixed_"))
    if ulp is not None and layer == "MultiHeadAttention":
        # Four products in a row, each rounded.
        ulp *= 2
    return {} if ulp is None else {"rtol": ulp, "atol": ulp}


_POLICY_CASES = [
    Case(layer, policy, inputs, {**config, "dtype": policy}, call, **_tolerances(layer, policy))
    for layer, (inputs, config, call) in _LAYERS.items()
    for policy in POLICIES
]


def _quantised(mode: str, *made: Any, inputs: Any) -> Any:
    def make() -> keras.Model:
        keras.utils.set_random_seed(11)
        model = keras.Sequential([inputs(), *(layer() for layer in made)])
        model.quantize(mode)
        return model

    return make


def _numbers() -> Any:
    return keras.Input((6,))


def _tokens() -> Any:
    return keras.Input((5,), dtype="int32")


def _dense() -> Any:
    return layers.Dense(4, activation="relu")


def _einsum() -> Any:
    return layers.EinsumDense("abc,cd->abd", (5, 4), bias_axes="d")


def _embedding() -> Any:
    return layers.Embedding(9, 6)


_QUANTISED = [
    Case(
        "Dense",
        "int8",
        (In((6,)),),
        model=_quantised("int8", _dense, lambda: layers.Dense(3), inputs=_numbers),
    ),
    Case(
        "Embedding",
        "int8",
        (In((5,), "int32", high=9),),
        model=_quantised("int8", _embedding, inputs=_tokens),
    ),
    Case(
        "EinsumDense",
        "int8",
        (In((5,), "int32", high=9),),
        model=_quantised("int8", _embedding, _einsum, inputs=_tokens),
    ),
    Case(
        "ReversibleEmbedding",
        "int8",
        (In((5,), "int32", high=9),),
        model=_quantised("int8", lambda: layers.ReversibleEmbedding(9, 6), inputs=_tokens),
    ),
    Case("Dense", "int4", (In((6,)),), model=_quantised("int4", _dense, inputs=_numbers)),
    Case(
        "Dense",
        "float8",
        (In((6,)),),
        model=_quantised("float8", _dense, inputs=_numbers),
        refusal="quantised to float8",
    ),
]

CASES = [*_POLICY_CASES, *_QUANTISED]

test_layer = layer_test(CASES)
