"""Ctrl-C and Python's other signal handlers work with the JVM in the process."""

import signal
import subprocess

import pytest

# NB: a shell's background jobs ignore Ctrl-C, and so does what they start: the scripts below ask
# for Python's own handler, so that the tests hold there too.


def test_ctrl_c_raises_keyboard_interrupt(run_python, identity_bundle):
    path = str(identity_bundle([("x", (None, 2), "float32")]))
    done = run_python(
        f"""
import os, signal, threading, time, kbridge, numpy as np
signal.signal(signal.SIGINT, signal.default_int_handler)
model = kbridge.load({path!r})
x = np.ones((2, 2), np.float32)
threading.Timer(1.0, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
end = time.monotonic() + 60
try:
    while time.monotonic() < end:
        model.predict(x, verbose=0)
except KeyboardInterrupt:
    assert model.predict(x).sum() == 4, "the model is still usable"
    print("interrupted")
"""
    )
    assert done.stdout.strip() == "interrupted"


def test_unhandled_ctrl_c_ends_the_process_as_python_does(run_python, identity_bundle):
    path = str(identity_bundle([("x", (None, 2), "float32")]))
    done = run_python(
        f"""
import os, signal, time, kbridge, numpy as np
signal.signal(signal.SIGINT, signal.default_int_handler)
kbridge.load({path!r}).predict(np.ones((2, 2)))
os.kill(os.getpid(), signal.SIGINT)
time.sleep(60)
""",
        check=False,
    )
    assert done.returncode == -signal.SIGINT
    assert "KeyboardInterrupt" in done.stderr


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1"])
def test_handlers_of_python_stay(run_python, name, when):
    install = f"signal.signal(signal.{name}, lambda *a: seen.append(a[0]))"
    run_python(
        f"""
import os, signal, time
from kbridge.jvm import host
seen = []
{install if when == "before" else ""}
host.start()
{install if when == "after" else ""}
os.kill(os.getpid(), signal.{name})
time.sleep(0.2)
assert seen == [signal.{name}], seen
"""
    )


def test_terminate(run_python):
    done = run_python(
        """
import os, signal, time
from kbridge.jvm import host
host.start()
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(60)
""",
        check=False,
    )
    assert done.returncode == -signal.SIGTERM


def test_subprocesses_are_waited_for(run_python):
    run_python(
        """
import subprocess, sys
from kbridge.jvm import host
host.start()
assert subprocess.run([sys.executable, "-c", "raise SystemExit(3)"]).returncode == 3
"""
    )
    assert subprocess.run(["true"], check=False).returncode == 0
