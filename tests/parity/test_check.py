"""`kbridge.check`, end to end: native Keras against the JVM."""

from __future__ import annotations

import tempfile

import h5py
import keras
import numpy as np
import pytest

import kbridge
from kbridge import errors
from kbridge.parity import comparison
from kbridge.parity.tolerance import Tolerance
from tests.parity.conftest import change_spec, change_weight
from tests.weights import randomise

pytestmark = pytest.mark.usefixtures("jvm")


def kinds(report):
    return [finding.kind for finding in report.findings]


def test_equal_model(classifier):
    report = kbridge.check(classifier)
    assert report.ok, str(report)
    assert [layer.scope for layer in report.layers] == ["first", "drop", "second", "top"]
    assert [array.name for array in report.outputs] == ["top"]
    assert [array.name for array in report.logits] == ["top before Softmax"]
    assert (report.model_name, report.samples, report.generated) == ("classifier", 3, True)
    assert report.max_error < 1e-4
    assert set(report.seconds) == {"native", "jvm"}
    assert report.environment["Keras backend"].startswith(keras.backend.backend())


@pytest.mark.parametrize("policy", ["float16", "mixed_float16", "mixed_bfloat16"])
def test_half_precision_has_tolerances_of_its_own(policy, tmp_path):
    """Both sides round more than float32 may; filters off by eight tolerances are found."""
    image = keras.Input((9, 8, 3))
    h = keras.layers.Conv2D(8, 3, activation="gelu", dtype=policy)(image)
    h = keras.layers.BatchNormalization(dtype=policy)(h)
    last = keras.layers.Conv2D(8, 3, activation="tanh", dtype=policy)
    h = keras.layers.GlobalAveragePooling2D(dtype=policy)(last(h))
    top = keras.layers.Dense(5, activation="softmax", dtype="float32", name="top")
    model = randomise(keras.Model(image, top(h)))
    report = kbridge.check(model)
    assert report.ok, str(report)
    assert report.tolerance.scaled and report.tolerance.rtol >= 0.0025
    path = tmp_path / "model.h5"
    kbridge.export(model, path)
    with kbridge.load(path) as loaded:
        told = loaded.self_test()
    assert told["ok"] and told["scaled"] and told["rtol"] == report.tolerance.rtol
    last.kernel.assign(last.kernel * (1 + 8 * report.tolerance.rtol))
    assert not kbridge.check(model, bundle=path).ok


def test_golden_samples_of_small_numbers_are_held_to_a_share_of_the_largest(tmp_path):
    dense = keras.layers.Dense(6, use_bias=False, dtype="mixed_float16")
    model = randomise(keras.Sequential([keras.Input((4,)), dense]))
    dense.kernel.assign(dense.kernel * 1e-3)
    path = tmp_path / "model.h5"
    kbridge.export(model, path)
    for error, ok in ((0.002, True), (0.02, False)):
        with h5py.File(path, "r+") as file:
            (output,) = file["kbridge/golden/outputs"].values()
            at = np.unravel_index(np.abs(output[...]).argmax(), output.shape)
            output[at] *= 1 + error
        with kbridge.load(path) as loaded:
            assert loaded.self_test()["ok"] is ok


def test_tolerances_that_are_given_count_in_half_precision(classifier):
    half = keras.Sequential([keras.Input((4,)), keras.layers.Dense(40, "tanh", dtype="float16")])
    strict = kbridge.check(randomise(half), rtol=1e-6, atol=0.0)
    assert strict.tolerance.rtol == 1e-6
    assert any(array.outside for array in strict.outputs)
    assert kbridge.check(classifier).tolerance == Tolerance()


def test_changed_weight_is_caught_and_the_first_layer_named(classifier, bundle_of):
    bundle = bundle_of(classifier)
    change_weight(bundle, "second/kernel", lambda kernel: kernel * 1.01)
    report = kbridge.check(classifier, bundle=bundle)
    assert not report.ok
    assert report.first_divergence.scope == "second"
    assert [layer.ok for layer in report.layers] == [True, True, False, False]
    assert not report.outputs[0].ok
    with pytest.raises(errors.ParityError, match="first layer that diverges is 'second'"):
        report.raise_if_failed()


def test_one_element_of_one_weight_is_caught(classifier, bundle_of):
    bundle = bundle_of(classifier)
    x = np.ones((1, 6), "float32")
    kernel, bias = classifier.get_layer("first").get_weights()
    active = int(np.argmax(x[0] @ kernel + bias))  # a unit that its relu lets through

    def change(stored):
        stored[active] += 1e-3
        return stored

    change_weight(bundle, "first/bias", change)
    report = kbridge.check(classifier, x, bundle=bundle)
    assert report.first_divergence.scope == "first"
    assert report.first_divergence.outside == 1
    assert report.first_divergence.arrays[0].worst[0] == (0, active)


def test_saturated_softmax_does_not_hide_different_logits(bundle_of):
    inputs = keras.Input((2,), name="x")
    top = keras.layers.Dense(2, activation="softmax", name="top")
    model = keras.Model(inputs, top(inputs))
    top.set_weights([np.eye(2, dtype="float32"), np.array([500, -500], "float32")])
    bundle = bundle_of(model)
    change_weight(bundle, "top/bias", lambda bias: bias * 1.1)
    report = kbridge.check(model, bundle=bundle)
    assert report.outputs[0].ok
    assert all(layer.ok for layer in report.layers)
    assert not report.logits[0].ok
    assert not report.ok


