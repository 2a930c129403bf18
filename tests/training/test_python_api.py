"""`JvmModel.fit` and its kin against Keras's own, from one state, step by step."""

from __future__ import annotations

import csv
import importlib.util
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import kbridge
from tests.weights import randomise

L = keras.layers
RTOL = 1e-4
_RNG = np.random.default_rng(41)
X = _RNG.normal(size=(40, 6, 6, 2)).astype("float32")
Y = _RNG.integers(0, 4, 40)


def cnn(optimizer: Any = None, **compiled: Any) -> keras.Model:
    """A small network with statistics, dropout, a regularizer and a constraint."""
    keras.utils.set_random_seed(9)
    model = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            L.Conv2D(5, 3, activation="relu", kernel_regularizer="l2"),
            L.BatchNormalization(momentum=0.8),
            L.Flatten(),
            L.Dropout(0.3, seed=2),
            L.Dense(8, activation="tanh", kernel_constraint=keras.constraints.MaxNorm(1.0)),
            L.Dense(4, activation="softmax", name="classes"),
        ]
    )
    randomise(model)
    optimizer = optimizer or keras.optimizers.Adam(0.01)
    loss = "sparse_categorical_crossentropy"
    model.compile(optimizer, loss, **({"metrics": ["accuracy"]} | compiled))
    return model


@pytest.fixture
def loaded(jvm: Any, tmp_path: Path) -> Any:
    """Gives a function that exports a model and loads it."""
    opened = []

    def load(model: keras.Model, **options: Any) -> kbridge.JvmModel:
        path = tmp_path / f"model{len(opened)}.h5"
        kbridge.export(model, path, **options)
        opened.append(kbridge.load(path))
        return opened[-1]

    yield load
    for model in opened:
        model.close()


def assert_same_weights(actual: list[np.ndarray], expected: list[np.ndarray]) -> None:
    """Compares each weight, relative to its largest number."""
    assert len(actual) == len(expected)
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=RTOL * np.abs(other).max())


def test_fit_gives_the_history_and_the_weights_of_keras(loaded: Any) -> None:
    model = cnn(weighted_metrics=["sparse_categorical_accuracy"])
    jvm = loaded(model)
    options = {
        "epochs": 3,
        "batch_size": 16,
        "shuffle": False,
        "validation_split": 0.25,
        "class_weight": {0: 1.0, 1: 0.3, 2: 2.0},
        "verbose": 0,
    }
    expected = model.fit(X, Y, **options)
    history = jvm.fit(X, Y, **options)
    assert set(history.history) == set(expected.history)
    assert history.epoch == expected.epoch
    for name, values in expected.history.items():
        np.testing.assert_allclose(history.history[name], values, rtol=1e-3, err_msg=name)
    assert_same_weights(jvm.get_weights(), model.get_weights())
    np.testing.assert_allclose(jvm.predict(X), model.predict(X, verbose=0), rtol=1e-3, atol=1e-5)
    assert jvm.optimizer.iterations == int(model.optimizer.iterations)


def test_steps_and_evaluation_answer_as_keras_does(loaded: Any) -> None:
    model = cnn()
    jvm = loaded(model)
    weights = np.linspace(0.5, 2, len(Y)).astype("float32")
    for rows in (slice(0, 16), slice(16, 27)):
        expected = model.train_on_batch(X[rows], Y[rows], weights[rows])
        actual = jvm.train_on_batch(X[rows], Y[rows], weights[rows])
        np.testing.assert_allclose(actual, expected, rtol=1e-4)
    expected = model.test_on_batch(X, Y, return_dict=True)
    assert jvm.test_on_batch(X, Y[:, None], return_dict=True) == pytest.approx(expected, rel=1e-4)
    expected = model.evaluate(X, Y, batch_size=16, verbose=0)
    np.testing.assert_allclose(jvm.evaluate(X, Y, batch_size=16, verbose=0), expected, rtol=1e-4)


