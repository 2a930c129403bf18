"""Recurrent layers: every option, with all batch sizes and lengths on one bundle.

The inputs have steps of zeros, and from the second sample on a sample of zeros alone, so that what
is masked is masked in part and altogether.
"""

from __future__ import annotations

import contextlib
import itertools
import zlib
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

from tests.layers.harness import ENGINES, Case, In, compare
from tests.weights import randomise

BATCHES = (1, 3, 5)
LENGTHS = (1, 4, 9)


def data(case: Case, batch: int, length: int) -> list[np.ndarray]:
    """Inputs of one size."""
    rng = np.random.default_rng(zlib.crc32(f"{case.id}/{batch}/{length}".encode()))
    arrays = []
    for spec in case.inputs:
        shape = (batch, *(length if size is None else size for size in spec.shape))
        if spec.dtype == "bool":
            array = rng.random(shape) < 0.6
        elif "int" in spec.dtype:
            array = rng.integers(0, int(spec.high), shape).astype(spec.dtype)
        else:
            array = rng.standard_normal(shape).astype(spec.dtype)
        if len(shape) > 1:
            array[rng.random(shape[:2]) < 0.3] = 0
            array[1:2] = 0
        arrays.append(array)
    return arrays


def check(case: Case, folder: Path) -> None:
    """Compares the JVM's answers with Keras's for all sizes."""
    import kbridge

    model = case.build()
    path = folder / "model.h5"
    kbridge.export(model, path, sample=data(case, 2, 6))
    free = any(None in spec.shape for spec in case.inputs)
    with contextlib.ExitStack() as stack:
        loaded = [stack.enter_context(kbridge.load(path, engine=engine)) for engine in ENGINES]
        for batch, length in itertools.product(BATCHES, LENGTHS if free else (6,)):
            inputs = data(case, batch, length)
            given = inputs[0] if len(inputs) == 1 else inputs
            expected = model(given, training=False)
            for ours in loaded:
                compare(ours.predict_on_batch(given), expected, case.rtol, case.atol)


RNNS = ("SimpleRNN", "LSTM", "GRU")
SEQUENCE = (In((None, 4)),)
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
        Case(
            name, f"unrolled{' masked' * masked}", fixed, config, call=_masking if masked else None
        )
        for name in RNNS
        for masked in (False, True)
        for config in (
            {"units": 5, "unroll": True, "return_sequences": True, "return_state": True},
        )
    ]


def _masking(layer: Any, x: Any) -> Any:
    return layer(layers.Masking(0.0)(x))


def _embedding(layer: Any, x: Any) -> Any:
    return layer(layers.Embedding(6, 4, mask_zero=True)(x))


def _explicit(layer: Any, x: Any, mask: Any) -> Any:
    return layer(x, mask=mask)


def _starting(layer: Any, x: Any, *states: Any) -> Any:
    return layer(x, initial_state=list(states))


def _masked() -> list[Case]:
    everything = {"units": 5, "return_sequences": True, "return_state": True}
    tokens = (In((None,), "int32", 0, 6),)
    explicit = (In((None, 4)), In((None,), "bool"))
    found = []
    for name in RNNS:
        found += [
            Case(name, "masking", SEQUENCE, {"units": 5}, _masking),
            Case(name, "masking, everything", SEQUENCE, everything, _masking),
            Case(
                name, "masking, backwards", SEQUENCE, {**everything, "go_backwards": True}, _masking
            ),
            Case(name, "embedding", tokens, everything, _embedding),
            Case(name, "embedding, last", tokens, {"units": 5}, _embedding),
            Case(name, "mask argument", explicit, everything, _explicit),
            Case(
                name,
                "zero output for mask",
                SEQUENCE,
                lambda name=name: _zeroing(name, return_sequences=True),
                _masking,
            ),
            Case(
                name,
                "zero output for mask, last",
                SEQUENCE,
                lambda name=name: _zeroing(name),
                _masking,
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
        Case("Bidirectional", "masked", SEQUENCE, make(everything), _masking),
        Case("Bidirectional", "masked, last", SEQUENCE, make(lstm()), _masking),
        Case("Bidirectional", "gru", SEQUENCE, make(lambda: layers.GRU(5))),
        Case("Bidirectional", "different layers", SEQUENCE, asymmetric),
        Case("Bidirectional", "different layers, masked", SEQUENCE, asymmetric, _masking),
        Case(
            "Bidirectional",
            "initial states",
            (*SEQUENCE, *(In((5,)),) * 4),
            make(lstm()),
            _starting,
        ),
    ]
    return found


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
            "RNN", "cell that swaps states, masked", SEQUENCE, rnn(Swapping, **everything), _masking
        ),
        Case(
            "RNN",
            "cell that swaps states, zeroing",
            SEQUENCE,
            rnn(Swapping, zero_output_for_mask=True, **everything),
            _masking,
        ),
        Case("StackedRNNCells", "default", SEQUENCE, rnn(stack, return_sequences=True)),
        Case("StackedRNNCells", "states", SEQUENCE, rnn(stack, **everything)),
        Case("StackedRNNCells", "masked", SEQUENCE, rnn(stack, return_sequences=True), _masking),
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
    explicit = (In((None, 7, 6, 2)), In((None,), "bool"))
    settings = {"filters": 3, "kernel_size": 3, "return_sequences": True}
    found.append(Case("ConvLSTM2D", "masked", explicit, settings, _explicit))
    found.append(Case("ConvLSTM2D", "uneven kernel", (In((None, 7, 6, 2)),), _uneven))
    return found


