"""Where a model can come from, and what is said about things that are no models."""

from __future__ import annotations

import hashlib
import os
import pickle
import zipfile
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import h5py
import keras
import numpy as np
import pytest

from kbridge.errors import (
    BundleFormatError,
    BundleNotFoundError,
    ExportError,
    UnsupportedModelError,
)
from kbridge.export.sources import open_source

EMOTION = Path(__file__).parents[2] / "examples" / "emotion" / "emotion_model.hdf5"


def small_model() -> keras.Model:
    a, b = keras.Input((5, 3), name="a"), keras.Input((5, 3), name="b")
    x = keras.layers.Bidirectional(keras.layers.LSTM(2, return_sequences=True))(a)
    x = keras.layers.Concatenate()([x, b * 2.0])
    x = keras.ops.relu(x[:, 1:]) + 1.0
    x = keras.layers.MultiHeadAttention(2, 3)(x, x)
    block = keras.Sequential([keras.layers.Dense(3), keras.layers.BatchNormalization()])
    x = block(x) + block(x * 0.5)
    x = keras.layers.TimeDistributed(keras.layers.Dense(2))(keras.layers.Dropout(0.3)(x))
    out = keras.layers.Dense(2, kernel_regularizer="l2")(keras.layers.Flatten()(x))
    model = keras.Model({"a": a, "b": b}, {"p": out, "q": keras.ops.softmax(out)})
    rate = keras.optimizers.schedules.ExponentialDecay(0.01, 10, 0.9)
    model.compile(
        keras.optimizers.AdamW(rate),
        loss={"p": "mse", "q": keras.losses.CategoricalCrossentropy(label_smoothing=0.1)},
        metrics={"p": ["mae"]},
        loss_weights={"p": 0.3, "q": 1.0},
    )
    x, y = data()
    model.train_on_batch(x, y)
    return model


def data() -> tuple[dict, dict]:
    rng = np.random.default_rng(0)
    x = {name: rng.normal(size=(4, 5, 3)).astype("float32") for name in "ab"}
    y = {name: rng.uniform(size=(4, 2)).astype("float32") for name in "pq"}
    return x, y


def test_live_model_is_taken_as_it_is() -> None:
    model = small_model()
    source = open_source(model)
    assert source.model is model
    assert (source.kind, source.file, source.sha256) == ("live", None, None)
    assert source.keras_version == keras.__version__
    assert source.backend == keras.config.backend()


@pytest.mark.parametrize("name", ["model.keras", "model.h5", "model.hdf5"])
def test_keras3_files(name: str, tmp_path: Path) -> None:
    model = small_model()
    path = tmp_path / name
    model.save(path)
    source = open_source(str(path))
    x, y = data()
    expected, answers = model(x), source.model(x)
    for key in expected:
        np.testing.assert_array_equal(np.asarray(answers[key]), np.asarray(expected[key]))
    assert source.kind == ("keras" if name.endswith(".keras") else "hdf5")
    assert source.file == name
    assert source.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert source.keras_version == keras.__version__
    assert source.notes == []
    assert source.training_config
    assert source.model.compiled
    pairs = zip(source.model.optimizer.variables, model.optimizer.variables, strict=True)
    for restored, original in pairs:
        np.testing.assert_array_equal(np.asarray(restored), np.asarray(original))
    before = model.train_on_batch(x, y)
    assert np.isfinite(before).all()


def test_emotion_model() -> None:
    """A real file of Keras 2.0.5, with optimizer state in the order of weight names."""
    source = open_source(EMOTION)
    assert (source.keras_version, source.backend) == ("2.0.5", "tensorflow")
    assert source.notes == []
    x = np.random.default_rng(0).uniform(-1, 1, (3, 64, 64, 1)).astype("float32")
    answers = np.asarray(source.model(x, training=False))
    assert answers.shape == (3, 7)
    np.testing.assert_allclose(answers.sum(axis=-1), 1.0, rtol=1e-6)
    import tf_keras

    native = np.asarray(tf_keras.models.load_model(EMOTION, compile=False)(x, training=False))
    np.testing.assert_allclose(answers, native, rtol=1e-5, atol=1e-6)
    assert source.model.compiled
    assert int(source.model.optimizer.iterations) == 92494
    assert np.isclose(float(source.model.optimizer.learning_rate), 1e-4)


