"""Recurrent layers and transformers on the oneDNN engine, against native Keras."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from tests.weights import randomise

# Some units, and as many as make whole vectors, for which there is machine code.
UNITS = (24, 48)
RNNS = {
    "LSTM": lambda units=24, **config: layers.LSTM(units, **config),
    "LSTM, hard": lambda units=24, **config: layers.LSTM(
        units, activation="relu", recurrent_activation="hard_sigmoid", use_bias=False, **config
    ),
    "GRU": lambda units=24, **config: layers.GRU(units, **config),
    "GRU, reset before": lambda units=24, **config: layers.GRU(units, reset_after=False, **config),
    "SimpleRNN": lambda units=24, **config: layers.SimpleRNN(units, activation="relu", **config),
}


def numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(7).standard_normal(shape).astype("float32")


def stack(make: Any, count: int = 3) -> keras.Model:
    """Layers on top of each other; the last one backwards, so that it is none of the stack."""
    x = y = layers.Input((None, 6))
    for _ in range(count):
        y = make(return_sequences=True)(y)
    return randomise(keras.Model(x, make(go_backwards=True)(y)))


def compare(ours: Any, model: keras.Model, *inputs: np.ndarray) -> None:
    given = inputs[0] if len(inputs) == 1 else list(inputs)
    actual = keras.tree.flatten(ours.predict_on_batch(given))
    for got, want in zip(actual, keras.tree.flatten(model(given, training=False)), strict=True):
        np.testing.assert_allclose(got, want, rtol=2e-5, atol=2e-6)


def by_steps(ours: Any, x: Any) -> list[str]:
    """The operations of what is computed as products at each step."""
    steps = ours.plan_steps(x)
    return [step["ops"] for step in steps if "at each step" in step["implementation"]]


def by_machine_code(ours: Any, x: Any) -> int:
    """How many steps have machine code of ours between their products."""
    steps = ours.plan_steps(x)
    return sum("and machine code at each step" in step["implementation"] for step in steps)


@pytest.mark.parametrize("units", UNITS)
@pytest.mark.parametrize("name", RNNS)
def test_stacks(exported, name, units):
    model = stack(partial(RNNS[name], units))
    ours = exported(model, engine="onednn")
    for batch, length in ((1, 23), (1, 1), (2, 10), (5, 11), (1, 23)):
        compare(ours, model, numbers(batch, length, 6))
    x = numbers(1, 4, 6)
    assert by_steps(ours, x) == ["Scan+Scan+Scan", "Scan"]
    assert by_machine_code(ours, x) == (2 if units % 16 == 0 else 0)


def test_without_machine_code(exported, machine_code):
    machine_code("never")
    model = stack(partial(RNNS["GRU"], 48))
    ours = exported(model, engine="onednn")
    for batch in (1, 3):
        compare(ours, model, numbers(batch, 11, 6))
    assert by_machine_code(ours, numbers(1, 4, 6)) == 0


class TwoProducts(layers.Layer):
    """A cell that multiplies its new state again in the same step."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.state_size = self.output_size = units
        self.first, self.again = (layers.Dense(units, use_bias=False) for _ in range(2))
        self.given = layers.Dense(units)

    def build(self, shape: tuple[int, ...]) -> None:
        self.given.build(shape)
        self.first.build((None, self.state_size))
        self.again.build((None, self.state_size))

    def call(self, inputs: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        new = keras.ops.tanh(self.given(inputs) + self.first(states[0]))
        return keras.ops.tanh(self.again(new)), [new]


@pytest.mark.parametrize("units", UNITS)
def test_new_states_may_be_multiplied(exported, units):
    x = layers.Input((None, 6))
    model = randomise(keras.Model(x, layers.RNN(TwoProducts(units), return_sequences=True)(x)))
    ours = exported(model, engine="onednn")
    for batch in (1, 5):
        compare(ours, model, numbers(batch, 13, 6))
    assert by_steps(ours, numbers(5, 13, 6)) == ["Scan"]


@pytest.mark.parametrize("name", ("LSTM", "GRU", "GRU, reset before"))
def test_states_and_both_directions_of_machine_code(exported, name):
    """What begins elsewhere, ends elsewhere, and is written back to front."""
    make = partial(RNNS[name], 32)
    x, h, c = layers.Input((None, 6)), layers.Input((32,)), layers.Input((32,))
    given = [h, c] if name == "LSTM" else [h]
    y, *states = make(return_sequences=True, return_state=True)(x, initial_state=given)
    both = layers.Bidirectional(make(return_sequences=True))(y)
    model = randomise(keras.Model([x, *given], [y, both, *states]))
    ours = exported(model, engine="onednn")
    for batch, length in ((1, 13), (4, 13), (3, 1)):
        start = [numbers(batch, 32)] * len(given)
        compare(ours, model, numbers(batch, length, 6), *start)
    assert by_machine_code(ours, [numbers(3, 1, 6), *start]) == 3


def test_one_thread_is_enough(exported):
    model = stack(RNNS["LSTM"])
    ours = exported(model, engine="onednn", threads=1)
    for batch in (1, 3):
        compare(ours, model, numbers(batch, 23, 6))


def test_states_and_masks(exported):
    """What others read of a layer's states keeps it out of a stack, but not from its products."""
    x, mask = layers.Input((None, 6)), layers.Input((None,), dtype="bool")
    y, h, c = layers.LSTM(8, return_sequences=True, return_state=True)(x, mask=mask)
    z = layers.LSTM(8, return_sequences=True)(y, initial_state=[h, c], mask=mask)
    both = layers.Bidirectional(layers.GRU(5, return_sequences=True))(z, mask=mask)
    model = randomise(keras.Model([x, mask], [both, c]))
    ours = exported(model, engine="onednn")
    for batch, length in ((1, 13), (4, 13)):
        valid = np.random.default_rng(batch).random((batch, length)) < 0.7
        compare(ours, model, numbers(batch, length, 6), valid)
    assert by_steps(ours, [numbers(4, 13, 6), valid]) == ["Scan"] * 4


def test_other_cells_stay_loops(exported):
    model = stack(lambda **config: layers.LSTM(8, activation="softsign", **config))
    ours = exported(model, engine="onednn")
    compare(ours, model, numbers(2, 9, 6))
    assert by_steps(ours, numbers(2, 9, 6)) == []


@pytest.mark.parametrize("units", UNITS)
def test_threads_get_the_same_bits(exported, units):
    ours = exported(stack(partial(RNNS["GRU"], units)), engine="onednn")
    for x in (numbers(1, 40, 6), numbers(4, 40, 6)):
        expected = ours.predict_on_batch(x)
        with ThreadPoolExecutor(4) as pool:
            for got in pool.map(ours.predict_on_batch, [x] * 40):
                np.testing.assert_array_equal(got, expected)


def encoder(masked: bool) -> keras.Model:
    x = layers.Input((None, 32))
    mask = layers.Input((None,), dtype="bool")
    y = x
    for _ in range(2):
        attention = layers.MultiHeadAttention(4, 8)
        attended = attention(y, y, value_mask=mask) if masked else attention(y, y)
        y = layers.LayerNormalization()(layers.Add()([y, attended]))
        hidden = layers.Dense(32)(layers.Dense(64, activation="gelu")(y))
        y = layers.LayerNormalization()(layers.Add()([y, hidden]))
    return randomise(keras.Model([x, mask] if masked else x, y))


def test_encoder_is_primitives_alone(exported):
    model = encoder(masked=False)
    ours = exported(model, engine="onednn")
    for batch, length in ((1, 9), (3, 16), (1, 9)):
        compare(ours, model, numbers(batch, length, 32))
    steps = ours.plan_steps(numbers(3, 16, 32))
    assert all(step["implementation"].startswith("oneDNN") for step in steps), steps
    # Three projections, scores, softmax, sums, projection, norm, two dense layers, norm.
    assert len(steps) == 2 * 11, steps


def test_encoder_with_a_mask(exported):
    model = encoder(masked=True)
    ours = exported(model, engine="onednn")
    mask = np.random.default_rng(2).random((3, 16)) < 0.7
    mask[:, 0] = True
    compare(ours, model, numbers(3, 16, 32), mask)