def _uneven() -> Any:
    return layers.ConvLSTM2D(3, (3, 2), padding="same", recurrent_activation="sigmoid")


@keras.saving.register_keras_serializable("tests")
class AcrossBatch(layers.Layer):
    """Does something across the batch, so that time steps cannot be taken for batch entries."""

    def call(self, x: Any) -> Any:
        return x - ops.mean(x, axis=0, keepdims=True)

    def compute_output_shape(self, shape: Any) -> Any:
        return shape


@keras.saving.register_keras_serializable("tests")
class MaskedAcrossBatch(layers.Layer):
    """The same, with a mask of which samples count."""

    def call(self, x: Any, mask: Any = None) -> Any:
        if mask is None:
            return x
        weight = ops.expand_dims(ops.cast(mask, x.dtype), -1)
        return x - ops.sum(x * weight, axis=0, keepdims=True)

    def compute_output_shape(self, shape: Any) -> Any:
        return shape


def _distributed() -> list[Case]:
    def of(make: Any) -> Any:
        return lambda: layers.TimeDistributed(make())

    def nested() -> Any:
        return keras.Sequential([keras.Input((4,)), layers.Dense(3, "relu"), layers.Dense(2)])

    def lstm() -> Any:
        return layers.LSTM(3)

    explicit = (In((None, 4)), In((None,), "bool"))
    nested_sequences = (In((None, 5, 4)),)
    return [
        Case("TimeDistributed", "Dense", SEQUENCE, of(lambda: layers.Dense(3))),
        Case("TimeDistributed", "Conv2D", (In((None, 6, 5, 2)),), of(lambda: layers.Conv2D(3, 2))),
        Case("TimeDistributed", "model", SEQUENCE, of(nested)),
        Case("TimeDistributed", "LSTM", nested_sequences, of(lstm)),
        Case("TimeDistributed", "across the batch", SEQUENCE, of(AcrossBatch)),
        Case(
            "TimeDistributed",
            "across the batch, masked",
            explicit,
            of(MaskedAcrossBatch),
            _explicit,
        ),
        Case("TimeDistributed", "fixed length", (In((6, 4)),), of(AcrossBatch)),
        Case("TimeDistributed", "before an LSTM, masked", SEQUENCE, _layers_after_masking()),
        Case("TimeDistributed", "Dropout", SEQUENCE, of(lambda: layers.Dropout(0.5))),
    ]


def _layers_after_masking() -> Any:
    return lambda: keras.Sequential(
        [layers.Masking(0.0), layers.TimeDistributed(layers.Dense(3)), layers.LSTM(4)]
    )


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
    *_cells(),
    *_convolutional(),
    *_distributed(),
    *_models(),
]


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_layer(jvm, case, tmp_path):
    check(case, tmp_path)


@pytest.mark.parametrize("name", RNNS)
def test_float64(jvm, name, tmp_path):
    config = {"units": 5, "return_sequences": True, "dtype": "float64"}
    inputs = (In((None, 4), "float64"),)
    check(Case(name, "float64", inputs, config, _masking, rtol=1e-10, atol=1e-12), tmp_path)


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


@pytest.mark.parametrize("name", RNNS)
def test_stateful_layers_are_refused(name, tmp_path):
    """A bundle keeps no state from call to call: the second answer would be a wrong one."""
    import kbridge

    x = keras.Input(batch_shape=(2, 6, 4))
    model = randomise(keras.Model(x, getattr(layers, name)(5, stateful=True, name="keeps")(x)))
    with pytest.raises(kbridge.UnsupportedModelError, match="keeps.* is stateful") as told:
        kbridge.export(model, tmp_path / "model.h5")
    assert "initial_state" in told.value.problems[0].advice


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
    """What to do instead of `stateful=True`: the states are inputs and outputs."""
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
