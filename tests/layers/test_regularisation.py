"""Layers that act in training only: at inference they give what they get."""

from __future__ import annotations

from tests.layers.harness import Case, In, layer_test

X, SEQUENCE, IMAGE, VOLUME = (In((5,)),), (In((4, 3)),), (In((3, 4, 2)),), (In((2, 3, 2, 2)),)


def _rate(layer: str) -> list[Case]:
    return [
        Case(layer, "default", X, {"rate": 0.5}),
        Case(layer, "seed", SEQUENCE, {"rate": 0.2, "seed": 3}),
        Case(layer, "image", IMAGE, {"rate": 0.9}),
    ]


CASES = [
    *_rate("Dropout"),
    Case("Dropout", "noise shape", SEQUENCE, {"rate": 0.5, "noise_shape": (None, 1, 3)}),
    *_rate("AlphaDropout"),
    *_rate("GaussianDropout"),
    Case("GaussianNoise", "default", X, {"stddev": 0.5}),
    Case("GaussianNoise", "seed", SEQUENCE, {"stddev": 1.0, "seed": 3}),
    Case("GaussianNoise", "image", IMAGE, {"stddev": 0.1}),
    Case("SpatialDropout1D", "default", SEQUENCE, {"rate": 0.5}),
    Case("SpatialDropout1D", "seed", SEQUENCE, {"rate": 0.1, "seed": 3}),
    Case("SpatialDropout1D", "free sizes", (In((None, 3)),), {"rate": 0.5}),
    Case("SpatialDropout2D", "default", IMAGE, {"rate": 0.5}),
    Case(
        "SpatialDropout2D", "channels first", IMAGE, {"rate": 0.5, "data_format": "channels_first"}
    ),
    Case("SpatialDropout2D", "free sizes", (In((None, None, 2)),), {"rate": 0.5}),
    Case("SpatialDropout3D", "default", VOLUME, {"rate": 0.5}),
    Case(
        "SpatialDropout3D", "channels first", VOLUME, {"rate": 0.5, "data_format": "channels_first"}
    ),
    Case("SpatialDropout3D", "free sizes", (In((None, None, None, 2)),), {"rate": 0.5}),
    Case("ActivityRegularization", "default", X),
    Case("ActivityRegularization", "both", SEQUENCE, {"l1": 0.1, "l2": 0.2}),
    Case("ActivityRegularization", "image", IMAGE, {"l2": 0.2}),
]

test_layer = layer_test(CASES)
