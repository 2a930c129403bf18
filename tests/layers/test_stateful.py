"""Stateful recurrent layers: what they keep from call to call, in Keras and in the JVM."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

import kbridge
from kbridge.export.metadata import layer_states
from tests.layers.harness import ENGINES, Case, compare, layer_test
from tests.weights import randomise

BATCH = 2
STATEFUL = {"stateful": True}


def _sequence(apply: Callable, shape: tuple) -> Callable:
    def make() -> keras.Model:
        x = keras.Input(batch_shape=(BATCH, *shape))
        return keras.Model(x, apply(x))

    return make


def _shared(x: Any) -> Any:
    """The second call begins where the first one ended."""
    layer = layers.GRU(4, return_sequences=True, **STATEFUL)
    return layers.add([layer(x), layer(layers.Reshape((-1, 4))(x))])


def _masked(layer: Any, x: Any) -> Any:
    return layer(layers.Masking()(layers.ReLU()(x)))


def _stack() -> Any:
    cells = [layers.LSTMCell(3), layers.GRUCell(2), layers.SimpleRNNCell(4)]
    return layers.RNN(cells, return_sequences=True, **STATEFUL)


def _case(layer: str, name: str, apply: Callable, shape: tuple = (None, 4)) -> Case:
    wide = {"rtol": 2e-2, "atol": 5e-3} if name == "stateful, mixed" else {}  # NB: float16
    return Case(layer, name, (), model=_sequence(apply, shape), **wide)


CASES = [
    _case("LSTM", "stateful", lambda x: layers.LSTM(5, return_sequences=True, **STATEFUL)(x)),
    _case("LSTM", "stateful, state", lambda x: layers.LSTM(5, return_state=True, **STATEFUL)(x)),
    _case(
        "LSTM", "stateful, mixed", lambda x: layers.LSTM(5, dtype="mixed_float16", **STATEFUL)(x)
    ),
    _case(
        "GRU",
        "stateful, masked",
        lambda x: _masked(layers.GRU(5, go_backwards=True, **STATEFUL), x),
    ),
    _case("GRU", "stateful, before", lambda x: layers.GRU(5, reset_after=False, **STATEFUL)(x)),
    _case("GRU", "stateful, shared", _shared),
    _case("SimpleRNN", "stateful", lambda x: layers.SimpleRNN(5, **STATEFUL)(x)),
    _case(
        "SimpleRNN",
        "stateful, unrolled",
        lambda x: layers.SimpleRNN(5, unroll=True, **STATEFUL)(x),
        (3, 4),
    ),
    _case(
        "Bidirectional", "stateful", lambda x: layers.Bidirectional(layers.LSTM(3, **STATEFUL))(x)
    ),
    _case("RNN", "stateful, stacked", lambda x: _stack()(x)),
    _case("ConvLSTM1D", "stateful", lambda x: layers.ConvLSTM1D(3, 3, **STATEFUL)(x), (None, 6, 2)),
    _case(
        "ConvLSTM2D", "stateful", lambda x: layers.ConvLSTM2D(3, 3, **STATEFUL)(x), (None, 5, 6, 2)
    ),
    _case(
        "ConvLSTM3D", "stateful", lambda x: layers.ConvLSTM3D(2, 2, **STATEFUL)(x), (3, 4, 3, 4, 2)
    ),
]
BY_ID = {case.id: case for case in CASES}


def _inputs(model: keras.Model, count: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Batches whose free sizes differ."""
    shape = model.inputs[0].shape
    found = []
    for number in range(count):
        sizes = [3 + number % 2 if n is None else n for n in shape]
        found.append(rng.standard_normal(sizes).astype("float32"))
    return found


def _native_states(model: keras.Model) -> list[np.ndarray]:
    return [state.array() for state in layer_states(model)]


def _set_native(model: keras.Model, values: list[np.ndarray]) -> None:
    for state, value in zip(layer_states(model), values, strict=True):
        state.variable.assign(value)


def _compared(case: Case, folder: Path) -> None:
    """From the states at export, over several calls, and from zero after a reset."""
    model = case.build()
    wide = {"rtol": case.rtol, "atol": case.atol}
    rng = np.random.default_rng(3)
    first, *batches = _inputs(model, 5, rng)
    model(first)
    kept = _native_states(model)
    assert all(np.any(state) for state in kept)
    kbridge.export(model, folder / "model.h5")
    compare(_native_states(model), kept, 0, 0)
    for engine in ENGINES:
        _set_native(model, kept)
        with kbridge.load(folder / "model.h5", engine=engine) as loaded:
            compare(list(loaded.states.values()), kept, 0, 0)
            for batch in batches[:3]:
                compare(loaded.predict_on_batch(batch), model(batch), **wide)
            compare(list(loaded.states.values()), _native_states(model), **wide)
            assert loaded.self_test()["ok"]
            compare(list(loaded.states.values()), _native_states(model), **wide)
            loaded.reset_states()
            _set_native(model, [np.zeros_like(state) for state in kept])
            compare(loaded.predict_on_batch(batches[3]), model(batches[3]), **wide)