@pytest.mark.parametrize(
    "model", [keras.Sequential([keras.layers.Dense(2)]), keras.Model(name="subclass")]
)
def test_unbuilt_model(model: keras.Model) -> None:
    with pytest.raises(ExportError, match="Call it on a sample"):
        open_source(model)


def test_no_model() -> None:
    with pytest.raises(ExportError, match=r"Received: builtins\.int"):
        open_source(3)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(BundleNotFoundError, match=r"nothing\.h5"):
        open_source(tmp_path / "nothing.h5")


def zip_with(path: Path, **members: bytes) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/"), content)


FOREIGN = {
    "m.tflite": (lambda p: p.write_bytes(b"\x1c\0\0\0TFL3" + bytes(50)), "TensorFlow Lite"),
    "m.onnx": (lambda p: p.write_bytes(b"\x08\x07\x12\x04test"), "ONNX"),
    "m.pt": (lambda p: zip_with(p, **{"archive__data.pkl": b"x"}), "PyTorch"),
    "old.pt": (lambda p: p.write_bytes(pickle.dumps({"a": 1})), "pickle"),
    "m.npy": (lambda p: np.save(p, np.ones(3)), "NumPy"),
    "m.json": (lambda p: p.write_text('{"class_name": "Sequential"}'), "without weights"),
    "m.pb": (lambda p: p.write_bytes(b"\x08\x01\x12"), "TensorFlow graph"),
    "m.zip": (lambda p: zip_with(p, readme=b"x"), "no Keras model"),
    "m.h5": (lambda p: p.write_bytes(b""), "empty"),
    "m.bin": (lambda p: p.write_bytes(b"\xde\xad\xbe\xef"), "unknown format"),
    "part.keras": (lambda p: zip_with(p, **{"config.json": b"{}"}), "without"),
}


@pytest.mark.parametrize("name", sorted(FOREIGN))
def test_foreign_files(name: str, tmp_path: Path) -> None:
    make, seems = FOREIGN[name]
    make(tmp_path / name)
    with pytest.raises(BundleFormatError, match=seems):
        open_source(tmp_path / name)


def test_saved_model_folder(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"x")
    with pytest.raises(BundleFormatError, match="SavedModel folder"):
        open_source(tmp_path)


@pytest.mark.parametrize("suffix", ["keras", "h5"])
@pytest.mark.parametrize("part", [0.3, 0.9])
def test_cut_off_files(suffix: str, part: float, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((40,)), keras.layers.Dense(30)])
    whole, cut = tmp_path / f"whole.{suffix}", tmp_path / f"cut.{suffix}"
    model.save(whole)
    content = whole.read_bytes()
    cut.write_bytes(content[: int(part * len(content))])
    with pytest.raises(BundleFormatError, match="damaged|cut"):
        open_source(cut)


def test_weights_alone(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    model.save_weights(tmp_path / "m.weights.h5")
    with pytest.raises(BundleFormatError, match="weights alone"):
        open_source(tmp_path / "m.weights.h5")


def test_other_hdf5_file(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["measurements"] = np.ones(3)
    with pytest.raises(BundleFormatError, match="measurements"):
        open_source(tmp_path / "x.h5")


def test_custom_layer_in_an_archive(tmp_path: Path) -> None:
    class Double(keras.layers.Layer):
        def call(self, x: object) -> object:
            return x * 2

    model = keras.Sequential([keras.Input((3,)), Double()])
    model.save(tmp_path / "m.keras")
    with pytest.raises(UnsupportedModelError, match="custom_objects"):
        open_source(tmp_path / "m.keras")
    source = open_source(tmp_path / "m.keras", custom_objects={"Double": Double})
    assert np.asarray(source.model(np.ones((1, 3), "f4"))).tolist() == [[2.0, 2.0, 2.0]]


def test_importing_sources_starts_nothing() -> None:
    import subprocess
    import sys

    code = (
        "import sys, kbridge.export.sources; print('keras' in sys.modules, 'h5py' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert result.stdout.split() == ["False", "False"]
