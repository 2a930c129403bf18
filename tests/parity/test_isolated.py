"""A check whose sides run in processes of their own."""

from __future__ import annotations

import sys
import tempfile

import keras
import numpy as np
import pytest

import kbridge
from kbridge import errors
from kbridge.parity import isolated
from tests.parity.conftest import change_weight


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_file_with_a_broken_bundle(classifier, bundle_of, tmp_path, temporary):
    source = tmp_path / "model.keras"
    classifier.save(source)
    bundle = bundle_of(classifier)
    change_weight(bundle, "second/kernel", lambda kernel: kernel * 1.01)
    x = np.random.default_rng(0).normal(size=(5, 6))
    report = kbridge.check(source, x, bundle=bundle, isolated=True, batch_size=3)
    assert [layer.ok for layer in report.layers] == [True, True, False, False]
    assert report.first_divergence.scope == "second"
    assert (report.samples, report.generated) == (5, False)
    assert report.outputs[0].size == 20
    assert list(temporary.iterdir()) == []


def test_live_model_is_equal(temporary):
    a, b = keras.Input((2,), name="a"), keras.Input((2,), name="b", dtype="bool")
    outputs = {"sum": a + keras.ops.cast(b, "float32"), "not": keras.ops.logical_not(b)}
    model = keras.Model({"a": a, "b": b}, outputs)
    said = []
    report = kbridge.check(model, isolated=True, progress=said.append)
    assert report.ok, str(report)
    assert report.samples == 3
    assert {array.name: array.dtype for array in report.outputs} == {
        "not": "bool",
        "sum": "float32",
    }
    assert said == ["running native Keras", "running the JVM and comparing layers"]
    assert list(temporary.iterdir()) == []


def test_error_of_a_side_is_raised_as_what_it_is(classifier, tmp_path, temporary):
    broken = tmp_path / "broken.h5"
    broken.write_bytes(b"not HDF5")
    source = tmp_path / "model.keras"
    classifier.save(source)
    with pytest.raises(errors.BundleFormatError, match="which HDF5 cannot open"):
        kbridge.check(source, bundle=broken, isolated=True)
    assert list(temporary.iterdir()) == []


def test_unsupported_model_keeps_its_problems():
    problem = errors.Problem("a/b", "Odd", "why", "do")
    told = isolated._error_dict(errors.UnsupportedModelError([problem]))
    raised = isolated._error_of(told)
    assert isinstance(raised, errors.UnsupportedModelError)
    assert raised.problems == [problem]


def test_side_that_fails_is_told_with_its_last_words(tmp_path):
    with pytest.raises(errors.KBridgeError, match="ended with exit status 1") as caught:
        isolated._run_process(tmp_path)
    assert "runs native Keras to finish" in str(caught.value)
    assert "FileNotFoundError" in str(caught.value)


@pytest.mark.parametrize(("name", "hint"), [("SEGV", "SIGSEGV"), ("KILL", "memory ran out")])
def test_side_that_dies_is_told_as_dead(tmp_path, monkeypatch, name, hint):
    dying = tmp_path / "python"
    dying.write_text(f"#!/bin/sh\necho last words\nkill -{name} $$\n", encoding="utf-8")
    dying.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(dying))
    with pytest.raises(errors.KBridgeError, match=f"signal SIG{name}") as caught:
        isolated._run_process(tmp_path)
    assert hint in str(caught.value)
    assert "last words" in str(caught.value)