test_layer = layer_test(CASES, _compared)


def _several(x: Any) -> Any:
    y = layers.Bidirectional(layers.LSTM(3, return_sequences=True, **STATEFUL))(x)
    return layers.RNN([layers.GRUCell(4), layers.SimpleRNNCell(3)], **STATEFUL)(y)


def _convolved(x: Any) -> Any:
    layer = layers.ConvLSTM1D(2, 3, recurrent_dropout=0.2, **STATEFUL)
    return layers.Flatten()(layer(layers.Reshape((4, 3, 2))(x)))


def _recurrent(x: Any) -> Any:
    return layers.Bidirectional(layers.GRU(3, **STATEFUL))(x)


def _trainable(apply: Callable) -> keras.Model:
    keras.utils.set_random_seed(6)
    x = keras.Input(batch_shape=(BATCH, 4, 6))
    model = randomise(keras.Model(x, layers.Dense(1)(apply(x))))
    model.compile(keras.optimizers.Adam(0.01), "mse")
    model.optimizer.build(model.trainable_variables)
    return model


@pytest.mark.parametrize(
    ("apply", "engine"),
    [
        (lambda x: layers.LSTM(3, dropout=0.2, **STATEFUL)(x), "onednn"),
        *(pytest.param(_several, engine, marks=pytest.mark.slow) for engine in ENGINES),
        *(pytest.param(_convolved, engine, marks=pytest.mark.slow) for engine in ENGINES),
    ],
)
def test_check_of_steps(jvm, apply, engine):
    """Layers of several batches, five training steps; the model is left as it was."""
    model = _trainable(apply)
    rng = np.random.default_rng(4)
    x = rng.standard_normal((3 * BATCH, 4, 6)).astype("float32")
    y = rng.standard_normal((3 * BATCH, 1)).astype("float32")
    model(x[:BATCH])
    before = _native_states(model)
    report = kbridge.check(model, x, y, steps=5, engine=engine)
    assert report.ok, str(report)
    compare(_native_states(model), before, 0, 0)
    weights = [entry for entry in report.comparison.layers if entry.scope == "step 5: weights"]
    assert len(weights[0].arrays) == len(model.variables) + len(before)


@pytest.mark.parametrize("host", ["inprocess", pytest.param("process", marks=pytest.mark.slow)])
def test_predicting_and_training_share_the_states(jvm, host, tmp_path):
    model = _trainable(_recurrent)
    rng = np.random.default_rng(7)
    x = rng.standard_normal((3 * BATCH, 4, 6)).astype("float32")
    y = rng.standard_normal((3 * BATCH, 1)).astype("float32")
    path, one = tmp_path / "model.h5", (x[:BATCH], y[:BATCH])
    kbridge.export(model, path)
    options = {"batch_size": BATCH, "verbose": 0}
    with kbridge.load(path, host=host) as loaded:
        for each in ("predict", "evaluate", "train", "predict_on_batch", "fit", "predict"):
            both = []
            for side in (loaded, model):
                if each == "predict":
                    both.append(side.predict(x, **options))
                elif each == "evaluate":
                    both.append(side.evaluate(x, y, **options))
                elif each == "train":
                    both.append(side.train_on_batch(*one))
                elif each == "fit":
                    history = side.fit(x, y, epochs=2, shuffle=False, **options)
                    both.append(history.history["loss"])
                else:
                    both.append(side.predict_on_batch(one[0]))
            np.testing.assert_allclose(*both, rtol=1e-4, atol=1e-5, err_msg=each)
            compare(list(loaded.states.values()), _native_states(model))
        before = loaded.states
        loaded.warm_up((BATCH, 4, 6))
        loaded.values(one[0])
        loaded.gradients(*one)
        loaded.plan_steps(one[0], 1)
        compare(loaded.states, before, 0, 0)
        loaded.save(tmp_path / "trained.h5")
    again = _trainable(_recurrent)
    kbridge.import_weights(again, tmp_path / "trained.h5")
    compare(_native_states(again), _native_states(model))
    np.testing.assert_allclose(again.train_on_batch(*one), model.train_on_batch(*one), rtol=1e-4)
    rebuilt = kbridge.import_model(tmp_path / "trained.h5")
    compare(_native_states(rebuilt), list(before.values()), 0, 0)


