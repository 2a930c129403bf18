"""Activation layers and every activation by name."""

from __future__ import annotations

from typing import Any

import keras

from tests.layers.harness import Case, In, layer_test

# NB: threshold has arguments without defaults, so no layer can have it by name.
_OTHER = ("get", "serialize", "deserialize", "threshold")
_NAMES = sorted(
    name
    for name in dir(keras.activations)
    if not name.startswith("_")
    and name not in _OTHER
    and callable(getattr(keras.activations, name))
    and not isinstance(getattr(keras.activations, name), type)
)
X = (In((4, 6), low=-7, high=7),)


def _masked(layer: Any, x: Any, mask: Any) -> Any:
    return layer(x, mask=mask)


CASES = [
    *(Case("Activation", name, X, {"activation": name}) for name in _NAMES),
    Case("Activation", "function", X, lambda: keras.layers.Activation(keras.ops.tanh)),
    Case("Activation", "free sizes", (In((None,)),), {"activation": "relu"}),
    Case("ELU", "default", X),
    Case("ELU", "alpha", X, {"alpha": 0.3}),
    Case("ELU", "image", (In((2, 3, 2)),), {"alpha": 2.0}),
    Case("LeakyReLU", "default", X),
    Case("LeakyReLU", "slope", X, {"negative_slope": 0.05}),
    Case("LeakyReLU", "image", (In((2, 3, 2)),), {"negative_slope": 0.0}),
    Case("PReLU", "default", X),
    Case("PReLU", "shared axes", (In((3, 4, 2)),), {"shared_axes": [1, 2]}),
    Case("PReLU", "one shared axis", X, {"shared_axes": [1]}),
    Case("ReLU", "default", X),
    Case("ReLU", "bounded", X, {"max_value": 3.0}),
    Case("ReLU", "leaky", X, {"negative_slope": 0.2}),
    Case("ReLU", "threshold", X, {"threshold": 1.5}),
    Case("ReLU", "everything", X, {"max_value": 4.0, "negative_slope": 0.1, "threshold": 0.5}),
    Case("ReLU", "large negative", X, {"negative_slope": 1.5, "threshold": 1.0}),
    Case("Softmax", "default", X),
    Case("Softmax", "other axis", X, {"axis": 1}),
    Case("Softmax", "several axes", (In((3, 4, 2)),), {"axis": (1, -1)}),
    Case("Softmax", "mask", (*X, In((4, 6), "bool")), call=_masked),
    Case(
        "Softmax", "mask of several axes", (*X, In((4, 6), "bool")), {"axis": (1, 2)}, call=_masked
    ),
    Case("Softmax", "large", (In((5,), low=-900, high=900),)),
]

test_layer = layer_test(CASES)