def test_training_goes_from_keras_to_the_jvm_and_back(loaded: Any, tmp_path: Path) -> None:
    rate = keras.optimizers.schedules.ExponentialDecay(0.01, 10, 0.8)
    make = lambda: cnn(keras.optimizers.AdamW(rate, weight_decay=0.01, clipnorm=1.0))  # noqa: E731
    alone, model = make(), make()

    def steps(trained: Any, first: int, count: int = 8) -> None:
        for i in range(first, first + count):
            rows = np.arange(8 * i, 8 * i + 8) % len(Y)
            trained.train_on_batch(X[rows], Y[rows])

    steps(alone, 0, 24)
    steps(model, 0)
    jvm = loaded(model)
    steps(jvm, 8)
    jvm.save(tmp_path / "trained.h5")
    kbridge.import_weights(model, tmp_path / "trained.h5")
    steps(model, 16)
    assert int(model.optimizer.iterations) == 24
    assert_same_weights(model.get_weights(), alone.get_weights())


def test_callbacks_of_keras_work(loaded: Any, tmp_path: Path) -> None:
    model = cnn(keras.optimizers.SGD(0.05))
    jvm = loaded(model)
    best = tmp_path / "best.h5"
    callbacks = keras.callbacks
    chosen = [
        callbacks.EarlyStopping("val_loss", patience=2, restore_best_weights=True, min_delta=1.0),
        callbacks.ModelCheckpoint(str(best), monitor="val_loss", save_best_only=True),
        callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.5),
        callbacks.CSVLogger(str(tmp_path / "log.csv")),
    ]
    batches = []
    chosen.append(callbacks.LambdaCallback(on_train_batch_end=lambda i, logs: batches.append(logs)))
    before = jvm.get_weights()
    history = jvm.fit(
        X, Y, epochs=9, batch_size=16, verbose=0, callbacks=chosen, seed=1, validation_data=(X, Y)
    )
    assert history.epoch == [0, 1, 2]
    assert history.history["learning_rate"] == pytest.approx([0.025, 0.0125, 0.00625])
    assert len(batches) == 9
    assert batches[-1]["loss"] == pytest.approx(history.history["loss"][-1])
    with open(tmp_path / "log.csv", newline="") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["0", "1", "2"]
    with kbridge.load(best) as saved:
        expected = min(history.history["val_loss"])
        assert saved.evaluate(X, Y, verbose=0)[0] == pytest.approx(expected, rel=1e-4)
    assert any(np.any(a != b) for a, b in zip(before, jvm.get_weights(), strict=True))


def test_shuffling_comes_from_the_seed(loaded: Any) -> None:
    model = cnn()
    found = []
    for seed in (1, 1, 2):
        jvm = loaded(model)
        jvm.fit(X, Y, epochs=2, batch_size=16, verbose=0, seed=seed)
        found.append(np.concatenate([w.reshape(-1) for w in jvm.get_weights()]))
    np.testing.assert_array_equal(found[0], found[1])
    assert np.any(found[0] != found[2])


def test_batches_from_a_generator_and_several_outputs(loaded: Any) -> None:
    x = keras.Input((3,), name="x")
    outputs = {"a": L.Dense(2, name="a")(x), "b": L.Dense(1, name="b")(x)}
    model = randomise(keras.Model(x, outputs))
    model.compile("sgd", {"a": "mse", "b": "mae"}, loss_weights={"a": 1.0, "b": 0.5})
    jvm = loaded(model)
    data = _RNG.normal(size=(12, 3)).astype("float32")
    labels = {"a": data[:, :2] * 2, "b": data[:, :1]}

    def batches() -> Any:
        while True:
            for start in (0, 6):
                yield (
                    data[start : start + 6],
                    {name: label[start : start + 6] for name, label in labels.items()},
                )

    jvm.fit(batches(), epochs=2, steps_per_epoch=2, verbose=0)
    model.fit(data, labels, batch_size=6, epochs=2, shuffle=False, verbose=0)
    assert_same_weights(jvm.get_weights(), model.get_weights())


