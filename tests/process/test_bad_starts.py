"""JVM processes that cannot be started, and memory that cannot be shared."""

from __future__ import annotations

import numpy as np
import pytest

import kbridge

ONE = [("x", (None, 7), "float32")]


@pytest.fixture
def path(identity_bundle):
    return identity_bundle(ONE)


def test_no_java(path, monkeypatch, tmp_path):
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(kbridge.JavaNotFoundError, match="apt-get install"):
        kbridge.load(path, host="process")


def test_a_program_that_cannot_be_run(path, fake_java, tmp_path):
    fake_java("exit 0")
    (tmp_path / "java/bin/java").chmod(0o644)
    with pytest.raises(kbridge.JvmProcessError, match=r"start the program .*Permission denied"):
        kbridge.load(path, host="process")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["-Xms900g", "-Xmx900g"], "ended with exit status 1"),
        (["-Xmxbanana"], "Invalid maximum heap size"),
    ],
)
def test_no_memory_or_bad_options(path, args, words):
    with (
        kbridge.JvmProcess(jvm_args=args) as jvm,
        pytest.raises(kbridge.JvmProcessError, match=words) as caught,
    ):
        kbridge.load(path, host=jvm)
    assert "to start. Received" in str(caught.value)
    assert len(str(caught.value)) > 200, "the last words are told"


def test_a_heap_too_small_for_the_work(path):
    with kbridge.JvmProcess(heap="4m") as jvm, pytest.raises(kbridge.KBridgeError) as caught:
        kbridge.load(path, host=jvm)
    assert isinstance(caught.value, (kbridge.JvmOutOfMemoryError, kbridge.JvmProcessError))


@pytest.mark.parametrize(
    ("script", "how"),
    [
        ("echo last words; exit 3", "ended with exit status 3"),
        ("read line; echo last words; kill -9 $$", "ended by the signal SIGKILL"),
        ("echo last words; kill -SEGV $$", "ended by the signal SIGSEGV"),
    ],
)
def test_it_dies_while_starting(path, fake_java, script, how):
    fake_java(script)
    with pytest.raises(kbridge.JvmProcessError, match=how) as caught:
        kbridge.load(path, host="process")
    assert "last words" in str(caught.value)


def test_it_hangs_while_starting(path, fake_java):
    fake_java("exec sleep 600")
    with (
        kbridge.JvmProcess(start_timeout=0.5) as jvm,
        pytest.raises(kbridge.JvmTimeoutError, match=r"listen within 0\.5 s.*start_timeout"),
    ):
        kbridge.load(path, host=jvm)


def test_a_class_path_without_kbridge(path, monkeypatch, tmp_path):
    monkeypatch.setenv("KBRIDGE_CLASSPATH", str(tmp_path))
    with pytest.raises(kbridge.JvmProcessError, match=r"io\.kbridge\.host\.HostProcess"):
        kbridge.load(path, host="process")


def test_shared_memory_that_is_full(path):
    """A batch of a terabyte, of which NumPy holds one row."""
    with kbridge.load(path, host="process") as model:
        x = np.ones((2, 7), np.float32)
        huge = np.broadcast_to(np.float32(1), (1 << 35, 7))
        with pytest.raises(kbridge.JvmOutOfMemoryError, match="to share with the JVM") as caught:
            model.predict_on_batch(huge)
        assert "smaller batch_size" in str(caught.value)
        np.testing.assert_array_equal(model.predict(x), x)


def test_shared_memory_that_the_system_refuses(run_python, path):
    run_python(
        f"""
import resource, kbridge, numpy as np
with kbridge.load({str(path)!r}, host="process") as model:
    x = np.ones((100_000, 7), np.float32)
    assert np.array_equal(model.predict_on_batch(x[:10]), x[:10])
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
    try:
        model.predict_on_batch(x)
    except kbridge.JvmOutOfMemoryError as e:
        assert "File too large" in str(e), e
    else:
        raise SystemExit("no error")
    assert np.array_equal(model.predict_on_batch(x[:10]), x[:10])
"""
    )


NO_PACKAGE = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == {package!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocked())
import kbridge, numpy as np
from kbridge import JvmModel, JvmProcess
with kbridge.load({path!r}, host={works!r}) as model:
    assert model.predict(np.ones((2, 7))).sum() == 14
try:
    kbridge.load({path!r}, host={fails!r})
except kbridge.MissingPackageError as e:
    assert {advice!r} in str(e), e
else:
    raise SystemExit("no error")
assert {package!r} not in sys.modules
"""


@pytest.mark.parametrize(
    ("package", "works", "fails", "advice"),
    [
        ("jpype", "process", "inprocess", "pip install jpype1"),
        ("py4j", "inprocess", "process", "pip install 'kbridge[process]'"),
    ],
)
def test_each_host_needs_its_own_package_only(run_python, path, package, works, fails, advice):
    run_python(
        NO_PACKAGE.format(package=package, works=works, fails=fails, advice=advice, path=str(path))
    )
