"""Files written by genuine Keras 1.0, 1.2, 2.0, 2.2 and 2.3 on Theano, in both image orderings.

``old_keras/write_old_keras.py`` made them and stored what the old Keras answered; nothing of
kbridge took part in it.
"""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
import pytest

from kbridge.errors import ExportError
from kbridge.export.sources import open_source

ARCHIVE = Path(__file__).parent / "old_keras" / "old_keras.zip"
with zipfile.ZipFile(ARCHIVE) as _zip:
    CASES = sorted(Path(name).stem for name in _zip.namelist() if name.endswith(".h5"))
# Formulas that differ in Keras 3, so that a further training step is not the same.
OTHER_FORMULA = {
    "rnn": "RMSprop's epsilon moved under the root",
    "rnn_cpu": "RMSprop's epsilon moved under the root",
    "td": "Adagrad's epsilon moved under the root",
    "conv1d": "Nadam lost schedule_decay",
    "func": "BatchNormalization's moving variance lost its n/(n-1)",
    "embed": "on TensorFlow, Keras 3's Adam leaves embedding rows alone that the batch did not use",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("old_keras")
    with zipfile.ZipFile(ARCHIVE) as archive:
        archive.extractall(path)
    return path


def arrays(data: dict, letter: str) -> list[np.ndarray]:
    return [data[f"{letter}{i}"] for i in range(9) if f"{letter}{i}" in data]


def one_or_list(values: list[np.ndarray]) -> object:
    return values if len(values) > 1 else values[0]


def hints(case: str) -> dict[str, str]:
    """Keras 1 stores no ordering for UpSampling2D; here no other layer tells it either."""
    ordering = case.split("_")[1]
    lone = case.startswith("k1.0.8") and case.endswith("updown")
    formats = {"th": "channels_first", "tf": "channels_last"}
    return {"data_format": formats[ordering]} if lone else {}


def close(actual: np.ndarray, desired: np.ndarray, rtol: float) -> None:
    assert actual.shape == desired.shape
    assert np.isfinite(desired).all()
    atol = rtol * np.abs(desired).max()
    np.testing.assert_allclose(actual, desired, rtol=rtol, atol=atol)


@pytest.mark.parametrize("case", CASES)
def test_predictions(folder: Path, case: str) -> None:
    source = open_source(folder / f"{case}.h5", **hints(case))
    data = np.load(folder / f"{case}.npz")
    assert source.kind == "hdf5"
    assert source.keras_version == case.split("_")[0][1:]
    assert source.backend == "theano"
    answers = keras.tree.flatten(source.model(one_or_list(arrays(data, "x"))))
    expected = arrays(data, "y")
    assert len(answers) == len(expected)
    for actual, desired in zip(answers, expected, strict=True):
        close(np.asarray(actual), desired, 1e-5)
    if "t0" in data and case.split("_", 2)[2] not in OTHER_FORMULA:
        _check_step(source.model, data)


def _check_step(model: keras.Model, data: dict) -> None:
    """Optimizer state, its order and layout: the next training step gives the same model."""
    model.train_on_batch(one_or_list(arrays(data, "x")), one_or_list(arrays(data, "t")))
    answers = keras.tree.flatten(model(one_or_list(arrays(data, "x"))))
    for actual, desired, before in zip(answers, arrays(data, "z"), arrays(data, "y"), strict=True):
        moved = np.abs(desired - before).max()
        assert moved > 0
        # NB: measured: 2e-5 of the step or less; 3e-3 or more with the state left at zero, 0.3 or
        # more with it in another order.
        assert np.abs(np.asarray(actual) - desired).max() < 1e-4 * moved + 1e-6


def test_every_writer_and_ordering_is_there() -> None:
    writers = {tuple(case.split("_")[:2]) for case in CASES}
    assert {("k1.0.8", "th"), ("k1.2.2", "th"), ("k1.2.2", "tf"), ("k2.0.9", "th")} <= writers
    assert {("k2.2.4", "th"), ("k2.2.4", "tf"), ("k2.3.1", "th")} <= writers


def test_notes_say_what_was_converted(folder: Path) -> None:
    notes = "\n".join(open_source(folder / "k1.2.2_th_conv.h5").notes)
    assert "kernels were flipped" in notes
    assert "ZeroPadding" in notes
    assert "theano" in notes


def test_flipped_kernels_are_true_convolution(folder: Path) -> None:
    """The file says nothing; read as TensorFlow's the answers are others."""
    path = folder / "k1.2.2_tf_convplain.h5"
    data = np.load(path.with_suffix(".npz"))
    wrong = open_source(path, backend="tensorflow").model(data["x0"])
    assert np.abs(np.asarray(wrong) - data["y0"]).max() > 1e-2


def test_nameless_weights_leave_the_backend_open(folder: Path, tmp_path: Path) -> None:
    import h5py

    path = tmp_path / "nameless.h5"
    path.write_bytes((folder / "k1.2.2_tf_convplain.h5").read_bytes())
    with h5py.File(path, "r+") as file:
        for group in file["model_weights"].values():
            names = [f"param_{i}" for i in range(len(group.attrs["weight_names"]))]
            for old, new in zip(group.attrs["weight_names"], names, strict=True):
                group.move(old, new)
            if names:
                group.attrs["weight_names"] = [name.encode() for name in names]
    with pytest.raises(ExportError, match="which backend wrote it"):
        open_source(path)
    data = np.load(folder / "k1.2.2_tf_convplain.npz")
    close(np.asarray(open_source(path, backend="theano").model(data["x0"])), data["y0"], 1e-5)


def test_keras_still_adds_channels_first_biases_to_the_wrong_axis() -> None:
    """When this fails, Keras is right: channels_first.py can go."""
    if keras.config.backend() != "tensorflow":
        pytest.skip("a fault of Keras on TensorFlow")
    x = np.zeros((1, 4, 5, 4), "float32")
    bias = np.arange(4, dtype="float32").reshape(1, 4, 1, 1)
    assert not np.array_equal(np.asarray(keras.ops.add(x, bias)), x + bias)