def test_set_weights_and_save_without_training(loaded: Any, tmp_path: Path) -> None:
    model = cnn()
    jvm = loaded(model)
    assert_same_weights(jvm.get_weights(), model.get_weights())
    jvm.save(tmp_path / "copy.h5")
    with kbridge.load(tmp_path / "copy.h5") as copy:
        assert copy.self_test()["ok"]
    with pytest.raises(kbridge.ExportError, match="overwrite=False"):
        jvm.save(tmp_path / "copy.h5", overwrite=False)
    changed = [w * 0.5 for w in model.get_weights()]
    jvm.set_weights(changed)
    model.set_weights(changed)
    np.testing.assert_allclose(jvm.predict(X), model.predict(X, verbose=0), rtol=1e-4, atol=1e-6)
    with pytest.raises(kbridge.InvalidInputError, match="get_weights"):
        jvm.set_weights(changed[:-1])


def test_bad_data_is_told_and_changes_nothing(loaded: Any) -> None:
    jvm = loaded(cnn())
    before = jvm.get_weights()
    wrong = [
        ((X, Y + 1), "class numbers from 0 to 3. Received: 4"),
        ((X, Y[:-1]), "as many labels and sample weights"),
        ((X, np.zeros((len(Y), 7))), "labels of 'classes' with the shape"),
        ((X, None), "Received: y=None"),
        ((X, {"other": Y}), "keys"),
        ((X[:, :3], Y), "shape"),
    ]
    for given, message in wrong:
        with pytest.raises(kbridge.InvalidInputError, match=message):
            jvm.train_on_batch(*given)
    broken = X.copy()
    broken[3, 2, 2, 1] = np.nan
    with pytest.raises(kbridge.NotANumberError, match=r"Received: NaN; input .* has NaN"):
        jvm.train_on_batch(broken, Y)
    for one, other in zip(before, jvm.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_models_that_cannot_be_trained_say_why(loaded: Any) -> None:
    x = keras.Input((3,))
    never = keras.Model(x, L.Dense(2)(x))
    with pytest.raises(kbridge.NotTrainableError, match="compile"):
        loaded(never).train_on_batch(np.zeros((1, 3)), np.zeros((1, 2)))

    def own(y_true: Any, y_pred: Any) -> Any:
        return np.mean(np.asarray(y_pred))

    never.compile("sgd", own)
    with pytest.raises(kbridge.NotTrainableError, match=r"own.*keras\.ops"):
        loaded(never).train_on_batch(np.zeros((1, 3)), np.zeros((1, 2)))


def test_check_compares_training_steps(jvm: Any) -> None:
    model = cnn(keras.optimizers.SGD(0.05, momentum=0.9))
    before = model.get_weights()
    report = kbridge.check(model, X[:24], Y[:24], steps=3, batch_size=8)
    report.raise_if_failed()
    labels = [layer.label for layer in report.layers if layer.class_name == "training step"]
    assert labels[:4] == [
        f"step 1: {kind}" for kind in ("gradients", "loss and metrics", "weights", "optimizer")
    ]
    assert len(labels) == 12
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "arguments",
    [pytest.param([], id="python"), pytest.param(["--java"], id="java", marks=pytest.mark.slow)],
)
def test_the_example_trains_as_keras_alone(
    jvm: Any, monkeypatch: Any, capsys: Any, arguments: list[str]
) -> None:
    path = Path(__file__).resolve().parents[2] / "examples" / "resume_training.py"
    spec = importlib.util.spec_from_file_location("resume_training", path)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    monkeypatch.setattr(example, "STEPS", 8)
    example.main(arguments)
    assert "largest relative difference of a weight" in capsys.readouterr().out


def test_new_weights_are_trained_from(loaded: Any) -> None:
    # NB: one model, since the values come from the names of the weights, too.
    model = cnn()
    jvm, other = loaded(model), loaded(model)
    jvm.train_on_batch(X, Y)
    jvm.reinitialize(4)
    fresh = jvm.get_weights()
    other.reinitialize(4)
    for one, same in zip(fresh, other._trainer.values(list_of_weights(other)), strict=True):
        np.testing.assert_array_equal(one, same)
    losses = [jvm.train_on_batch(X, Y)[0] for _ in range(5)]
    assert losses[-1] < losses[0]
    np.testing.assert_allclose(jvm.predict(X).sum(-1), 1.0, rtol=1e-5)


def list_of_weights(model: kbridge.JvmModel) -> list[str]:
    """Names of what Keras counts as weights."""
    from kbridge.jvm.training import keras_weights

    return keras_weights(model._spec)
