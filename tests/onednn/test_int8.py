"""Products with 8-bit numbers: how far from float32, what Keras has quantised, and who refuses."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

import kbridge
from kbridge import errors
from kbridge.jvm.cpu import cpu_flags
from tests.onednn.rounded import calibrated, check_error
from tests.onednn.test_networks import images, preactivated, residual, shared
from tests.weights import calibrate, randomise

needs_int8 = pytest.mark.skipif(
    not {"avx512_vnni", "avx_vnni"} & set(cpu_flags()), reason="this CPU has no VNNI"
)


def positive() -> keras.Model:
    """Groups, strides, gaps, products of more axes, and a value that is always positive."""
    x = layers.Input((13, 11, 8))
    y = layers.Conv2D(16, 3, strides=2, padding="same", groups=2, activation="sigmoid")(x)
    y = layers.Conv2D(12, 3, dilation_rate=2, padding="same")(y)
    y = layers.Reshape((42, 12))(y)
    y = layers.EinsumDense("abc,cde->abde", (42, 3, 5), bias_axes="de")(y)
    return keras.Model(x, layers.Dense(7, "tanh")(layers.Flatten()(y)))


@needs_int8
@pytest.mark.parametrize(
    ("build", "shape"),
    [
        (residual, (3, 17, 19, 3)),
        (preactivated, (3, 12, 12, 16)),
        (shared, (3, 10, 10, 32)),
        (positive, (3, 13, 11, 8)),
    ],
)
def test_networks(exported, build, shape):
    model, x = calibrated(build, shape)
    ours = exported(model, engine="onednn", precision="int8", calibration=x)
    check_error(ours, model, x, 0.05)
    for name, value in ours.values(x).items():
        assert np.isfinite(value).all(), name


def quantised() -> keras.Model:
    """What Keras rounds to 8 bits itself, with rows of their own scale."""
    x = layers.Input((24,), dtype="int32")
    y = layers.Embedding(50, 64)(x)
    y = layers.EinsumDense("abc,cde->abde", (24, 4, 20), bias_axes="de")(y)
    y = layers.EinsumDense("abde,def->abf", (24, 48), activation="relu")(y)
    y = layers.Dense(40, activation="gelu")(y)
    model = randomise(keras.Model(x, layers.Dense(9)(layers.Flatten()(y))))
    model.quantize("int8")
    return model


@needs_int8
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_models_that_keras_has_quantised_are_exact(exported, precision):
    x = np.random.default_rng(2).integers(0, 50, (5, 24)).astype("int32")
    model = quantised()
    ours = exported(model, engine="onednn", precision=precision)
    want = np.asarray(model(x))
    np.testing.assert_allclose(ours.predict_on_batch(x), want, rtol=1e-5, atol=1e-6)
    products = [s for s in ours.plan_steps(x) if s["ops"].split("+")[0] in ("Matmul", "Einsum")]
    assert len(products) == 4
    assert all("oneDNN" in step["implementation"] for step in products), products


@needs_int8
@pytest.mark.parametrize("isolated", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_check_tells_the_accuracy(jvm, isolated, tmp_path):
    x = images(2, 12, 12, 16)
    model = calibrate(randomise(preactivated()), x)
    path = tmp_path / "model.keras"
    model.save(path)
    options = {"engine": "onednn", "precision": "int8", "isolated": isolated}
    report = kbridge.check(path, x, **options)
    assert report.ok, report
    assert report.max_error > 1e-6
    assert report.to_dict()["precision"] == "int8"
    assert not kbridge.check(path, x, rtol=1e-4, atol=1e-5, **options).ok


def test_refusals(exported, identity_bundle):
    x = images(2, 12, 12, 16)
    model = randomise(preactivated())
    with pytest.raises(errors.InvalidInputError, match="Expected a calibration .*quantised"):
        exported(model, precision="int8")
    with pytest.raises(errors.OptionError, match="precision='int8' alone"):
        exported(model, calibration=x)
    with pytest.raises(errors.InvalidInputError, match="at least one sample"):
        exported(model, precision="int8", calibration=x[:0])
    x[1, 2, 3, 4] = np.inf
    with pytest.raises(errors.InvalidInputError, match="NaN or infinite"):
        exported(model, precision="int8", calibration=x)
    path = identity_bundle([("x", (None, 3), "float32")])
    with pytest.raises(errors.InvalidInputError, match="precision 'float32' with ND4J's steps"):
        kbridge.load(path, engine="nd4j", precision="int8")


@needs_int8
def test_a_calibrated_model_keeps_its_weights(exported):
    x = images(2, 12, 12, 16)
    model = randomise(preactivated())
    model.compile("sgd", loss="mse")
    ours = exported(model, precision="int8", calibration=x)
    with pytest.raises(errors.InvalidInputError, match="without a calibration"):
        ours.reinitialize(3)
    with pytest.raises(errors.OptionError, match="without calibration="):
        ours.fit(x, model(x), epochs=1)
