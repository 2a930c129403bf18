"""New weights drawn in the JVM against Keras's: their distribution, or their values."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import initializers, layers
from scipy import stats

import kbridge
from kbridge import errors

RANDOM: dict[str, tuple[Any, tuple[int, ...]]] = {
    "RandomNormal": (initializers.RandomNormal(0.5, 0.2), (200, 50)),
    "RandomUniform": (initializers.RandomUniform(-0.2, 0.7), (9000,)),
    "TruncatedNormal": (initializers.TruncatedNormal(1.0, 0.3), (100, 100)),
    "GlorotUniform": (initializers.GlorotUniform(), (60, 150)),
    "GlorotNormal": (initializers.GlorotNormal(), (3, 5, 20, 40)),
    "HeUniform": (initializers.HeUniform(seed=3), (60, 150)),
    "HeNormal": (initializers.HeNormal(), (5, 30, 70)),
    "LecunUniform": (initializers.LecunUniform(), (8000,)),
    "LecunNormal": (initializers.LecunNormal(), (150, 60)),
    "scaled fan_out": (
        initializers.VarianceScaling(3.0, "fan_out", "untruncated_normal"),
        (70, 120),
    ),
    "scaled fan_avg": (initializers.VarianceScaling(0.5, "fan_avg", "uniform"), (70, 120)),
    "scaled axes": (
        initializers.VarianceScaling(1.0, "fan_in", input_axes=[0, 1], output_axes=[2]),
        (20, 25, 20),
    ),
    "Orthogonal tall": (initializers.Orthogonal(1.5), (4, 40, 60)),
    "Orthogonal wide": (initializers.Orthogonal(0.5), (60, 160)),
}

FIXED: dict[str, tuple[Any, tuple[int, ...]]] = {
    "Zeros": (initializers.Zeros(), (3, 2)),
    "Ones": (initializers.Ones(), (4,)),
    "Constant": (initializers.Constant(0.25), ()),
    "Constant list": (initializers.Constant([1.0, 2.0, 3.0]), (3,)),
    "Identity": (initializers.Identity(2.0), (3, 5)),
    "STFT": (initializers.STFT("real", "hann", "density"), (16, 1, 9)),
    "STFT imag": (initializers.STFT("imag", "hamming", "spectrum", periodic=True), (16, 1, 9)),
    "STFT plain": (initializers.STFT("imag", None, None), (8, 1, 5)),
    "STFT blackman": (initializers.STFT("real", "blackman", None), (8, 1, 5)),
}


class Drawn(layers.Layer):
    """A layer with one weight for each initializer."""

    def build(self, input_shape: Any) -> None:
        for i, (name, (initializer, shape)) in enumerate({**RANDOM, **FIXED}.items()):
            # NB: the attribute is where the exporter finds it.
            setattr(self, f"w{i}_initializer", initializer)
            setattr(
                self, f"w{i}", self.add_weight(shape=shape, initializer=initializer, name=f"w{i}")
            )
            self.names = [*getattr(self, "names", []), name]

    def call(self, x: Any) -> Any:
        return x + sum(keras.ops.sum(weight) for weight in self.weights)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The values of each weight in Keras, and after two seeds in the JVM."""
    model = keras.Sequential([keras.Input((1,)), Drawn(name="d")])
    path = tmp_path_factory.mktemp("drawn") / "drawn.h5"
    kbridge.export(model, path)
    names = model.layers[0].names
    places = [f"d/w{i}" for i in range(len(names))]
    x = np.zeros((1, 1), np.float32)
    found = [dict(zip(names, map(np.asarray, model.layers[0].weights), strict=True))]
    with kbridge.load(path) as loaded:
        before = loaded.predict(x)
        for seed in (1, 2, 1):
            loaded.reinitialize(seed)
            values = loaded.values(x, places)
            found.append({name: values[place] for name, place in zip(names, places, strict=True)})
        assert loaded.predict(x) != before
    return found


