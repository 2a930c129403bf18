"""Core layers: dense, embeddings, masking, lambda."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from tests.layers.harness import Case, In, layer_test

TOKENS = In((6,), "int32", high=9)


def _lora(layer: str, **config: Any) -> Any:
    def make() -> Any:
        made = getattr(keras.layers, layer)(**config)
        made.build((None, 8))
        made.enable_lora(2)
        return made

    return make


def _einsum(equation: str, output_shape: Any, **config: Any) -> dict[str, Any]:
    return dict(equation=equation, output_shape=output_shape, **config)


_DENSE = [
    Case("Dense", "default", (In((5,)),), {"units": 4}),
    Case("Dense", "three dimensions", (In((3, 5)),), {"units": 4, "activation": "tanh"}),
    Case("Dense", "four dimensions no bias", (In((2, 3, 5)),), {"units": 1, "use_bias": False}),
    Case("Dense", "softmax", (In((5,)),), {"units": 7, "activation": "softmax"}),
    Case("Dense", "free sizes", (In((None, 5)),), {"units": 4, "activation": "relu"}),
    Case("Dense", "low rank", (In((8,)),), _lora("Dense", units=4)),
    Case("Dense", "float64", (In((5,), "float64"),), {"units": 4, "dtype": "float64"}),
    Case("Dense", "integers in", (In((5,), "int32", low=-9),), {"units": 4}),
    Case("EinsumDense", "default", (In((5,)),), _einsum("ab,bc->ac", 4)),
    Case(
        "EinsumDense",
        "bias",
        (In((3, 5)),),
        _einsum("abc,cd->abd", (3, 4), bias_axes="d", activation="relu"),
    ),
    Case(
        "EinsumDense",
        "heads",
        (In((3, 8)),),
        _einsum("btd,dhk->bthk", (None, 2, 4), bias_axes="hk"),
    ),
    Case(
        "EinsumDense",
        "from heads",
        (In((3, 2, 4)),),
        _einsum("bthk,hkd->btd", (None, 8), bias_axes="d"),
    ),
    Case("EinsumDense", "ellipsis", (In((2, 3, 5)),), _einsum("...x,xy->...y", 4, bias_axes="y")),
    Case("EinsumDense", "two axes", (In((3, 5)),), _einsum("abc,bcd->ad", 4)),
    Case(
        "EinsumDense",
        "free sizes",
        (In((None, 5)),),
        _einsum("abc,cd->abd", (None, 4), bias_axes="d"),
    ),
]


def _reverse(layer: Any, x: Any) -> Any:
    return layer(layer(x), reverse=True)


def _mean(layer: Any, x: Any) -> Any:
    return keras.layers.GlobalAveragePooling1D()(layer(x))


_EMBEDDING = [
    Case("Embedding", "default", (TOKENS,), {"input_dim": 9, "output_dim": 4}),
    Case(
        "Embedding",
        "mask zero",
        (TOKENS,),
        {"input_dim": 9, "output_dim": 4, "mask_zero": True},
        call=_mean,
    ),
    Case(
        "Embedding", "scalar token", (In((), "int32", high=9),), {"input_dim": 9, "output_dim": 4}
    ),
    Case(
        "Embedding", "two axes", (In((3, 5), "int64", high=9),), {"input_dim": 9, "output_dim": 4}
    ),
    Case("Embedding", "bytes", (In((5,), "uint8", high=9),), {"input_dim": 9, "output_dim": 4}),
    Case("Embedding", "floats", (In((5,), low=0, high=8),), {"input_dim": 9, "output_dim": 4}),
    Case(
        "Embedding",
        "free sizes",
        (In((None,), "int32", high=9),),
        {"input_dim": 9, "output_dim": 4},
    ),
    Case(
        "Embedding",
        "low rank",
        (In((5,), "int32", high=9),),
        _lora("Embedding", input_dim=9, output_dim=4),
    ),
    Case("ReversibleEmbedding", "default", (TOKENS,), {"input_dim": 9, "output_dim": 4}),
    Case(
        "ReversibleEmbedding",
        "reversed",
        (TOKENS,),
        {"input_dim": 9, "output_dim": 4},
        call=_reverse,
    ),
    Case(
        "ReversibleEmbedding",
        "weights of their own",
        (TOKENS,),
        {"input_dim": 9, "output_dim": 4, "tie_weights": False, "mask_zero": True},
        call=_reverse,
    ),
    Case(
        "ReversibleEmbedding",
        "soft cap",
        (TOKENS,),
        {"input_dim": 9, "output_dim": 4, "logit_soft_cap": 0.5},
        call=_reverse,
    ),
]


def _stack(*made: Any) -> Any:
    def call(layer: Any, x: Any) -> Any:
        x = layer(x)
        for other in made:
            x = other(x)
        return x

    return call


def _masked_steps(variant: int) -> list[Any]:
    x = In((6, 3)).array(variant, "masking")
    x[:, 4:] = 0
    x[0, 1] = 0
    return [x]


def _masked_mean(layer: Any, x: Any) -> Any:
    return keras.layers.GlobalAveragePooling1D()(layer(x))


def _masked_attention(layer: Any, x: Any) -> Any:
    x = layer(x)
    return keras.layers.MultiHeadAttention(2, 3)(x, x)


def _masked_softmax(layer: Any, x: Any) -> Any:
    return keras.layers.Attention()([layer(x), layer(x)])


def _masked_merge(layer: Any, x: Any) -> Any:
    both = keras.layers.Concatenate(axis=-1)([layer(x), layer(x)])
    return keras.layers.GlobalAveragePooling1D()(both)


_MASKING = [
    Case("Masking", "default", (In((6, 3)),), arrays=_masked_steps),
    Case("Masking", "other value", (In((6, 3)),), {"mask_value": 0.5}),
    Case("Masking", "mean", (In((6, 3)),), call=_masked_mean, arrays=_masked_steps),
    Case("Masking", "multi-head", (In((6, 3)),), call=_masked_attention, arrays=_masked_steps),
    Case("Masking", "attention", (In((6, 3)),), call=_masked_softmax, arrays=_masked_steps),
    Case("Masking", "merged", (In((6, 3)),), call=_masked_merge, arrays=_masked_steps),
    Case("Identity", "default", (In((5,)),)),
    Case("Identity", "image", (In((2, 3, 4)),)),
    Case("Identity", "integers", (In((4,), "int32"),), {"dtype": "int32"}),
    Case(
        "InputLayer", "default", (In((4,)),), model=lambda: _inputs(keras.layers.InputLayer((4,)))
    ),
    Case(
        "InputLayer",
        "named",
        (In((4,)),),
        model=lambda: _inputs(keras.layers.InputLayer((4,), name="here")),
    ),
    Case(
        "InputLayer",
        "integers",
        (In((4,), "int32"),),
        model=lambda: _inputs(keras.layers.InputLayer((4,), dtype="int32")),
    ),
]


def _inputs(layer: Any) -> keras.Model:
    return keras.Sequential([layer, keras.layers.Dense(3)])


def _double(x: Any) -> Any:
    return ops.multiply(x, 2)


def _scaled(x: Any, factor: float) -> Any:
    return ops.sum(ops.exp(x), axis=-1, keepdims=True) * factor


_LAMBDA = [
    Case("Lambda", "default", (In((5,)),), {"function": _double}),
    Case("Lambda", "arguments", (In((3, 5)),), {"function": _scaled, "arguments": {"factor": 0.5}}),
    Case("Lambda", "operators", (In((4,)),), {"function": lambda x: 1 - x**2 / 3}),
    Case("Lambda", "slices", (In((4, 3)),), {"function": lambda x: x[:, ::-1, 1:]}),
    Case(
        "Lambda",
        "two inputs",
        (In((4,)), In((4,))),
        {"function": lambda xs: xs[0] @ ops.transpose(xs[1])},
    ),
]

CASES = [*_DENSE, *_EMBEDDING, *_MASKING, *_LAMBDA]
test_layer = layer_test(CASES)
