"""JvmModel over identity models: structures, batches, streams, errors, closing."""

import json
import re

import numpy as np
import pytest

import kbridge
from kbridge.bundle import SCHEMA_VERSION
from kbridge.jvm import host
from tests.together import errors_of_a_close, wrong_answers

X = np.arange(70, dtype=np.float32).reshape(10, 7)
ONE = [("x", (None, 7), "float32")]
TWO = [("a", (None, 7), "float32"), ("b", (None,), "int64")]


def test_one_array(identity):
    model = identity(ONE)
    for call in (model.predict, model.predict_on_batch, model):
        y = call(X)
        np.testing.assert_array_equal(y, X)
        assert y.dtype == np.float32


@pytest.mark.parametrize("batch_size", [1, 3, 5, 9, 10, 11, None])
def test_batches_are_joined(identity, batch_size):
    model = identity(TWO, {"one": 0, "two": [1]})
    b = np.arange(10)
    y = model.predict({"one": X, "two": [b]}, batch_size=batch_size, verbose=0)
    assert list(y) == ["one", "two"]
    np.testing.assert_array_equal(y["one"], X)
    np.testing.assert_array_equal(y["two"][0], b)


def test_batch_size_is_kept(identity, monkeypatch):
    model = identity(ONE)
    rows = []
    run = model._session.run
    seen = lambda x, *into: (rows.append(len(x[0])), run(x, *into))[1]  # noqa: E731
    monkeypatch.setattr(model._session, "run", seen)
    model.predict(X, batch_size=4)
    assert rows == [4, 4, 2]
    rows.clear()
    model.predict(np.zeros((65, 7)))
    assert rows == [32, 32, 1]


def test_steps(identity):
    np.testing.assert_array_equal(identity(ONE).predict(X, batch_size=3, steps=2), X[:6])


def test_a_fixed_batch_size_wins(identity):
    model = identity([("x", (5, 7), "float32")])
    np.testing.assert_array_equal(model.predict(X), X)


@pytest.mark.parametrize(
    ("structure", "x"),
    [
        ([0, 1], [X, np.arange(10)]),
        ([0, 1], (X, np.arange(10))),
        ([1, [0]], [np.arange(10), [X]]),
        ({"p": 1, "q": 0}, {"q": X, "p": np.arange(10)}),
    ],
)
def test_structures(identity, structure, x):
    y = identity(TWO, structure).predict(x)
    if isinstance(structure, dict):
        assert {k: v.shape for k, v in y.items()} == {k: v.shape for k, v in x.items()}
    elif isinstance(structure[1], list):
        np.testing.assert_array_equal(y[0], x[0])
        np.testing.assert_array_equal(y[1][0], x[1][0])
    else:
        assert isinstance(y, list)
        for got, want in zip(y, x, strict=True):
            np.testing.assert_array_equal(got, want)


def test_by_input_name(identity):
    y = identity(TWO, [0, 1]).predict({"b": np.arange(10), "a": X})
    np.testing.assert_array_equal(y[0], X)
    np.testing.assert_array_equal(y[1], np.arange(10))


def test_generator_gives_batches(identity):
    model = identity(ONE)
    np.testing.assert_array_equal(model.predict(x for x in np.split(X, 5)), X)
    labelled = ((x, None) for x in np.split(X, 5))
    np.testing.assert_array_equal(model.predict(labelled), X)


def test_steps_of_an_endless_generator(identity):
    taken = []

    def endless():
        while True:
            taken.append(X)
            yield X

    y = identity(ONE).predict(endless(), steps=3, verbose=0)
    assert y.shape == (30, 7)
    assert len(taken) == 3


def test_py_dataset(identity):
    keras = pytest.importorskip("keras")

    class Data(keras.utils.PyDataset):
        def __len__(self):
            return 5

        def __getitem__(self, i):
            return X[2 * i : 2 * i + 2], None

    np.testing.assert_array_equal(identity(ONE).predict(Data()), X)


def test_no_rows(identity):
    y = identity(TWO, [0, 1]).predict([X[:0], np.zeros(0)])
    assert [(a.shape, a.dtype.name) for a in y] == [((0, 7), "float32"), ((0,), "int64")]


def test_no_rows_where_the_output_depends_on_them(identity):
    with pytest.raises(kbridge.InvalidInputError, match="at least one sample"):
        identity([("x", (None, None), "float32")]).predict(X[:0])


def test_no_batches(identity):
    with pytest.raises(kbridge.InvalidInputError, match="at least one batch"):
        identity(ONE).predict(iter([]))


def test_bad_inputs_leave_the_model_usable(identity):
    model = identity(ONE)
    with pytest.raises(kbridge.InvalidInputError, match=r"Received: shape \(10, 6\)"):
        model.predict(X[:, :6])
    np.testing.assert_array_equal(model.predict(X), X)


def test_values(identity):
    model = identity(TWO, [0, 1])
    x = [X, np.arange(10)]
    found = model.values(x, ["b", "a"])
    assert list(found) == ["b", "a"]
    np.testing.assert_array_equal(found["a"], X)
    np.testing.assert_array_equal(found["b"], np.arange(10))
    assert found["b"].dtype == np.int64
    assert list(model.values(x)) == ["a", "b"]


