"""Products with bfloat16 numbers: how far from float32, where they are kept, and who refuses."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

import kbridge
from kbridge import errors
from kbridge.jvm.cpu import cpu_flags
from kbridge.parity.reference import record
from tests.onednn.rounded import calibrated, check_error
from tests.onednn.test_networks import images, preactivated, residual, seen_alone, shared
from tests.weights import calibrate, randomise

needs_bfloat16 = pytest.mark.skipif(
    "avx512_bf16" not in cpu_flags(), reason="this CPU has no AVX512-BF16"
)


def interrupted() -> keras.Model:
    """Values in bfloat16 that an operation wants which oneDNN has not."""
    x = layers.Input((12, 12, 16))
    y = layers.Conv2D(32, 3, padding="same", activation="relu")(x)
    z = layers.Conv2D(32, 3, padding="same")(keras.ops.flip(y, axis=1))
    y = layers.Add()([y, keras.ops.cumsum(z, axis=2)])
    return keras.Model(x, layers.Dense(70)(layers.Dense(80, "relu")(layers.Flatten()(y))))


@needs_bfloat16
@pytest.mark.parametrize(
    ("build", "shape"),
    [
        (residual, (3, 17, 19, 3)),
        (preactivated, (2, 12, 12, 16)),
        (shared, (2, 10, 10, 32)),
        (interrupted, (3, 12, 12, 16)),
    ],
)
def test_networks(exported, build, shape):
    model, x = calibrated(build, shape)
    ours = exported(model, engine="onednn", precision="bfloat16")
    check_error(ours, model, x, 0.02)
    steps = ours.plan_steps(x)
    assert sum("bf16" in step["implementation"] for step in steps) >= 2, steps


@needs_bfloat16
def test_every_layer_can_be_the_output(exported):
    x = images(3, 17, 19, 3)
    model = calibrate(randomise(residual()), x)
    recording = record(model, x)
    ours = exported(model, engine="onednn", precision="bfloat16")
    seen = seen_alone(ours, x)
    for layer in ours.layer_outputs:
        wants = recording.layers[layer["scope"], layer["call"]]
        for name, want in zip(layer["values"], wants, strict=True):
            assert np.abs(seen[name] - want).max() < 0.02 * np.abs(want).max(), name


@needs_bfloat16
def test_values_stay_in_bfloat16_between_products(exported):
    x = images(3, 17, 19, 3)
    model = calibrate(randomise(residual()), x)
    steps = exported(model, engine="onednn", precision="bfloat16").plan_steps(x)
    assert all("bf16" in s["implementation"] for s in steps if "Conv" in s["ops"]), steps
    # NB: the picture is put into bfloat16, and what is flattened for the last layer out of it.
    assert sum("reorder" in step["implementation"] for step in steps) <= 3, steps


@needs_bfloat16
def test_nan_takes_the_steps_that_keep_it(exported):
    x = images(2, 12, 12, 16)
    x[1, 3, 4, 5] = np.nan
    model = randomise(preactivated())
    ours = exported(model, engine="onednn", precision="bfloat16")
    for got, want in zip(ours.predict_on_batch(x), model(x, training=False), strict=True):
        np.testing.assert_allclose(got, want, rtol=2e-5, atol=1e-5)


@needs_bfloat16
@pytest.mark.parametrize("isolated", [False, True])
def test_check_tells_the_accuracy(jvm, isolated, tmp_path):
    x = images(2, 12, 12, 16)
    model = calibrate(randomise(preactivated()), x)
    path = tmp_path / "model.keras"
    model.save(path)
    options = {"engine": "onednn", "precision": "bfloat16", "isolated": isolated}
    report = kbridge.check(path, x, **options)
    assert report.ok, report
    assert report.max_error > 1e-6
    assert report.to_dict()["precision"] == "bfloat16"
    assert "bfloat16" in str(report)
    assert not kbridge.check(path, x, rtol=1e-4, atol=1e-5, **options).ok


def test_the_nd4j_engine_refuses(identity_bundle):
    path = identity_bundle([("x", (None, 3), "float32")])
    with pytest.raises(errors.InvalidInputError, match="precision 'float32' with ND4J's steps"):
        kbridge.load(path, engine="nd4j", precision="bfloat16")
    with pytest.raises(errors.OptionError, match="Expected precision to be one of 'float32', 'bf"):
        kbridge.load(path, precision="float16")


def test_a_cpu_without_it_refuses(identity_bundle, run_python):
    path = str(identity_bundle([("x", (None, 3), "float32")]))
    done = run_python(
        f"""
import kbridge
try:
    kbridge.load({path!r}, precision="bfloat16")
except kbridge.DeviceUnavailableError as e:
    print(e)
""",
        env={"DNNL_MAX_CPU_ISA": "AVX2"},
    )
    assert "Expected a CPU that computes with bfloat16" in done.stdout