@pytest.mark.parametrize("name", RANDOM)
def test_distributions(jvm, drawn, name):
    expected, first, second, again = (values[name] for values in drawn)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - second).max() > 0
    assert first.shape == expected.shape
    assert np.float32 == first.dtype
    for actual in (first, second):
        # NB: two samples of one distribution give less than this once in a hundred thousand times.
        assert stats.ks_2samp(actual.ravel(), expected.ravel()).pvalue > 1e-5
        assert abs(np.corrcoef(actual.ravel(), expected.ravel())[0, 1]) < 0.05
        assert abs(np.corrcoef(actual.ravel()[1:], actual.ravel()[:-1])[0, 1]) < 0.05
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.05


@pytest.mark.parametrize("name", ["TruncatedNormal", "RandomUniform"])
def test_bounds(jvm, drawn, name):
    low, high = (-0.2, 0.7) if name == "RandomUniform" else (0.4, 1.6)
    values = drawn[1][name]
    assert low - 1e-6 <= values.min() < low + 0.01
    assert high - 0.01 < values.max() <= high + 1e-6


@pytest.mark.parametrize(("name", "gain"), [("Orthogonal tall", 1.5), ("Orthogonal wide", 0.5)])
def test_orthogonal(jvm, drawn, name, gain):
    matrix = np.float64(drawn[1][name]).reshape(-1, drawn[1][name].shape[-1])
    matrix = matrix if matrix.shape[0] > matrix.shape[1] else matrix.T
    np.testing.assert_allclose(matrix.T @ matrix, gain**2 * np.eye(matrix.shape[1]), atol=1e-6)


@pytest.mark.parametrize("name", FIXED)
def test_what_is_not_random(jvm, drawn, name):
    np.testing.assert_allclose(drawn[1][name], drawn[0][name], rtol=1e-5, atol=2e-6)


def test_recurrent_and_adapted_layers(jvm, tmp_path):
    """The forget gate's bias is 1; statistics of data stay; moving averages start anew."""
    normalization = layers.Normalization(name="n")
    normalization.adapt(np.arange(12.0).reshape(4, 3))
    model = keras.Sequential(
        [
            keras.Input((5, 3)),
            normalization,
            layers.LSTM(4, name="lstm"),
            layers.BatchNormalization(name="bn"),
            layers.Dropout(0.5, seed=9),
            layers.Dense(2, name="dense"),
        ]
    )
    for weight in model.weights:
        if weight.dtype == "float32" and "n/" not in weight.path:
            weight.assign(weight + 3.0)
    kbridge.export(model, tmp_path / "m.h5")
    with kbridge.load(tmp_path / "m.h5") as loaded:
        names = ["bn/moving_mean", "bn/moving_variance", "dense/bias", "n/mean"]
        bias = next(n for n in loaded._spec["weights"] if n.endswith("lstm_cell/bias"))
        loaded.reinitialize(5)
        x = np.zeros((1, 5, 3), np.float32)
        values = loaded.values(x, [*names, bias])
        np.testing.assert_array_equal(values[bias], [0] * 4 + [1] * 4 + [0] * 8)
        np.testing.assert_array_equal(values["bn/moving_mean"], [0] * 4)
        np.testing.assert_array_equal(values["bn/moving_variance"], [1] * 4)
        np.testing.assert_array_equal(values["dense/bias"], [0, 0])
        np.testing.assert_allclose(values["n/mean"].ravel(), [4.5, 5.5, 6.5])


def test_unknown_initializers_are_refused_together(jvm, tmp_path):
    def own(shape: Any, dtype: Any = None) -> Any:
        return keras.ops.ones(shape, dtype)

    model = keras.Sequential(
        [keras.Input((2,)), layers.Dense(2, kernel_initializer=own, bias_initializer=own, name="d")]
    )
    kbridge.export(model, tmp_path / "m.h5")
    with kbridge.load(tmp_path / "m.h5") as loaded:
        before = loaded.predict(np.ones((1, 2)))
        with pytest.raises(errors.UnsupportedOpError) as caught:
            loaded.reinitialize(1)
        assert "'d/kernel'" in str(caught.value)
        assert "'d/bias'" in str(caught.value)
        np.testing.assert_array_equal(loaded.predict(np.ones((1, 2))), before)
        with pytest.raises(errors.OptionError, match="integer of 64 bits"):
            loaded.reinitialize(1.5)
