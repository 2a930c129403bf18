"""Exported Keras models through JvmModel: its answers are Keras's, in Keras's structure."""

import numpy as np
import pytest

import kbridge

keras = pytest.importorskip("keras")


def rng_x(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


@pytest.fixture(scope="module")
def two_in_two_out():
    keras.utils.set_random_seed(1)
    a = keras.Input((8,), name="a")
    b = keras.Input((8,), name="b", dtype="int32")
    h = keras.layers.Dense(16, activation="relu", name="h")(a)
    joined = keras.layers.Concatenate()([h, keras.ops.cast(b, "float32")])
    y = keras.layers.Dense(4, activation="softmax", name="y")(joined)
    return keras.Model({"a": a, "b": b}, {"y": y, "hidden": [h]})


def test_dict_in_and_out(exported, two_in_two_out):
    x = {"a": rng_x(70, 8), "b": np.random.default_rng(1).integers(0, 9, (70, 8))}
    want = two_in_two_out.predict(x, verbose=0)
    model = exported(two_in_two_out)
    for got in (model.predict(x, verbose=0), model.predict(x, batch_size=70), model(x)):
        assert set(got) == {"y", "hidden"}
        assert isinstance(got["hidden"], list)
        np.testing.assert_allclose(got["y"], want["y"], rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(got["hidden"][0], want["hidden"][0], rtol=1e-4, atol=1e-5)


def test_sequential(exported):
    keras.utils.set_random_seed(2)
    native = keras.Sequential(
        [keras.Input((5,)), keras.layers.Dense(3, activation="tanh"), keras.layers.Dense(2)]
    )
    x = rng_x(40, 5)
    got = exported(native).predict(x, verbose=0)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, native.predict(x, verbose=0), rtol=1e-4, atol=1e-6)


def test_self_test(exported, two_in_two_out):
    report = exported(two_in_two_out).self_test()
    assert report["ok"] is True
    assert len(report["outputs"]) == 2
    for output in report["outputs"]:
        assert output["wrong"] == 0
        assert output["elements"] > 0
        assert output["max_absolute_error"] < 1e-4


def test_layer_values(exported, two_in_two_out):
    model = exported(two_in_two_out)
    x = {"a": rng_x(3, 8), "b": np.ones((3, 8), int)}
    hidden = next(entry for entry in model.layer_outputs if entry["scope"] == "h")
    (value,) = model.values(x, hidden["values"]).values()
    np.testing.assert_array_equal(value, model.predict(x)["hidden"][0])


def tensorflow(a):
    return pytest.importorskip("tensorflow").constant(a)


def jax(a):
    return pytest.importorskip("jax.numpy").asarray(a)


def torch(a):
    return pytest.importorskip("torch").tensor(a)


@pytest.mark.parametrize("convert", [tensorflow, jax, torch])
def test_tensors_of_each_backend(exported, two_in_two_out, convert):
    a, b = rng_x(4, 8).astype(np.float32), np.ones((4, 8), np.int32)
    model = exported(two_in_two_out)
    got = model.predict({"a": convert(a), "b": convert(b)}, verbose=0)
    np.testing.assert_array_equal(got["y"], model.predict({"a": a, "b": b}, verbose=0)["y"])


def test_warm_up_compiles_the_plan_of_the_first_prediction(exported, two_in_two_out):
    model = exported(two_in_two_out)
    model.warm_up((5, 8), (5, 8))
    x = {"a": rng_x(5, 8), "b": np.ones((5, 8), int)}
    want = two_in_two_out.predict(x, verbose=0)
    np.testing.assert_allclose(model(x)["y"], want["y"], rtol=1e-4, atol=1e-6)
    with pytest.raises(
        kbridge.InvalidInputError, match="Expected a shape for each .*'b'.* \\(5, 7\\)"
    ):
        model.warm_up((5, 8), (5, 7))
    with pytest.raises(kbridge.InvalidInputError, match="Received: \\(5, 8\\)\\."):
        model.warm_up((5, 8))
