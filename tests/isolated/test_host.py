"""Starting the one JVM: each test is a process of its own, because a process can start only one."""

import pytest


def test_start_is_idempotent_and_thread_safe(run_python):
    run_python(
        """
import threading
from kbridge.jvm import host
found = []
workers = [threading.Thread(target=lambda: found.append(host.start())) for _ in range(8)]
[w.start() for w in workers]
[w.join() for w in workers]
assert len(found) == 8 and all(info is found[0] for info in found)
assert host.is_started() and host.info() is found[0]
assert found[0].device == "cpu" and found[0].version
assert any(a.startswith("-Dorg.bytedeco.javacpp.maxbytes=") for a in found[0].arguments)
"""
    )


def test_options_reach_the_jvm(run_python):
    run_python(
        """
import jpype, os
from kbridge.jvm import host
host.configure(heap="320m", offheap="2g", jvm_args=["-Dkbridge.test=yes"])
host.start()
System = jpype.JClass("java.lang.System")
runtime = jpype.JClass("java.lang.Runtime").getRuntime()
assert 300 << 20 < runtime.maxMemory() <= 320 << 20, runtime.maxMemory()
assert System.getProperty("kbridge.test") == "yes"
Pointer = jpype.JClass("org.bytedeco.javacpp.Pointer")
assert Pointer.maxBytes() == 2 << 30 and Pointer.maxPhysicalBytes() == 0
assert os.environ["GOMP_SPINCOUNT"] == "2000"
"""
    )


def test_an_openmp_choice_of_the_user_stands(run_python):
    run_python(
        """
import os
from kbridge.jvm import host
host.start()
assert os.environ["GOMP_SPINCOUNT"] == "7"
""",
        env={"GOMP_SPINCOUNT": "7"},
    )


def test_late_options_are_warned_about(run_python):
    run_python(
        """
import warnings
from kbridge.jvm import host
host.configure(heap="300m")
host.start()
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    assert host.configure(heap="300m").heap == "300m"
    assert caught == []
    assert host.configure(heap="400m", offline=True).heap == "300m"
assert len(caught) == 1, caught
assert "Ignored: heap, offline." in str(caught[0].message)
"""
    )


def test_another_device_is_refused(run_python):
    run_python(
        """
import kbridge
from kbridge.jvm import host
host.start("cpu")
try:
    host.start("gpu")
except kbridge.JvmStateError as e:
    assert "Expected device='cpu'" in str(e) and "Received: device='gpu'" in str(e)
else:
    raise SystemExit("no error")
"""
    )


def test_restart_is_refused(run_python, identity_bundle):
    path = identity_bundle([("x", (None, 2), "float32")])
    run_python(
        f"""
import jpype, kbridge, numpy as np
model = kbridge.load({str(path)!r})
y = model.predict(np.ones((2, 2)))
jpype.shutdownJVM()
try:
    kbridge.load({str(path)!r})
except kbridge.JvmStateError as e:
    assert "it was shut down" in str(e)
else:
    raise SystemExit("no error")
model.close()
"""
    )


def test_bad_jvm_option_is_told(run_python):
    run_python(
        """
import kbridge
from kbridge.jvm import host
host.configure(heap="banana")
try:
    host.start()
except kbridge.JvmStateError as e:
    assert "-Xmxbanana" in str(e)
else:
    raise SystemExit("no error")
"""
    )


def test_jvm_of_other_code_without_kbridge(run_python):
    run_python(
        """
import jpype, kbridge
from kbridge.jvm import host
jpype.startJVM()
try:
    host.start()
except kbridge.JvmStateError as e:
    assert "If other code starts the JVM" in str(e)
else:
    raise SystemExit("no error")
"""
    )


def test_jvm_of_other_code_with_kbridge(run_python, identity_bundle, jvm):
    path = identity_bundle([("x", (None, 2), "float32")])
    run_python(
        f"""
import jpype, kbridge, numpy as np
jpype.startJVM(classpath={list(jvm.classpath)!r})
with kbridge.load({str(path)!r}) as model:
    assert model.predict(np.ones((2, 2))).sum() == 4
"""
    )