def test_values_of_an_unknown_name(identity):
    with pytest.raises(kbridge.InvalidInputError, match="nowhere"):
        identity(ONE).values(X, ["nowhere"])


def test_description(identity):
    model = identity(TWO, [0, 1])
    assert model.name == "identity"
    assert [str(i) for i in model.inputs] == ["'a': float32 (any, 7)", "'b': int64 (any)"]
    assert [o.name for o in model.outputs] == ["a", "b"]
    assert re.match(r"<JvmModel 'identity' of '.*': 'a': float32 \(any, 7\), .*>", repr(model))


def test_close(identity):
    model = identity(ONE)
    kept = model.predict(X)
    with model as same:
        assert same is model
    assert model.closed
    assert repr(model).endswith("closed>")
    model.close()
    calls = (
        lambda: model.predict(X),
        lambda: model.predict_on_batch(X),
        lambda: model.values(X),
        model.self_test,
        model.__enter__,
    )
    for call in calls:
        with pytest.raises(kbridge.JvmStateError, match="after close"):
            call()
    np.testing.assert_array_equal(kept, X)


def test_many_shapes(identity):
    model = identity([("x", (None, None), "float32")])
    for columns in range(1, 150):
        x = np.full((2, columns), columns, np.float32)
        np.testing.assert_array_equal(model.predict(x), x)
    assert len(model._session._now.calls) <= 64


def test_threads(identity):
    assert wrong_answers(identity(ONE), 200) == []


def test_closing_while_others_predict(identity):
    seen = errors_of_a_close(identity(ONE))
    assert [type(error) for error in seen] == [kbridge.JvmStateError] * 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "tpu"}, "Expected device to be one of 'auto', 'cpu', 'gpu', or a GPU by its"),
        ({"device": "gpu:x"}, "Received: 'gpu:x'"),
        ({"engine": "x"}, "Expected engine to be one of 'auto', 'nd4j', 'onednn'. Received: 'x'"),
        ({"host": "x"}, "Expected host to be one of 'inprocess', 'process'. Received: 'x'"),
        ({"threads": 0}, "Expected threads to be a positive integer. Received: 0"),
        ({"threads": 1.5}, "Received: 1.5"),
    ],
)
def test_unknown_options(options, message):
    with pytest.raises(kbridge.OptionError, match=re.escape(message)):
        kbridge.load("nowhere.h5", **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "Expected batch_size to be a positive integer. Received: 0"),
        ({"batch_size": True}, "Received: True"),
        ({"steps": -1}, "Expected steps to be a positive integer. Received: -1"),
        ({"verbose": "loud"}, "Expected verbose to be 'auto', 0, 1 or 2. Received: 'loud'"),
    ],
)
def test_wrong_arguments_of_predict(identity, options, message):
    with pytest.raises(kbridge.OptionError, match=re.escape(message)):
        identity(ONE).predict(X, **options)


def test_a_missing_file(jvm, tmp_path):
    with pytest.raises(kbridge.BundleNotFoundError, match="does not exist"):
        kbridge.load(tmp_path / "none.h5")


def test_options_are_taken(jvm, identity_bundle):
    with kbridge.load(identity_bundle(ONE), threads=1, engine="nd4j", device="cpu") as model:
        np.testing.assert_array_equal(model.predict(X), X)


def test_progress_is_shown_when_asked_for(identity, capsys):
    model = identity(ONE)
    model.predict(X, batch_size=2, verbose=0)
    model.predict(X, batch_size=2)
    assert capsys.readouterr().err == ""
    model.predict(X, batch_size=2, verbose=1)
    assert "5/5" in capsys.readouterr().err


def test_java_errors_keep_their_code_and_cause(identity):
    import jpype

    model = identity(ONE)
    with pytest.raises(kbridge.InvalidInputError) as caught:
        model.values(X, ["nowhere"])
    assert isinstance(caught.value.__cause__, jpype.JException)
    assert str(caught.value.__cause__.code().name()) == "INVALID_INPUT"


@pytest.mark.parametrize(
    ("java", "python"),
    [
        ("java.lang.OutOfMemoryError", kbridge.JvmOutOfMemoryError),
        ("java.lang.IllegalArgumentException", kbridge.InternalError),
        ("java.lang.IllegalStateException", kbridge.InternalError),
    ],
)
def test_other_java_errors(jvm, java, python):
    error = host.java_error(host.java_class(java)("what happened"))
    assert type(error) is python
    assert "what happened" in str(error)


def test_every_java_code_has_a_class(jvm):
    for code in host.java_class("io.kbridge.ErrorCode").values():
        made = host.java_class("io.kbridge.KBridgeException")(code, "text")
        error = host.java_error(made)
        assert type(error).code == str(code.name())
        assert str(error) == "text"


def test_a_changed_spec_is_refused(identity_bundle):
    path = identity_bundle(ONE)
    data = path.read_bytes()
    text = json.dumps({"schema_version": SCHEMA_VERSION}, separators=(",", ":"))[1:-1].encode()
    assert data.count(text) == 1
    path.write_bytes(data.replace(text, text.replace(SCHEMA_VERSION.encode(), b"1.9")))
    with pytest.raises(kbridge.DigestMismatchError, match="SHA-256"):
        kbridge.load(path)
