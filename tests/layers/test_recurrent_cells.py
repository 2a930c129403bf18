"""RNN over any cell, stacked cells, the user's own; and convolutional cells."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from tests.layers.harness import Case, In, layer_test
from tests.layers.recurrent import SEQUENCE, check, explicit, masking


@keras.saving.register_keras_serializable("tests")
class Minimal(layers.Layer):
    """A cell of the user's, with a nested state: a pair, and a running count of what was seen."""

    def __init__(self, units: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.units = units
        self.state_size = [[units, (units, 2)], 1]
        self.output_size = units

    def build(self, shape: Any) -> None:
        self.kernel = self.add_weight(shape=(shape[-1], self.units), name="kernel")
        self.mixing = self.add_weight(shape=(self.units, self.units), name="mixing")

    def get_initial_state(self, batch_size: Any = None) -> Any:
        dtype = self.compute_dtype
        pair = [
            ops.zeros((batch_size, self.units), dtype),
            ops.ones((batch_size, self.units, 2), dtype),
        ]
        return [pair, ops.zeros((batch_size, 1), dtype)]

    def call(self, x: Any, states: Any, training: Any = None) -> Any:
        (memory, pair), count = states
        new = ops.tanh(ops.matmul(x, self.kernel) + ops.matmul(memory, self.mixing))
        mixed = ops.stack([pair[..., 1], new], axis=-1)
        answer = new * ops.mean(pair, axis=-1) + 0.1 * count
        return answer, [[new, mixed], count + 1]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable("tests")
class Swapping(layers.Layer):
    """A cell that hands states on: each becomes the other one, and the answer is what one was."""

    state_size = (4, 4)
    output_size = 4

    def call(self, x: Any, states: Any, training: Any = None) -> Any:
        a, b = states
        return a, [b, x]


def _cells() -> list[Case]:
    def rnn(make: Any, **config: Any) -> Any:
        return lambda: layers.RNN(make(), **config)

    def stack() -> Any:
        return [layers.LSTMCell(5), layers.GRUCell(3), layers.SimpleRNNCell(4)]

    everything = {"return_sequences": True, "return_state": True}
    return [
        Case("RNN", "own cell", SEQUENCE, rnn(lambda: layers.LSTMCell(5), **everything)),
        Case("RNN", "cell of the user's", SEQUENCE, rnn(lambda: Minimal(3), return_sequences=True)),
        Case("RNN", "its last answer", SEQUENCE, rnn(lambda: Minimal(3))),
        Case("RNN", "cell that swaps states", SEQUENCE, rnn(Swapping, **everything)),
        Case(
            "RNN", "cell that swaps states, masked", SEQUENCE, rnn(Swapping, **everything), masking
        ),
        Case(
            "RNN",
            "cell that swaps states, zeroing",
            SEQUENCE,
            rnn(Swapping, zero_output_for_mask=True, **everything),
            masking,
        ),
        Case("StackedRNNCells", "default", SEQUENCE, rnn(stack, return_sequences=True)),
        Case("StackedRNNCells", "states", SEQUENCE, rnn(stack, **everything)),
        Case("StackedRNNCells", "masked", SEQUENCE, rnn(stack, return_sequences=True), masking),
        Case(
            "StackedRNNCells",
            "in Bidirectional",
            SEQUENCE,
            lambda: layers.Bidirectional(rnn(stack, return_sequences=True)()),
        ),
        Case("LSTMCell", "one step", (In((4,)), In((5,)), In((5,))), {"units": 5}, _one_step),
        Case("GRUCell", "one step", (In((4,)), In((5,))), {"units": 5}, _one_step),
        Case("SimpleRNNCell", "one step", (In((4,)), In((5,))), {"units": 5}, _one_step),
    ]


def _one_step(cell: Any, x: Any, *states: Any) -> Any:
    return cell(x, list(states))


CONVOLUTIONAL: dict[str, dict[str, Any]] = {
    "default": {},
    "sequences": {"return_sequences": True, "padding": "same"},
    "everything": {"return_sequences": True, "return_state": True},
    "strides": {"strides": 2, "padding": "same"},
    "dilation": {"dilation_rate": 2},
    "backwards": {"go_backwards": True, "return_sequences": True},
    "no bias": {"use_bias": False},
    "activations": {"activation": "relu", "recurrent_activation": "hard_sigmoid"},
    "dropout": {"dropout": 0.3, "recurrent_dropout": 0.2},
}


def _convolutional() -> list[Case]:
    sizes = {1: (9,), 2: (7, 6), 3: (6, 5, 5)}
    found = []
    for rank, size in sizes.items():
        name, inputs = f"ConvLSTM{rank}D", (In((None, *size, 2)),)
        for option, config in CONVOLUTIONAL.items():
            if rank == 3 and option in ("dilation", "activations", "dropout"):
                continue
            settings = {"filters": 3, "kernel_size": 3 if rank < 3 else 2, **config}
            found.append(Case(name, option, inputs, settings))
    two = (In((None, 7, 6, 2)), In((None,), "bool"))
    settings = {"filters": 3, "kernel_size": 3, "return_sequences": True}
    found.append(Case("ConvLSTM2D", "masked", two, settings, explicit))
    found.append(Case("ConvLSTM2D", "uneven kernel", (In((None, 7, 6, 2)),), _uneven))
    return found


def _uneven() -> Any:
    return layers.ConvLSTM2D(3, (3, 2), padding="same", recurrent_activation="sigmoid")


CASES = [*_cells(), *_convolutional()]

test_layer = layer_test(CASES, check)