def test_missing_class_path_entry(run_python):
    run_python(
        """
import kbridge
from kbridge.jvm import host
try:
    host.start()
except kbridge.JarsNotFoundError as e:
    assert "KBRIDGE_CLASSPATH" in str(e) and "nowhere.jar" in str(e)
else:
    raise SystemExit("no error")
""",
        env={"KBRIDGE_CLASSPATH": "nowhere.jar"},
    )


FORK = """
import gc, os, sys, kbridge, numpy as np
model = kbridge.load({path!r})
y = model.predict(np.ones((2, 2)))
pid = os.fork()
if pid == 0:
    from kbridge.jvm import host
    predict = lambda: model.predict(np.ones((2, 2)))
    for call in (predict, host.start, lambda: kbridge.load({path!r})):
        try:
            call()
        except kbridge.JvmStateError as e:
            assert "forked" in str(e)
        else:
            os._exit(3)
    assert not host.is_started()
    assert y.sum() == 4
    del y
    model.close()
    del model
    gc.collect()
    {end}
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
assert model.predict(np.ones((3, 2))).sum() == 6
print("parent done")
"""


@pytest.mark.parametrize("end", ["sys.exit(0)", "os._exit(0)"])
def test_fork(run_python, identity_bundle, end):
    path = str(identity_bundle([("x", (None, 2), "float32")]))
    done = run_python(FORK.format(path=path, end=end), timeout=120)
    assert "parent done" in done.stdout


def test_fork_before_the_start_is_fine(run_python, identity_bundle):
    path = str(identity_bundle([("x", (None, 2), "float32")]))
    run_python(
        f"""
import multiprocessing, numpy as np

def work(n):
    import kbridge
    with kbridge.load({path!r}) as model:
        return float(model.predict(np.ones((n, 2))).sum())

if __name__ == "__main__":
    import kbridge
    kbridge.load
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(work, [1, 2, 3]) == [2.0, 4.0, 6.0]
"""
    )


def test_spawned_workers_after_the_start(run_python, identity_bundle):
    path = str(identity_bundle([("x", (None, 2), "float32")]))
    run_python(
        f"""
import multiprocessing, numpy as np

def work(n):
    import kbridge
    with kbridge.load({path!r}) as model:
        return float(model.predict(np.ones((n, 2))).sum())

if __name__ == "__main__":
    assert work(1) == 2.0
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(work, [2, 3]) == [4.0, 6.0]
"""
    )


def test_gpu_without_gpu_starts_nothing(run_python, identity_bundle):
    path = str(identity_bundle([("x", (None, 2), "float32")]))
    run_python(
        f"""
import sys, kbridge
from kbridge.jvm import gpu
gpu._CUDA = "libcuda-that-is-not-there.so.1"
try:
    kbridge.load({path!r}, device="gpu")
except kbridge.DeviceUnavailableError as e:
    assert "no NVIDIA driver" in str(e) and "device='cpu'" in str(e)
else:
    raise SystemExit("no error")
assert "jpype" not in sys.modules and "kbridge.jvm.jars" not in sys.modules
"""
    )


def test_a_bad_file_starts_nothing(run_python, tmp_path):
    (tmp_path / "bad.h5").write_bytes(b"no HDF5 at all")
    run_python(
        """
import sys, kbridge
try:
    kbridge.load("bad.h5")
except kbridge.BundleFormatError as e:
    print(e)
else:
    raise SystemExit("no error")
assert "jpype" not in sys.modules
"""
    )


def test_arrays_that_outlive_everything(run_python, identity_bundle):
    path = str(identity_bundle([("x", (None, 2), "float32")]))
    run_python(
        f"""
import atexit, kbridge, numpy as np
kept = []
atexit.register(lambda: print(len(kept)))
model = kbridge.load({path!r})
kept.append(model.predict(np.ones((2, 2))))
sys_modules_end = kept  # still referenced when the interpreter and the JVM end
"""
    )


def test_a_thread_loads_the_first_model(run_python, identity_bundle):
    # NB: ND4J looks for its files with the thread's class loader; a thread of Python's has none.
    path = identity_bundle([("x", (None, 2), "float32")])
    done = run_python(
        f"""
import threading, numpy as np, kbridge
def work():
    with kbridge.load({str(path)!r}) as model:
        print(model.predict(np.ones((3, 2))).shape)
thread = threading.Thread(target=work)
thread.start()
thread.join()
"""
    )
    assert done.stdout.strip() == "(3, 2)"
