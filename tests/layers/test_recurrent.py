"""Recurrent layers of Keras: every option, masks, initial states, both directions."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

from tests.layers.harness import Case, In, compare, layer_test
from tests.layers.recurrent import SEQUENCE, check, explicit, masking
from tests.weights import randomise

RNNS = ("SimpleRNN", "LSTM", "GRU")
STATES = {"SimpleRNN": 1, "LSTM": 2, "GRU": 1}
OPTIONS: dict[str, dict[str, Any]] = {
    "default": {},
    "sequences": {"return_sequences": True},
    "state": {"return_state": True},
    "sequences and state": {"return_sequences": True, "return_state": True},
    "backwards": {"go_backwards": True},
    "backwards sequences": {"go_backwards": True, "return_sequences": True, "return_state": True},
    "no bias": {"use_bias": False, "return_sequences": True},
    "relu": {"activation": "relu", "return_sequences": True},
    "linear": {"activation": None},
    "dropout": {"dropout": 0.5, "recurrent_dropout": 0.3},
    "regularised": {"kernel_regularizer": "l2", "activity_regularizer": "l1"},
}
GATED = {
    "hard_sigmoid": {"recurrent_activation": "hard_sigmoid"},
    "tanh gates": {"recurrent_activation": "tanh", "activation": "elu"},
    "softsign": {"recurrent_activation": "sigmoid", "activation": "softsign"},
}


def _options(name: str) -> dict[str, dict[str, Any]]:
    found = dict(OPTIONS)
    if name in ("LSTM", "GRU"):
        found |= GATED
    if name == "LSTM":
        found["no forget bias"] = {"unit_forget_bias": False}
    if name == "GRU":
        found["reset before"] = {"reset_after": False, "return_sequences": True}
        found["reset before, no bias"] = {"reset_after": False, "use_bias": False}
        found["reset before, backwards"] = {"reset_after": False, "go_backwards": True}
    return found


def _plain() -> list[Case]:
    return [
        Case(name, option, SEQUENCE, {"units": 5, **config})
        for name in RNNS
        for option, config in _options(name).items()
    ]


def _unrolled() -> list[Case]:
    fixed = (In((6, 4)),)
    return [
        Case(name, f"unrolled{' masked' * masked}", fixed, config, call=masking if masked else None)
        for name in RNNS
        for masked in (False, True)
        for config in (
            {"units": 5, "unroll": True, "return_sequences": True, "return_state": True},
        )
    ]


def _embedding(layer: Any, x: Any) -> Any:
    return layer(layers.Embedding(6, 4, mask_zero=True)(x))


def _starting(layer: Any, x: Any, *states: Any) -> Any:
    return layer(x, initial_state=list(states))


def _masked() -> list[Case]:
    everything = {"units": 5, "return_sequences": True, "return_state": True}
    tokens = (In((None,), "int32", 0, 6),)
    two = (In((None, 4)), In((None,), "bool"))
    found = []
    for name in RNNS:
        found += [
            Case(name, "masking", SEQUENCE, {"units": 5}, masking),
            Case(name, "masking, everything", SEQUENCE, everything, masking),
            Case(
                name, "masking, backwards", SEQUENCE, {**everything, "go_backwards": True}, masking
            ),
            Case(name, "embedding", tokens, everything, _embedding),
            Case(name, "embedding, last", tokens, {"units": 5}, _embedding),
            Case(name, "mask argument", two, everything, explicit),
            Case(
                name,
                "zero output for mask",
                SEQUENCE,
                lambda name=name: _zeroing(name, return_sequences=True),
                masking,
            ),
            Case(
                name,
                "zero output for mask, last",
                SEQUENCE,
                lambda name=name: _zeroing(name),
                masking,
            ),
        ]
    return found


def _zeroing(name: str, **config: Any) -> Any:
    layer = getattr(layers, name)(5, **config)
    layer.zero_output_for_mask = True
    return layer


def _initial() -> list[Case]:
    return [
        Case(
            name,
            f"initial state{label}",
            (*SEQUENCE, *(In((5,)),) * STATES[name]),
            {"units": 5, "return_state": True, **config},
            _starting,
        )
        for name in RNNS
        for label, config in (("", {}), (", backwards", {"go_backwards": True}))
    ]


def _bidirectional() -> list[Case]:
    def make(inner: Any, **config: Any) -> Any:
        return lambda: layers.Bidirectional(inner(), **config)

    def lstm(**config: Any) -> Any:
        return lambda: layers.LSTM(5, **config)

    def asymmetric() -> Any:
        forward = layers.LSTM(5, return_sequences=True, activation="relu")
        backward = layers.GRU(5, return_sequences=True, go_backwards=True, use_bias=False)
        return layers.Bidirectional(forward, merge_mode="sum", backward_layer=backward)

    everything = lstm(return_sequences=True, return_state=True)
    found = []
    for mode in ("concat", "sum", "mul", "ave", None):
        for label, inner in (("last", lstm()), ("sequences", lstm(return_sequences=True))):
            name = f"{mode}, {label}"
            found.append(Case("Bidirectional", name, SEQUENCE, make(inner, merge_mode=mode)))
    found += [
        Case("Bidirectional", "states", SEQUENCE, make(everything)),
        Case("Bidirectional", "masked", SEQUENCE, make(everything), masking),
        Case("Bidirectional", "masked, last", SEQUENCE, make(lstm()), masking),
        Case("Bidirectional", "gru", SEQUENCE, make(lambda: layers.GRU(5))),
        Case("Bidirectional", "different layers", SEQUENCE, asymmetric),
        Case("Bidirectional", "different layers, masked", SEQUENCE, asymmetric, masking),
        Case(
            "Bidirectional",
            "initial states",
            (*SEQUENCE, *(In((5,)),) * 4),
            make(lstm()),
            _starting,
        ),
    ]
    return found


def _encoder_decoder() -> keras.Model:
    source = keras.Input((None,), dtype="int32", name="source")
    target = keras.Input((None, 4), name="target")
    encoded = layers.Embedding(6, 5, mask_zero=True)(source)
    _, h, c = layers.LSTM(6, return_state=True)(encoded)
    decoded, h2, _ = layers.LSTM(6, return_sequences=True, return_state=True)(
        target, initial_state=[h, c]
    )
    _, g = layers.GRU(6, return_sequences=True, return_state=True)(decoded, initial_state=h2)
    return keras.Model([source, target], [layers.Dense(3, "softmax")(decoded), g])


def _deep() -> keras.Model:
    x = keras.Input((None, 4))
    y = layers.Bidirectional(layers.LSTM(5, return_sequences=True))(x)
    y = layers.GRU(6, return_sequences=True)(layers.LayerNormalization()(y))
    y = layers.Add()([y, layers.SimpleRNN(6, return_sequences=True)(y)])
    return keras.Model(x, [y, layers.LSTM(3)(y)])


def _models() -> list[Case]:
    two = (In((None,), "int32", 0, 6), In((None, 4)))
    return [
        Case("LSTM", "encoder and decoder", two, model=_encoder_decoder),
        Case("GRU", "deep", SEQUENCE, model=_deep),
    ]


CASES = [
    *_plain(),
    *_unrolled(),
    *_masked(),
    *_initial(),
    *_bidirectional(),
    *_models(),
]


test_layer = layer_test(CASES, check)


@pytest.mark.parametrize("name", RNNS)
def test_float64(jvm, name, tmp_path):
    config = {"units": 5, "return_sequences": True, "dtype": "float64"}
    inputs = (In((None, 4), "float64"),)
    check(Case(name, "float64", inputs, config, masking, rtol=1e-10, atol=1e-12), tmp_path)


@pytest.mark.parametrize("name", RNNS)
def test_float16(jvm, name, tmp_path):
    # NB: float16 has 11 bits, and every step rounds: 9 steps of rounding differences.
    config = {"units": 5, "return_sequences": True, "dtype": "float16"}
    inputs = (In((None, 4), "float16"),)
    check(Case(name, "float16", inputs, config, rtol=2e-2, atol=5e-3), tmp_path)


@pytest.mark.parametrize("name", RNNS)
def test_mixed_float16(jvm, name, tmp_path):
    config = {"units": 5, "return_sequences": True, "dtype": "mixed_float16"}
    check(Case(name, "mixed", SEQUENCE, config, rtol=2e-2, atol=5e-3), tmp_path)


@keras.saving.register_keras_serializable("tests")
class Counting(layers.Layer):
    """Changes a variable at inference."""

    def build(self, shape: Any) -> None:
        self.calls = self.add_weight(shape=(), name="calls", initializer="zeros", trainable=False)

    def call(self, x: Any) -> Any:
        self.calls.assign(ops.add(self.calls, 1.0))
        return ops.multiply(x, self.calls)


def test_layers_that_change_their_variables_are_refused(tmp_path):
    import kbridge

    x = keras.Input((4,))
    model = keras.Model(x, Counting(name="counts")(x))
    with pytest.raises(kbridge.UnsupportedModelError, match="counts.* changes its variable"):
        kbridge.export(model, tmp_path / "model.h5")


def test_states_can_be_carried_by_the_caller(jvm, tmp_path):
    """States that the caller keeps: inputs and outputs of the model."""
    import kbridge

    x, h, c = keras.Input((None, 4)), keras.Input((5,)), keras.Input((5,))
    y = layers.LSTM(5, return_sequences=True, return_state=True)(x, initial_state=[h, c])
    model = randomise(keras.Model([x, h, c], y))
    whole = np.random.default_rng(3).standard_normal((2, 9, 4)).astype("float32")
    zeros = np.zeros((2, 5), "float32")
    kbridge.export(model, tmp_path / "model.h5")
    with kbridge.load(tmp_path / "model.h5") as loaded:
        parts, states = [], [zeros, zeros]
        for part in np.split(whole, 3, axis=1):
            answer, *states = loaded.predict_on_batch([part, *states])
            parts.append(answer)
    expected = model([whole, zeros, zeros])
    compare([np.concatenate(parts, axis=1), *states], expected)
