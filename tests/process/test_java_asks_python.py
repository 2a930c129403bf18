"""A Java program that has Python export and check: `KBridgePython`, and examples/service."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.conftest import ROOT
from tests.process.conftest import children, gone


@pytest.fixture(scope="module")
def classpath(tmp_path_factory):
    """Compiles the example and the program of this test; gives the class path."""
    from kbridge.jvm import jars
    from kbridge.jvm.java import find_java

    out = tmp_path_factory.mktemp("classes")
    classpath = os.pathsep.join(map(str, jars.resolve_classpath()))
    sources = [ROOT / "examples/service/ModelService.java", Path(__file__).parent / "Asks.java"]
    javac = [find_java().home / "bin/javac", "-Xlint:all,-processing,-path", "-Werror"]
    subprocess.run([*javac, "-cp", classpath, "-d", out, *sources], check=True)
    return f"{out}{os.pathsep}{classpath}"


def start(classpath, *arguments, **environment):
    from kbridge.jvm.java import find_java

    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return subprocess.Popen(
        [find_java().home / "bin/java", "-Xmx512m", "-cp", classpath, *arguments],
        env={**os.environ, "PYTHONPATH": path, "KBRIDGE_PYTHON": sys.executable, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def small(name, units, seed):
    keras.utils.set_random_seed(seed)
    layers = [keras.Input((4,)), keras.layers.Dense(units, activation="tanh", name="first")]
    return keras.Sequential([*layers, keras.layers.Dense(3, name="last")], name=name)


def test_export_check_and_errors(classpath, tmp_path):
    small("one", 5, 1).save(tmp_path / "one.keras")
    small("two", 5, 2).save(tmp_path / "two.keras")
    (tmp_path / "bad.keras").write_bytes(b"no model")
    done = start(classpath, "Asks", str(tmp_path))
    stdout, stderr = done.communicate(timeout=300)
    assert done.returncode == 0, stdout + stderr
    told = dict(line.split(" = ", 1) for line in stdout.splitlines() if " = " in line)
    assert told["export"].startswith("one, ")
    assert told["check"] == "true true"
    assert told["check of another"] == "false first SELF_TEST_FAILED"
    assert told["missing"].startswith("BUNDLE_NOT_FOUND Expected")
    assert told["bad"].startswith("BUNDLE_FORMAT ")
    assert told["killed"].startswith("PYTHON_UNAVAILABLE Expected the Python process")
    assert "exit status 137" in told["killed"]
    assert told["after the kill"] == "one"
    assert told["slow"].startswith("PYTHON_UNAVAILABLE ")
    assert told["closed"].startswith("Expected an open KBridgePython")
    assert told["no python"].startswith("PYTHON_UNAVAILABLE Expected to start the Python")
    assert told["dies"].startswith("PYTHON_UNAVAILABLE ")
    assert "exit status 3" in told["dies"]


def test_python_listens_when_it_says_where():
    late = "run = py4j.java_gateway.CallbackServer.run; "
    late += "py4j.java_gateway.CallbackServer.run = lambda self: (time.sleep(1), run(self))"
    script = f"import time, py4j.java_gateway; {late}; import kbridge.for_java as f; f.main()"
    python = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    )
    with python:
        python.stdin.write(b"token\n")
        python.stdin.flush()
        port = int(python.stdout.readline().rpartition(b" ")[2])
        socket.create_connection(("127.0.0.1", port), 10).close()
        python.stdin.close()
        assert python.wait(10) == 0


def post(port, path, data):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=200) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode()


def test_a_service_that_swaps_models(classpath, tmp_path):
    service = start(classpath, "ModelService", str(tmp_path), "cpu")
    try:
        port = int(service.stdout.readline().rpartition(" ")[2])
        x = np.random.default_rng(3).normal(size=(1, 4)).astype("float32")
        sample = " ".join(map(str, x[0])).encode()
        status, text = post(port, "/predict", sample)
        assert (status, text.partition(":")[0]) == (422, "INVALID_INPUT")
        for name, units in (("one", 5), ("two", 9)):
            model = small(name, units, units)
            model.save(tmp_path / "sent.keras")
            status, text = post(port, "/model", (tmp_path / "sent.keras").read_bytes())
            assert (status, text.partition(",")[0]) == (200, f"now {name}")
            expected = keras.ops.convert_to_numpy(model(x))
            status, text = post(port, "/predict", sample)
            np.testing.assert_allclose([[*map(float, text.split())]], expected, 1e-5, 1e-6)
            status, told = post(port, "/model", b"no model")
            assert (status, told.partition(":")[0]) == (422, "BUNDLE_FORMAT")
            assert post(port, "/predict", sample) == (200, text), "the one before stays"
        (python,) = children(service.pid)
        os.kill(service.pid, signal.SIGKILL)
        assert gone(python), "Python ends with the service, however that ends"
    finally:
        service.kill()
        service.communicate()
