"""What does not fit, numbers that are none, saves that are cut off: told, and nothing is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

import kbridge
from kbridge import errors
from tests.training.test_trainer import Trainer

DRAW = np.random.default_rng(21)
X = DRAW.normal(size=(6, 4)).astype("float32")
Y = DRAW.integers(0, 3, 6).astype("int32")


@keras.saving.register_keras_serializable("tests")
class Logarithm(layers.Layer):
    """Gives numbers for positive ones only."""

    def call(self, x: Any) -> Any:
        return ops.log(x)


def classifier(path: Path, **loss: Any) -> Path:
    keras.utils.set_random_seed(2)
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="scores")])
    options = {"from_logits": True, **loss}
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(**options))
    kbridge.export(model, path)
    return path


def weights(trainer: Trainer) -> dict[str, np.ndarray]:
    return {n: v for n, v in trainer.variables().items() if not n.startswith("metrics/")}


def unchanged(trainer: Trainer, before: dict[str, np.ndarray]) -> None:
    for name, value in weights(trainer).items():
        np.testing.assert_array_equal(value, before[name], err_msg=name)


def test_java_refuses_labels_that_do_not_fit(jvm: Any, tmp_path: Path) -> None:
    trainer = Trainer(classifier(tmp_path / "m.h5"), "onednn")
    before = weights(trainer)
    wrong = [
        (np.where(Y[2] == Y, 3, Y), r"class number 3 among the labels of 'scores'"),
        (np.where(Y[2] == Y, -1, Y), r"class number -1 among the labels"),
        (Y[:5], r"as many labels and sample weights as there are samples"),
        (np.stack([Y, Y], -1), r"labels of 'scores' as int32\[6, 2\]"),
        (None, r"no labels of 'scores'"),
    ]
    for labels, message in wrong:
        with pytest.raises(errors.InvalidInputError, match=message) as told:
            trainer.train(X, labels)
        assert "Expected" in str(told.value)
    unchanged(trainer, before)
    trainer.train(X, Y[:, None])  # NB: as in Keras.
    trainer.close()


def test_java_passes_over_the_class_that_is_ignored(jvm: Any, tmp_path: Path) -> None:
    trainer = Trainer(classifier(tmp_path / "m.h5", ignore_class=-1), "onednn")
    trainer.train(X, np.where(Y == 1, -1, Y))
    with pytest.raises(errors.InvalidInputError, match=r"class number -2 .*0 to 2|0 to 2.*-2"):
        trainer.train(X, np.where(Y == 1, -2, Y))
    trainer.close()


def test_a_weight_that_is_no_number_is_named(jvm: Any, tmp_path: Path) -> None:
    with kbridge.load(classifier(tmp_path / "m.h5")) as loaded:
        loaded.train_on_batch(X, Y)
        kernel, bias = loaded.get_weights()
        kernel[1, 2] = np.inf
        loaded.set_weights([kernel, bias])
        with pytest.raises(errors.NotANumberError, match=r"step 1 .*weight 'scores/kernel' has"):
            loaded.train_on_batch(X, Y)
        for one, other in zip(loaded.get_weights(), (kernel, bias), strict=True):
            np.testing.assert_array_equal(one, other)


def test_the_step_and_the_layer_of_a_nan_loss(jvm: Any, tmp_path: Path) -> None:
    """The weights are those of the last good step, also before the layer that failed."""
    x = keras.Input((4,))
    y = Logarithm(name="logarithm")(layers.Dense(3, name="fine")(x))
    model = keras.Model(x, layers.Dense(2, name="after")(y))
    model.layers[1].set_weights([np.full((4, 3), 0.1, "float32"), np.ones(3, "float32")])
    model.compile(keras.optimizers.Adam(1e-3), "mse")
    kbridge.export(model, tmp_path / "m.h5")
    inputs, labels = np.abs(X), DRAW.normal(size=(6, 2)).astype("float32")
    trainer = Trainer(tmp_path / "m.h5", "onednn")
    for _ in range(2):
        trainer.train(inputs, labels)
    before = weights(trainer)
    with pytest.raises(errors.NotANumberError) as told:
        trainer.train(inputs - 100, labels)
    assert "at step 2 of this trainer (optimizer iteration 2)" in str(told.value)
    assert "layer 'logarithm' is the first to give NaN or infinity (op Log)" in str(told.value)
    unchanged(trainer, before)
    trainer.train(inputs, labels)
    trainer.close()


CUT_OFF = """
import os, pathlib, resource, signal, threading
import numpy as np, kbridge

source, target = pathlib.Path({source!r}), pathlib.Path({target!r})
x, y = np.ones((2, 300), "float32"), np.ones((2, 400), "float32")
model = kbridge.load(source)
model.train_on_batch(x, y)
model.save(target)
whole = target.read_bytes()
before = model.get_weights()
resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) // 2, resource.RLIM_INFINITY))
try:
    model.save(target)
except kbridge.KBridgeError as e:
    print("told:", e)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert target.read_bytes() == whole
assert [p.name for p in target.parent.iterdir() if p.name.startswith(".")] == []
assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights()))
model.train_on_batch(x, y)
model.save(target)
assert target.read_bytes() != whole
print("goes on", flush=True)
threading.Timer(0.15, os.kill, (os.getpid(), signal.SIGKILL)).start()
while True:
    model.train_on_batch(x, y)
    model.save(target)
"""


def test_a_save_that_is_cut_off_leaves_a_whole_file(
    jvm: Any, tmp_path: Path, run_python: Any
) -> None:
    """A disk that is full, then a process that is killed while it saves again and again."""
    model = keras.Sequential([keras.Input((300,)), layers.Dense(400, name="wide")])
    model.compile("adam", "mse")
    source, target = tmp_path / "source.h5", tmp_path / "saved" / "target.h5"
    target.parent.mkdir()
    kbridge.export(model, source)
    ended = run_python(CUT_OFF.format(source=str(source), target=str(target)), check=False)
    assert ended.returncode < 0, ended.stderr
    assert "Nothing was changed there" in ended.stdout
    assert "goes on" in ended.stdout, ended.stdout + ended.stderr
    with kbridge.load(target) as loaded:
        loaded.train_on_batch(np.ones((2, 300), "float32"), np.ones((2, 400), "float32"))
        assert loaded.optimizer.iterations >= 3
    kbridge.import_weights(model, target)
    assert int(model.optimizer.iterations) >= 2


def test_one_number_for_a_batch_that_weights_would_multiply(jvm: Any, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2, activation="sigmoid")])
    model.compile("sgd", keras.losses.Dice(reduction="sum"))
    kbridge.export(model, tmp_path / "m.h5")
    with (
        kbridge.load(tmp_path / "m.h5") as loaded,
        pytest.raises(kbridge.NotTrainableError, match="reduction='sum_over_batch_size'"),
    ):
        loaded.train_on_batch(np.ones((2, 3)), np.ones((2, 2)))
