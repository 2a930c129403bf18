"""Pooling: in windows, global, adaptive."""

from __future__ import annotations

from tests.layers.harness import Case, In, layer_test

FIRST = {"data_format": "channels_first"}
_SIZES = {1: (9,), 2: (9, 7), 3: (6, 7, 5)}


def _window(kind: str, n: int) -> list[Case]:
    layer, last, first = f"{kind}Pooling{n}D", (*_SIZES[n], 3), (3, *_SIZES[n])
    every = {"pool_size": 3, "strides": 2, "padding": "same"}
    return [
        Case(layer, "default", (In(last),), {"pool_size": 2}),
        Case(layer, "strides same", (In(last),), every),
        Case(layer, "strides beyond window", (In(last),), {"pool_size": 2, "strides": 3}),
        Case(layer, "overlapping", (In(last),), {"pool_size": 3, "strides": 1}),
        Case(layer, "channels first", (In(first),), {**every, **FIRST}),
        Case(layer, "free sizes", (In((None,) * n + (3,)),), every),
    ]


def _global(kind: str, n: int) -> list[Case]:
    layer, last, first = f"Global{kind}Pooling{n}D", (*_SIZES[n], 3), (3, *_SIZES[n])
    return [
        Case(layer, "default", (In(last),)),
        Case(layer, "keepdims", (In(last),), {"keepdims": True}),
        Case(layer, "channels first", (In(first),), FIRST),
        Case(layer, "channels first keepdims", (In(first),), {**FIRST, "keepdims": True}),
        Case(layer, "free sizes", (In((None,) * n + (3,)),)),
    ]


def _adaptive(kind: str, n: int) -> list[Case]:
    layer, last, first = f"Adaptive{kind}Pooling{n}D", (*_SIZES[n], 3), (3, *_SIZES[n])
    uneven = (4, 3, 2)[:n] if n > 1 else 4
    return [
        Case(layer, "default", (In(last),), {"output_size": 3}),
        Case(layer, "uneven", (In(last),), {"output_size": uneven}),
        Case(layer, "same size", (In(last),), {"output_size": _SIZES[n] if n > 1 else 9}),
        Case(layer, "channels first", (In(first),), dict(output_size=uneven, **FIRST)),
    ]


def _masked_mean(layer: object, x: object, mask: object) -> object:
    return layer(x, mask=mask)


_WINDOWED = [(kind, n) for kind in ("Max", "Average") for n in (1, 2, 3)]

# NB: TensorFlow itself dies (SIGFPE in its oneDNN) of an AdaptiveMaxPooling1D to a size of 1.
_TO_ONE = [
    Case(layer, "to one", (In((*_SIZES[n], 3)),), {"output_size": 1})
    for n in (1, 2, 3)
    for layer in [f"AdaptiveAveragePooling{n}D"]
]

CASES = [
    *_TO_ONE,
    *(case for kind, n in _WINDOWED for case in _window(kind, n)),
    *(case for kind, n in _WINDOWED for case in _global(kind, n)),
    *(case for kind, n in _WINDOWED for case in _adaptive(kind, n)),
    Case("MaxPooling2D", "uneven", (In((9, 8, 3)),), {"pool_size": (1, 3), "strides": (2, 1)}),
    Case("AveragePooling2D", "uneven", (In((9, 8, 3)),), {"pool_size": (3, 1), "padding": "same"}),
    Case(
        "MaxPooling2D",
        "stride one same",
        (In((5, 4, 2)),),
        {"pool_size": 3, "strides": 1, "padding": "same"},
    ),
    Case("MaxPooling1D", "integers", (In((9, 2), "int32", low=-9),), {"pool_size": 2}),
    Case("GlobalAveragePooling1D", "mask", (In((7, 3)), In((7,), "bool")), call=_masked_mean),
    Case("AdaptiveAveragePooling2D", "larger than input", (In((3, 4, 2)),), {"output_size": 5}),
    Case("AdaptiveMaxPooling2D", "larger than input", (In((3, 4, 2)),), {"output_size": (5, 6)}),
]

test_layer = layer_test(CASES)
