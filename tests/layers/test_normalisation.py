"""Normalisation layers, trained and untrained axes, masks, the parameters of each."""

from __future__ import annotations

from typing import Any

import keras

from tests.layers.harness import Case, In, layer_test

_IMAGE = (In((6, 5, 4)),)


def _with_mask(layer: Any, x: Any, mask: Any) -> Any:
    return layer(x, mask=mask)


def _spectral(inner: Any, **config: Any) -> Any:
    return lambda: keras.layers.SpectralNormalization(inner(), **config)


_BATCH = [
    Case("BatchNormalization", "default", _IMAGE),
    Case("BatchNormalization", "two dimensions", (In((5,)),), {"epsilon": 0.1}),
    Case("BatchNormalization", "first axis", _IMAGE, {"axis": 1}),
    Case("BatchNormalization", "middle axis", (In((3, 4, 5, 2)),), {"axis": 2}),
    Case("BatchNormalization", "no scale", _IMAGE, {"scale": False}),
    Case("BatchNormalization", "no center", _IMAGE, {"center": False}),
    Case("BatchNormalization", "neither", _IMAGE, {"scale": False, "center": False}),
    Case("BatchNormalization", "renorm", _IMAGE, {"renorm": True}),
    Case(
        "BatchNormalization",
        "virtual batches off",
        (In((3, 4)),),
        {"momentum": 0.5, "synchronized": False},
    ),
    Case("BatchNormalization", "masked", (In((6, 4)), In((6,), "bool")), call=_with_mask),
    Case("BatchNormalization", "free sizes", (In((None, None, 3)),)),
    Case("BatchNormalization", "float64", (In((4, 3), "float64"),), {"dtype": "float64"}),
]

_LAYER = [
    Case("LayerNormalization", "default", (In((5, 8)),)),
    Case("LayerNormalization", "two dimensions", (In((8,)),)),
    Case("LayerNormalization", "several axes", _IMAGE, {"axis": [1, 2, 3]}),
    Case("LayerNormalization", "middle axis", _IMAGE, {"axis": 2}),
    Case("LayerNormalization", "negative axes", _IMAGE, {"axis": (-1, -2)}),
    Case("LayerNormalization", "no scale", (In((5, 8)),), {"scale": False}),
    Case("LayerNormalization", "no center", (In((5, 8)),), {"center": False, "epsilon": 0.1}),
    Case("LayerNormalization", "neither", (In((5, 8)),), {"scale": False, "center": False}),
    Case("LayerNormalization", "free sizes", (In((None, 8)),)),
]

_GROUP = [
    Case("GroupNormalization", "default", (In((5, 4, 32)),)),
    Case("GroupNormalization", "groups", _IMAGE, {"groups": 2}),
    Case("GroupNormalization", "instance", _IMAGE, {"groups": -1}),
    Case("GroupNormalization", "first axis", (In((4, 5, 3)),), {"groups": 2, "axis": 1}),
    Case("GroupNormalization", "middle axis", (In((3, 4, 5)),), {"groups": 2, "axis": 2}),
    Case("GroupNormalization", "two dimensions", (In((6,)),), {"groups": 3}),
    Case("GroupNormalization", "no scale", _IMAGE, {"groups": 2, "scale": False}),
    Case("GroupNormalization", "no center", _IMAGE, {"groups": 2, "center": False, "epsilon": 0.1}),
    Case("GroupNormalization", "free sizes", (In((None, None, 4)),), {"groups": 2}),
]

_RMS = [
    Case("RMSNormalization", "default", (In((5, 8)),)),
    Case("RMSNormalization", "several axes", _IMAGE, {"axis": [2, 3]}),
    Case("RMSNormalization", "epsilon", _IMAGE, {"epsilon": 0.1}),
    Case("RMSNormalization", "two dimensions", (In((8,)),)),
]

_UNIT = [
    Case("UnitNormalization", "default", (In((5, 8)),)),
    Case("UnitNormalization", "first axis", _IMAGE, {"axis": 1}),
    Case("UnitNormalization", "several axes", _IMAGE, {"axis": (1, -1)}),
    Case("UnitNormalization", "two dimensions", (In((3,)),)),
]

_SPECTRAL = [
    Case("SpectralNormalization", "dense", (In((5,)),), _spectral(lambda: keras.layers.Dense(4))),
    Case(
        "SpectralNormalization",
        "convolution",
        _IMAGE,
        _spectral(lambda: keras.layers.Conv2D(3, 2, strides=2), power_iterations=3),
    ),
    Case(
        "SpectralNormalization",
        "embedding",
        (In((6,), "int32"),),
        _spectral(lambda: keras.layers.Embedding(10, 4)),
    ),
]

CASES = [*_BATCH, *_LAYER, *_GROUP, *_RMS, *_UNIT, *_SPECTRAL]

test_layer = layer_test(CASES)