@pytest.mark.parametrize("host", ["inprocess", "process"])
def test_states_are_set_and_put_aside(jvm, host, tmp_path):
    """One model that goes on with two sequences by turns."""
    model = BY_ID["LSTM-stateful"].build()
    kbridge.export(model, tmp_path / "model.h5")
    a, b, c = _inputs(model, 3, np.random.default_rng(8))
    with kbridge.load(tmp_path / "model.h5", host=host) as loaded:
        zeros = loaded.states
        loaded.predict_on_batch(a)
        aside = loaded.states
        loaded.set_states(zeros)
        loaded.predict_on_batch(b)
        loaded.set_states(aside)
        model(a)
        compare(loaded.predict_on_batch(c), model(c))
        with pytest.raises(kbridge.InvalidInputError, match=r"Received: 'other' \[\]"):
            loaded.set_states({"other": 1.0})
        with pytest.raises(kbridge.InvalidInputError, match=r"\[3, 5\]"):
            loaded.set_states({next(iter(zeros)): np.zeros((3, 5))})
        loaded.set_states({next(iter(zeros)): np.full((BATCH, 5), np.nan)})
        assert np.isnan(loaded.predict_on_batch(a)).all()


def test_another_batch_size_changes_nothing(jvm, tmp_path):
    model = BY_ID["GRU-stateful,_before"].build()
    kbridge.export(model, tmp_path / "model.h5")
    x = np.ones((3, 2, 4), "float32")
    with kbridge.load(tmp_path / "model.h5") as loaded:
        loaded.predict(x[:2])
        before = loaded.states
        for call in (loaded.predict, loaded.predict_on_batch):
            with pytest.raises(kbridge.InvalidInputError, match=r"\(2, any, 4\)"):
                call(x)
        compare(loaded.states, before, 0, 0)


def test_threads_take_turns(jvm, tmp_path):
    """Whoever comes first: the states have gone through all calls."""
    model = BY_ID["LSTM-stateful"].build()
    kbridge.export(model, tmp_path / "model.h5")
    x = _inputs(model, 1, np.random.default_rng(9))[0]
    with kbridge.load(tmp_path / "model.h5") as loaded, ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: loaded.predict_on_batch(x), range(40)))
        for _ in range(40):
            model(x)
        compare(list(loaded.states.values()), _native_states(model))


def test_a_model_without_states_has_none(exported):
    x = keras.Input((3, 4))
    loaded = exported(keras.Model(x, layers.LSTM(2)(x)))
    assert loaded.states == {}
    loaded.reset_states()
    with pytest.raises(kbridge.InvalidInputError, match="Expected states of this model: none"):
        loaded.set_states({"a": np.zeros(2)})


def test_same_diff_refuses_states_by_name(jvm, tmp_path):
    model = BY_ID["SimpleRNN-stateful,_unrolled"].build()
    kbridge.export(model, tmp_path / "model.h5")
    refused = pytest.raises(kbridge.UnsupportedOpError, match="states that stay.*simple_rnn")
    with kbridge.load(tmp_path / "model.h5") as loaded, refused:
        loaded.save_same_diff(tmp_path / "graph.fb")


def test_initialised_anew_means_zero_states(jvm, tmp_path):
    model = BY_ID["SimpleRNN-stateful"].build()
    model(_inputs(model, 1, np.random.default_rng(1))[0])
    kbridge.export(model, tmp_path / "model.h5")
    with kbridge.load(tmp_path / "model.h5") as loaded:
        assert np.any(next(iter(loaded.states.values())))
        loaded.reinitialize(3)
        assert not np.any(next(iter(loaded.states.values())))


def test_states_in_a_loop_are_refused(tmp_path: Path):
    """A layer that a loop calls would have to keep its states inside of it."""
    inner = layers.LSTM(3, **STATEFUL)

    def body(total: Any, part: Any) -> tuple:
        return total + inner(part), total

    x = keras.Input(batch_shape=(4, BATCH, 5, 3))
    layer = layers.Lambda(lambda x: keras.ops.scan(body, keras.ops.zeros((BATCH, 3)), x)[0])
    inner.build((BATCH, 5, 3))
    layer.inner = inner
    model = keras.Model(x, layer(x))
    with pytest.raises(kbridge.UnsupportedModelError, match="inside a loop or branch"):
        kbridge.export(model, tmp_path / "model.h5")
