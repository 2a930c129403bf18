"""Convolutions: 1D to 3D, transposed, depthwise and separable."""

from __future__ import annotations

from tests.layers.harness import Case, In, layer_test

FIRST = {"data_format": "channels_first"}
_SIZES = {1: (9,), 2: (9, 7), 3: (6, 7, 5)}


def _conv(n: int) -> list[Case]:
    size, layer = _SIZES[n], f"Conv{n}D"
    last, first = (*size, 4), (4, *size)
    every = {"filters": 6, "kernel_size": 3, "strides": 2, "padding": "same", "activation": "gelu"}
    return [
        Case(layer, "default", (In(last),), {"filters": 3, "kernel_size": 2}),
        Case(layer, "strides same gelu", (In(last),), every),
        Case(
            layer,
            "no bias kernel of one",
            (In(last),),
            {"filters": 5, "kernel_size": 1, "use_bias": False},
        ),
        Case(layer, "dilation", (In(last),), {"filters": 3, "kernel_size": 2, "dilation_rate": 2}),
        Case(layer, "groups", (In(last),), {"filters": 6, "kernel_size": 2, "groups": 2}),
        Case(layer, "channels first", (In(first),), dict(filters=3, kernel_size=2, **FIRST)),
        Case(
            layer,
            "channels first strides same groups",
            (In(first),),
            {**every, **FIRST, "groups": 2},
        ),
        Case(layer, "free sizes", (In((None,) * n + (4,)),), every),
    ]


def _transposed(n: int) -> list[Case]:
    size, layer = {1: (5,), 2: (5, 4), 3: (4, 3, 5)}[n], f"Conv{n}DTranspose"
    last, first = (*size, 3), (3, *size)
    every = {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same", "activation": "silu"}
    padded = {"filters": 2, "kernel_size": 3, "strides": 3, "output_padding": 1}
    return [
        Case(layer, "default", (In(last),), {"filters": 4, "kernel_size": 2}),
        Case(layer, "strides same silu", (In(last),), every),
        Case(
            layer,
            "strides valid no bias",
            (In(last),),
            {"filters": 4, "kernel_size": 2, "strides": 3, "use_bias": False},
        ),
        Case(layer, "output padding", (In(last),), padded),
        Case(layer, "output padding same", (In(last),), {**padded, "padding": "same"}),
        Case(layer, "dilation", (In(last),), {"filters": 4, "kernel_size": 2, "dilation_rate": 2}),
        Case(layer, "channels first", (In(first),), {**every, **FIRST}),
        Case(layer, "free sizes", (In((None,) * n + (3,)),), every),
    ]


def _depthwise(n: int) -> list[Case]:
    size, layer = _SIZES[n], f"DepthwiseConv{n}D"
    last, first = (*size, 4), (4, *size)
    every = {
        "kernel_size": 3,
        "strides": 2,
        "padding": "same",
        "depth_multiplier": 2,
        "activation": "relu",
    }
    return [
        Case(layer, "default", (In(last),), {"kernel_size": 2}),
        Case(layer, "strides same multiplier", (In(last),), every),
        Case(
            layer,
            "dilation no bias",
            (In(last),),
            {"kernel_size": 2, "dilation_rate": 2, "use_bias": False},
        ),
        Case(layer, "channels first", (In(first),), {**every, **FIRST}),
        Case(layer, "free sizes", (In((None,) * n + (4,)),), every),
    ]


def _separable(n: int) -> list[Case]:
    size, layer = _SIZES[n], f"SeparableConv{n}D"
    last, first = (*size, 4), (4, *size)
    every = {
        "filters": 5,
        "kernel_size": 3,
        "strides": 2,
        "padding": "same",
        "depth_multiplier": 2,
        "activation": "elu",
    }
    return [
        Case(layer, "default", (In(last),), {"filters": 3, "kernel_size": 2}),
        Case(layer, "strides same multiplier", (In(last),), every),
        Case(
            layer,
            "dilation no bias",
            (In(last),),
            {"filters": 3, "kernel_size": 2, "dilation_rate": 2, "use_bias": False},
        ),
        Case(layer, "channels first", (In(first),), {**every, **FIRST}),
        Case(layer, "free sizes", (In((None,) * n + (4,)),), every),
    ]


CASES = [
    *(case for n in (1, 2, 3) for case in _conv(n)),
    *(case for n in (1, 2, 3) for case in _transposed(n)),
    *(case for n in (1, 2) for case in (*_depthwise(n), *_separable(n))),
    Case("Conv1D", "causal", (In((9, 4)),), {"filters": 3, "kernel_size": 3, "padding": "causal"}),
    Case(
        "Conv1D",
        "causal dilation",
        (In((None, 4)),),
        {"filters": 3, "kernel_size": 2, "padding": "causal", "dilation_rate": 3},
    ),
    Case(
        "Conv1D",
        "causal strides",
        (In((9, 4)),),
        {"filters": 3, "kernel_size": 3, "padding": "causal", "strides": 2},
    ),
    Case(
        "Conv2D",
        "uneven",
        (In((9, 8, 3)),),
        {"filters": 4, "kernel_size": (1, 4), "strides": (2, 1), "padding": "same"},
    ),
    # TensorFlow's Keras adds the bias to the wrong axis here; the JVM gives what it gives.
    Case(
        "Conv2D",
        "channels first as wide as channels",
        (In((3, 6, 5)),),
        {"filters": 5, "kernel_size": 3, "padding": "same", **FIRST},
    ),
    Case(
        "Conv2D",
        "uneven dilation",
        (In((9, 8, 3)),),
        {"filters": 4, "kernel_size": (3, 2), "dilation_rate": (1, 3)},
    ),
    Case(
        "Conv2DTranspose",
        "uneven",
        (In((4, 5, 3)),),
        {"filters": 2, "kernel_size": (2, 5), "strides": (3, 1), "padding": "same"},
    ),
    Case(
        "DepthwiseConv2D",
        "uneven kernel",
        (In((9, 8, 3)),),
        {"kernel_size": (4, 1), "strides": 1, "padding": "same"},
    ),
]

test_layer = layer_test(CASES)
