"""Layers that take several tensors and give one."""

from __future__ import annotations

from typing import Any

import keras

from tests.layers.harness import Case, In, layer_test

A, B = In((4, 3)), In((4, 3))
TOKENS = In((6,), "int32", high=5)


def _masked(layer: Any, x: Any, y: Any) -> Any:
    embed = keras.layers.Embedding(5, 3, mask_zero=True)
    return keras.layers.GlobalAveragePooling1D()(layer([embed(x), embed(y)]))


def _elementwise(layer: str) -> list[Case]:
    cases = [
        Case(layer, "default", (A, B)),
        Case(layer, "broadcast", (In((4, 3)), In((1, 3)))),
        Case(layer, "other ranks", (In((4, 3)), In((3,)))),
        Case(layer, "free sizes", (In((None, 3)), In((None, 3)))),
        Case(layer, "masks", (TOKENS, TOKENS), call=_masked),
    ]
    if layer != "Average":
        # NB: the average of integers is float64 in TensorFlow, float32 by Keras's own rules.
        integers = In((3,), "int32", low=-9)
        cases.append(Case(layer, "integers", (integers, integers), {"dtype": "int32"}))
    if layer != "Subtract":
        cases.append(Case(layer, "three", (A, B, In((4, 3)))))
    return cases


CASES = [
    *(
        c
        for name in ("Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract")
        for c in _elementwise(name)
    ),
    Case("Concatenate", "default", (A, In((4, 2)))),
    Case("Concatenate", "middle axis", (A, In((2, 3)), In((1, 3))), {"axis": 1}),
    Case("Concatenate", "negative axis", (A, In((2, 3))), {"axis": -2}),
    Case("Concatenate", "masks", (TOKENS, TOKENS), {"axis": 1}, call=_masked),
    Case("Concatenate", "free sizes", (In((None, 3)), In((None, 2)))),
    Case("Concatenate", "promoted", (In((3,)), In((3,), "int32"))),
    Case("Dot", "default", (In((5,)), In((5,))), {"axes": 1}),
    Case("Dot", "matrices", (In((4, 3)), In((3, 5))), {"axes": (2, 1)}),
    Case("Dot", "normalised", (In((4, 3)), In((5, 3))), {"axes": -1, "normalize": True}),
    Case("Dot", "other ranks", (In((4, 3)), In((3,))), {"axes": (2, 1)}),
    Case("Dot", "first axes", (In((4, 3)), In((4, 2))), {"axes": 1}),
]

test_layer = layer_test(CASES)
