"""Recurrent cells by themselves: one step, called as any layer is."""

from __future__ import annotations

from typing import Any

from tests.layers.harness import Case, In, layer_test

X, STATE = In((4,)), In((5,))


def _step(layer: Any, x: Any, *states: Any) -> Any:
    return layer(x, list(states))


def _cell(layer: str, states: int, options: dict[str, Any]) -> list[Case]:
    inputs = (X, *[STATE] * states)
    return [
        Case(layer, "one step", inputs, {"units": 5}, call=_step),
        Case(layer, "one step with options", inputs, {"units": 5, **options}, call=_step),
        Case(layer, "one step without bias", inputs, {"units": 5, "use_bias": False}, call=_step),
    ]


CASES = [
    *_cell("SimpleRNNCell", 1, {"activation": "relu", "dropout": 0.3}),
    *_cell("LSTMCell", 2, {"recurrent_activation": "hard_sigmoid", "recurrent_dropout": 0.3}),
    *_cell("GRUCell", 1, {"reset_after": False, "activation": "elu"}),
]

test_layer = layer_test(CASES)
