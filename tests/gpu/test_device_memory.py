"""The plans of a GPU: on the CPU, in a JVM whose arrays all have memory of their own; and on a GPU.

The tests marked `gpu` need a machine with an NVIDIA GPU and its libraries (docs/gpu.md):
``CUDA_VISIBLE_DEVICES=0 TF_FORCE_GPU_ALLOW_GROWTH=true pytest -m gpu tests/gpu``. (The variables
say that tests may use the GPU at all, and keep TensorFlow from taking all of its memory.)
"""

from __future__ import annotations

import subprocess
import sys

import keras
import numpy as np
import pytest

import kbridge
from tests.conftest import ROOT
from tests.parity.test_applications import NAMED, network
from tests.weights import randomise

PLANS_OF_A_GPU = ["-Dio.kbridge.deviceMemory=true"]


def networks():
    """Convolutions, a residual sum, a loop with states both ways, attention, an embedding."""
    image = keras.Input((12, 12, 3), name="image")
    h = keras.layers.Conv2D(8, 3, padding="same", activation="relu")(image)
    h = keras.layers.BatchNormalization()(h)
    h = keras.layers.Add()([h, keras.layers.DepthwiseConv2D(3, padding="same")(h)])
    h = keras.layers.Flatten()(keras.layers.MaxPooling2D(2)(h))
    yield keras.Model(image, keras.layers.Dense(5, activation="softmax")(h)), ["image"]
    words = keras.Input((7,), dtype="int32", name="words")
    e = keras.layers.Embedding(11, 6, mask_zero=True)(words)
    r = keras.layers.Bidirectional(keras.layers.LSTM(5, return_sequences=True))(e)
    g = keras.layers.GRU(4, go_backwards=True)(keras.layers.MultiHeadAttention(2, 3)(r, r))
    yield keras.Model(words, [g, r]), ["words"]


def inputs(names, rows):
    rng = np.random.default_rng(rows)
    made = {
        "image": rng.normal(size=(rows, 12, 12, 3)).astype("float32"),
        "words": rng.integers(0, 11, (rows, 7)),
    }
    return [made[name] for name in names]


def agree(model, names, path, **options):
    """Compares batches of several sizes, each twice with other numbers, with native Keras."""
    with kbridge.load(path, **options) as loaded:
        for rows in (2, 3, 2, 1):
            x = inputs(names, rows)
            expected = keras.tree.flatten(model(x if len(x) > 1 else x[0]))
            actual = keras.tree.flatten(loaded.predict_on_batch(x if len(x) > 1 else x[0]))
            for got, want in zip(actual, expected, strict=True):
                want = keras.ops.convert_to_numpy(want)
                np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


def test_plans_of_a_gpu_on_the_cpu(tmp_path):
    with kbridge.JvmProcess(jvm_args=PLANS_OF_A_GPU) as jvm:
        for number, (model, names) in enumerate(networks()):
            randomise(model)
            path = tmp_path / f"{number}.h5"
            kbridge.export(model, path)
            agree(model, names, path, host=jvm)


def test_a_model_that_differs_is_refused_where_it_is_loaded(tmp_path):
    """On a GPU the golden samples are run first; here the answers stored with them are wrong."""
    import h5py

    model = randomise(next(networks())[0])
    path = tmp_path / "model.h5"
    kbridge.export(model, path)
    with h5py.File(path, "r+") as file:
        outputs = file["kbridge/golden/outputs"]
        name = next(iter(outputs))
        outputs[name][...] += 0.01
    with kbridge.JvmProcess(jvm_args=PLANS_OF_A_GPU) as jvm:
        with pytest.raises(kbridge.KBridgeError) as caught:
            kbridge.load(path, host=jvm)
        assert isinstance(caught.value, (kbridge.SelfTestError, kbridge.DigestMismatchError))


def suites(also):
    command = [sys.executable, "-m", "pytest", "tests/layers", "tests/ops", "-q", "-n0"]
    done = subprocess.run([*command, "-m", "not slow", "--also", also], cwd=ROOT, check=False)
    assert done.returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("also", ["process", "devicememory"])
def test_the_suites_in_other_jvms(also):
    suites(also)


@pytest.mark.gpu
def test_the_suites_on_the_gpu(card):
    suites("gpu")


@pytest.mark.gpu
def test_networks_on_the_gpu(card, tmp_path):
    for number, (model, names) in enumerate(networks()):
        randomise(model)
        path = tmp_path / f"{number}.h5"
        kbridge.export(model, path)
        agree(model, names, path, host="process", device="gpu")


@pytest.mark.gpu
@pytest.mark.parametrize("name", NAMED)
def test_named_applications_on_the_gpu(card, name):
    report = kbridge.check(network(name), isolated=True, device="gpu")
    assert report.ok, str(report)


@pytest.mark.gpu
def test_predictions_beside_tensorflow_on_the_same_gpu(card):
    """Prints what docs/gpu.md records; the numbers have to agree, whatever the speed."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.devices",
        "--device",
        "gpu",
        "--batches",
        "1",
        "32",
    ]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    print(done.stdout)
    assert done.stdout.count("| resnet50 ") == 2


@pytest.mark.gpu
def test_memory_is_given_back_on_close(card, tmp_path):
    model = randomise(next(networks())[0])
    path = tmp_path / "model.h5"
    kbridge.export(model, path)
    (x,) = inputs(["image"], 64)

    def used():
        query = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
        return int(
            subprocess.run(query, capture_output=True, text=True, check=True).stdout.split()[0]
        )

    with kbridge.JvmProcess() as jvm:
        for turn in range(12):
            with kbridge.load(path, host=jvm, device="gpu") as loaded:
                loaded.predict_on_batch(x)
            if turn == 2:
                before = used()
        assert used() - before < 64