def test_dicts_nested_and_shared_models():
    keras.utils.set_random_seed(1)
    inner = keras.Sequential(
        [keras.Input((6,)), keras.layers.Dense(6, activation="gelu", name="d")], name="inner"
    )
    ids = keras.Input((5,), dtype="int32", name="ids")
    v = keras.Input((6,), name="v")
    h = keras.layers.Embedding(11, 6, name="embedding")(ids)
    h = keras.layers.GlobalAveragePooling1D(name="pool")(h)
    h = inner(h) + inner(v) * 2.0
    shared = keras.layers.Dense(6, activation="tanh", name="shared")
    h = shared(shared(h))
    outputs = {
        "label": keras.layers.Dense(3, activation="softmax", name="label")(h),
        "size": keras.layers.Dense(1, name="size")(h),
    }
    report = kbridge.check(keras.Model({"ids": ids, "v": v}, outputs))
    assert report.ok, str(report)
    assert [layer.label for layer in report.layers] == [
        *("embedding", "pool", "inner/d", "inner", "inner/d (call 1)", "inner (call 1)"),
        *("shared", "shared (call 1)", "size", "label"),
    ]
    assert [array.name for array in report.outputs] == ["label", "size"]


def test_nan_in_native_keras_fails_unless_it_is_allowed():
    inputs = keras.Input((4,), name="x")
    model = keras.Model(inputs, keras.layers.Activation(keras.ops.log, name="log")(inputs))
    x = np.array([[1, -1, 0, 2]], "float32")
    report = kbridge.check(model, x)
    assert not report.ok
    assert set(kinds(report)) == {"nan"}
    assert "2 NaN or Inf of 4" in report.findings[0].message
    assert kbridge.check(model, x, allow_nan=True).ok


def test_given_inputs_run_in_batches(classifier):
    x = np.random.default_rng(0).normal(size=(7, 6))
    report = kbridge.check(classifier, x, batch_size=3)
    assert report.ok, str(report)
    assert (report.samples, report.generated) == (7, False)
    assert report.outputs[0].size == 7 * 4
    assert [layer.size for layer in report.layers] == [7 * 8, 7 * 8, 7 * 8, 7 * 4]


def test_layers_are_compared_in_groups_of_bounded_size(classifier, bundle_of, monkeypatch):
    bundle = bundle_of(classifier)
    change_weight(bundle, "second/bias", lambda bias: bias + 0.1)
    whole = kbridge.check(classifier, bundle=bundle)
    monkeypatch.setattr(comparison, "_GROUP_BYTES", 1)
    asked = []
    values = kbridge.JvmModel.values
    monkeypatch.setattr(
        kbridge.JvmModel,
        "values",
        lambda self, x, names: asked.append(len(names)) or values(self, x, names),
    )
    report = kbridge.check(classifier, bundle=bundle)
    assert asked == [1, 1, 1, 2]
    assert report.comparison == whole.comparison


def test_layer_that_the_bundle_does_not_tell_is_missed(classifier, bundle_of):
    bundle = bundle_of(classifier)
    change_spec(bundle, lambda spec: spec["layer_outputs"].pop(0))
    report = kbridge.check(classifier, bundle=bundle)
    assert kinds(report) == ["names"]
    assert "first: expected the bundle to tell its outputs" in report.findings[0].message


def test_layer_that_native_keras_does_not_have_is_found(classifier, bundle_of):
    bundle = bundle_of(classifier)

    def change(spec):
        spec["layer_outputs"].append({**spec["layer_outputs"][0], "scope": "ghost"})

    change_spec(bundle, change)
    report = kbridge.check(classifier, bundle=bundle)
    assert kinds(report) == ["count"]
    assert report.first_divergence.scope == "ghost"


def test_output_of_another_name_is_found(classifier, bundle_of):
    bundle = bundle_of(classifier)
    change_spec(bundle, lambda spec: spec.update(output_structure={"top": 0}))
    report = kbridge.check(classifier, bundle=bundle)
    assert kinds(report) == ["names"]
    assert "Expected outputs nested as *. Received: {'top': 0}" in report.findings[0].message


def test_keras_file(classifier, tmp_path):
    path = tmp_path / "model.keras"
    classifier.save(path)
    report = kbridge.check(path)
    assert report.ok, str(report)
    assert len(report.layers) == 4


def test_nothing_is_left_behind(classifier, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert kbridge.check(classifier).ok
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": -2}, "Expected steps to be a number from 0. Received: -2."),
        ({"steps": 2, "isolated": True}, "Expected isolated=False with steps="),
        ({"y": [1]}, "Expected steps= with y: labels are for training steps."),
        ({"rtol": -1}, "Expected rtol to be a finite number >= 0. Received: -1"),
        ({"batch_size": 0}, "Expected batch_size >= 1. Received: 0"),
        ({"engine": "warp"}, "Expected engine to be one of .* Received: 'warp'"),
    ],
)
def test_wrong_options(classifier, options, message):
    with pytest.raises(errors.OptionError, match=message):
        kbridge.check(classifier, **options)


def test_inputs_that_do_not_fit(classifier):
    with pytest.raises(errors.InvalidInputError, match=r"shape \(3, 5\)"):
        kbridge.check(classifier, np.zeros((3, 5), "float32"))


def test_missing_source():
    with pytest.raises(errors.BundleNotFoundError, match="nowhere.keras"):
        kbridge.check("nowhere.keras")
