"""How far rounding moves a model is found without float64."""

import keras
import ml_dtypes
import numpy as np
import pytest

from kbridge.parity.reference import record
from kbridge.parity.rounding import INPUT_CHANGE, RESULT_CHANGE, changed, record_moved
from tests.weights import randomise


def net(dtype):
    """Normalises a layer whose values hardly vary beside their size, which enlarges rounding."""
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((64,), dtype=dtype),
            layers.Dense(64, dtype=dtype, name="large"),
            layers.BatchNormalization(dtype=dtype, name="norm"),
            layers.Dense(32, activation="relu", dtype=dtype, name="top"),
        ]
    )
    return randomise(model)


def moved(model, data):
    return record_moved([data], lambda inputs, change: record(model, inputs[0], change=change))


def test_inputs_and_results_of_layers_are_moved():
    model, zeros = net("float32"), np.zeros((2, 64), "float32")
    plain = record(model, zeros).layers["large", 0][0]
    for run in moved(model, zeros):
        # NB: of zeros nothing is left of a change of the inputs.
        assert 0 < np.abs(run.layers["large", 0][0] / plain - 1).max() < 1.1 * RESULT_CHANGE
    identity = keras.Sequential([keras.Input((64,)), keras.layers.Identity(name="same")])
    ones = np.ones((2, 64), "float32")
    for run in moved(identity, ones):
        movement = np.abs(run.layers["same", 0][0] - 1).max()
        assert 2 * RESULT_CHANGE < movement < INPUT_CHANGE + 2 * RESULT_CHANGE


def test_two_moved_runs_differ_by_more_than_rounding_but_not_by_much():
    data = np.random.default_rng(0).normal(size=(256, 64)).astype("float32")
    model, exact = net("float32"), net("float64")
    large = model.get_layer("large")
    large.bias.assign(large.bias + 300.0)
    mean = np.asarray(large(data)).mean(axis=0)
    model.get_layer("norm").moving_mean.assign(mean)
    exact.set_weights([w.astype("float64") for w in model.get_weights()])
    truth = record(exact, data.astype("float64"))
    found = record(model, data)
    first, second = moved(model, data)
    for call in (("norm", 0), ("top", 0)):
        error = np.abs(found.layers[call][0] - truth.layers[call][0]).max()
        movement = np.abs(first.layers[call][0] - second.layers[call][0]).max()
        assert error > 0
        assert error < movement < 100 * error


def test_model_stays_as_it_is():
    model = net("float32")
    before = model.get_weights()
    moved(model, np.ones((2, 64), "float32"))
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("dtype", "last_place"), [(np.float16, 2.0**-10), (ml_dtypes.bfloat16, 2.0**-7)]
)
def test_half_precision_is_moved_by_one_in_the_last_place(dtype, last_place):
    array = np.array([1.0, -1.0, 1.5, 0.0, np.inf, np.nan] * 500, dtype)
    result = changed(array, np.random.default_rng(0), RESULT_CHANGE)
    assert result.dtype == array.dtype
    one, _, large, zero, infinite, undefined = result.astype("float64").reshape(-1, 6).T
    # NB: below 1 numbers lie twice as close.
    assert set(np.abs(one - 1)) == {0.0, last_place / 2, last_place}
    assert set(np.abs(large - 1.5)) == {0.0, last_place}
    assert 0 < np.abs(zero).max() <= float(ml_dtypes.finfo(dtype).smallest_subnormal)
    assert np.isinf(infinite).all() and np.isnan(undefined).all()
