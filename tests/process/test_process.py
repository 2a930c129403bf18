"""A JVM in a process of its own: same interface and answers as the one in this process."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest

import kbridge
from kbridge.jvm import arrays
from tests.jvm.test_arrays import LAYOUTS, same_bits, sample
from tests.process.conftest import children, gone
from tests.together import errors_of_a_close, wrong_answers

X = np.arange(70, dtype=np.float32).reshape(10, 7)
ONE = [("x", (None, 7), "float32")]
TWO = [("a", (None, 7), "float32"), ("b", (None,), "int64")]


@pytest.fixture(scope="module")
def process():
    with kbridge.JvmProcess() as jvm:
        jvm.start()
        yield jvm


@pytest.fixture
def load(process, identity_bundle):
    """Loads an identity model into the module's process."""
    loaded = []

    def load(inputs, structure="*"):
        loaded.append(kbridge.load(identity_bundle(inputs, structure), host=process))
        return loaded[-1]

    yield load
    for model in loaded:
        model.close()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_type_and_layout(load, layout):
    names = list(arrays.NAMES)
    model = load([(n, (None, 6), n) for n in names], list(range(len(names))))
    given = [LAYOUTS[layout](sample(name)) for name in names]
    for _ in range(2):  # NB: outputs cross in another way once their sizes are known
        for got, x in zip(model.predict_on_batch(given), given, strict=True):
            same_bits(got, np.ascontiguousarray(x).astype(x.dtype.newbyteorder("=")))


def test_batches_structures_and_values(load):
    model = load(TWO, {"one": 0, "two": [1]})
    b = np.arange(10)
    y = model.predict({"one": X, "two": [b]}, batch_size=3, verbose=0)
    np.testing.assert_array_equal(y["one"], X)
    np.testing.assert_array_equal(y["two"][0], b)
    found = model.values({"one": X, "two": [b]}, ["b", "a"])
    assert list(found) == ["b", "a"]
    np.testing.assert_array_equal(found["b"], b)
    assert model.plan_steps({"one": X, "two": [b]}) == []


def test_numbers_are_converted_on_the_way(load):
    y = load(ONE).predict_on_batch(X.astype("float64"))
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y, X)


def test_arrays_without_elements(load):
    model = load([("x", (None, None), "float32")])
    for _ in range(2):
        assert model.predict_on_batch(np.zeros((3, 0))).shape == (3, 0)


def test_growing_batches(load):
    model = load([("x", (None, 1000), "float32")])
    for rows in (1, 3000, 2, 9000, 100):
        x = np.random.default_rng(rows).random((rows, 1000), "float32")
        np.testing.assert_array_equal(model.predict_on_batch(x), x)
        np.testing.assert_array_equal(model.predict_on_batch(x), x)
    assert len(model._session._now.jvm._idle) == 1


def test_threads(load):
    assert wrong_answers(load(ONE), 100) == []


def test_errors_of_java_are_what_they_are(load):
    model = load(ONE)
    with pytest.raises(kbridge.InvalidInputError, match="nowhere") as caught:
        model.values(X, ["nowhere"])
    assert "io.kbridge.KBridgeException" in str(caught.value.__cause__)
    with pytest.raises(kbridge.BundleFormatError, match="golden samples"):
        model.self_test()
    with pytest.raises(kbridge.InternalError, match="install both again"):
        model._session._now.jvm.ask(model._session._now.door, "noSuchMethod")
    np.testing.assert_array_equal(model.predict(X), X)


def test_close(load, process):
    model = load(ONE)
    model.predict(X)
    model.close()
    model.close()
    for call in (lambda: model.predict(X), model.self_test, lambda: model.values(X)):
        with pytest.raises(kbridge.JvmStateError, match="after close"):
            call()
    assert process.pid is not None, "the process is its other models', too"


def test_the_process_of_one_model_ends_with_it(identity_bundle):
    path = identity_bundle(ONE)
    with kbridge.load(path, host="process") as model:
        pid = model._session._host.pid
        np.testing.assert_array_equal(model.predict(X), X)
    assert gone(pid)
    forgotten = kbridge.load(path, host="process")
    pid = forgotten._session._host.pid
    del forgotten
    assert gone(pid)


def test_a_model_that_cannot_be_loaded_leaves_no_process(identity_bundle):
    before = children()
    with pytest.raises(kbridge.InvalidInputError, match="heads"):
        kbridge.jvm.model.JvmModel(identity_bundle(ONE), "cpu", {"engine": "heads"}, _own())
    assert children() == before


def _own():
    from kbridge.jvm.process import OwnProcess

    return OwnProcess()


def test_close_while_others_predict(identity_bundle):
    seen = errors_of_a_close(kbridge.load(identity_bundle(ONE), host="process"))
    assert len(seen) == 2
    assert all("after close" in str(error) for error in seen)


def test_processes_side_by_side(identity_bundle, jvm):
    path = identity_bundle(ONE)
    with (
        kbridge.load(path) as here,
        kbridge.load(path, host="process") as a,
        kbridge.load(path, host="process") as b,
    ):
        pids = {model._session._host.pid for model in (a, b)}
        assert len(pids) == 2
        for model in (here, a, b):
            np.testing.assert_array_equal(model.predict(X), X)
        os.kill(a._session._host.pid, signal.SIGKILL)
        np.testing.assert_array_equal(b.predict(X), X)
        np.testing.assert_array_equal(here.predict(X), X)


def test_options_reach_the_jvm(identity_bundle):
    path = identity_bundle(ONE)
    options = {"heap": "96m", "offheap": "3g", "jvm_args": ["-Dkbridge.test=yes"]}
    with kbridge.JvmProcess(**options) as jvm, kbridge.load(path, host=jvm) as model:
        command = Path(f"/proc/{jvm.pid}/cmdline").read_bytes().decode().split("\0")
        assert {"-Xmx96m", "-Dkbridge.test=yes"} <= set(command)
        assert "-Dorg.bytedeco.javacpp.maxbytes=3g" in command
        token = model._session._now.jvm.child.token
        assert not any(token in word for word in command)
        assert token not in Path(f"/proc/{jvm.pid}/environ").read_bytes().decode()
        assert repr(jvm) == f"<JvmProcess: process {jvm.pid}>"
    assert repr(jvm) == "<JvmProcess: closed>"
    with pytest.raises(kbridge.JvmStateError, match=r"open kbridge\.JvmProcess"):
        kbridge.load(path, host=jvm)


def test_it_listens_on_the_loopback_interface_only(process, load):
    port = load(ONE)._session._now.jvm.child.port
    sockets = [
        line.split()[1]
        for name in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{name}").read_text("ascii").splitlines()[1:]
        if line.split()[3] == "0A" and line.split()[1].endswith(f":{port:04X}")
    ]
    loopback = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}
    assert {text.rpartition(":")[0] for text in sockets} <= loopback
    assert len(sockets) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"timeout": 0}, "Expected timeout to be positive seconds. Received: 0"),
        ({"start_timeout": "soon"}, "Received: 'soon'"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(kbridge.OptionError, match=message):
        kbridge.JvmProcess(**options)
