"""A JVM as a child process: started, watched, and ended with this process whatever happens."""

from __future__ import annotations

import io
import json
import logging
import os
import secrets
import signal
import subprocess
import threading
import time
import weakref
from collections import deque
from typing import Any

from kbridge import errors
from kbridge.jvm import cuda
from kbridge.jvm.options import JvmOptions, arguments, class_path, openmp_environment

_log = logging.getLogger(__name__)

MAIN = "io.kbridge.host.HostProcess"
_GREETING = b"kbridge-host: "
_TAIL_LINES = 30
_END_S = 5.0
# NB: a crash is told by its first lines; the report's file and a core file would be left over.
_NO_FILES = ("-XX:ErrorFile=/dev/null", "-XX:-CreateCoredumpOnCrash")
_children: weakref.WeakSet[Child] = weakref.WeakSet()


class Child:
    """A running JVM that listens on a port.

    The token goes through a pipe, not over the command line or the environment, where others can
    read. The child ends when that pipe does, or when this process is not its parent any more; so
    it ends however this process ends.

    Args:
        options: The JVM's options.
        device: What it is started for.
        timeout: Seconds within which it has to listen.

    Attributes:
        pid: Its process number.
        port: Where it listens.
        token: What connections to it show.

    Raises:
        JvmProcessError: It could not be started, or ended at once.
        JvmTimeoutError: It did not listen in time.
        JavaNotFoundError: There is no usable Java.
        JarsNotFoundError: Java libraries are missing and could not be fetched.
    """

    def __init__(self, options: JvmOptions, device: str, timeout: float):
        self.token = secrets.token_hex(32)
        self._said: deque[str] = deque(maxlen=_TAIL_LINES)
        self._told = _Told()
        self._process = _spawn(options, device)
        self.pid = self._process.pid
        self._end = weakref.finalize(self, _end, self._process, os.getpid(), 0.0)
        self._reader = threading.Thread(
            target=_read,
            args=(self._process.stdout, self._said, self._told),
            name="kbridge-jvm-output",
            daemon=True,
        )
        self._reader.start()
        _children.add(self)
        try:
            self.port = self._greet(timeout)
        except BaseException:
            self.kill()
            raise

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def end(self) -> None:
        """Ends it: asks, and kills it if it does not end by itself soon."""
        if self._end.detach():
            _end(self._process, os.getpid(), _END_S)

    def kill(self) -> None:
        """Ends it at once."""
        self._end()

    def disown(self) -> None:
        """Lets it go, in a process forked from the one it belongs to."""
        # NB: the pipe has to have one end only that keeps the child alive.
        self._process.stdin.close()

    def obituary(self) -> str:
        """Returns how it ended and the last it said; kills it if it has not ended yet."""
        ended = _ended_within(self._process, _END_S)
        self.kill()
        self._reader.join(1.0)
        tail = "\n  ".join(self._said) or "nothing"
        return f"{_how(self._process.returncode, ended)}. The last it said:\n  {tail}\n"

    def _greet(self, timeout: float) -> int:
        told = json.dumps({"token": self.token, "parent": os.getpid()})
        try:
            self._process.stdin.write(told.encode("ascii") + b"\n")
        except BrokenPipeError:
            _log.debug("the JVM ended before it was told its token")
        if not self._told.event.wait(timeout):
            raise errors.JvmTimeoutError(
                f"Expected the JVM's process {self.pid} to listen within {timeout:g} s. Received: "
                "nothing, and it was ended. Allow more (kbridge.JvmProcess(start_timeout=...)) if "
                "the machine is busy."
            )
        if self._told.greeting is None:
            raise errors.JvmProcessError(
                f"Expected the JVM's process {self.pid} to start. Received: it "
                f"{self.obituary()}Check the options given to it."
            )
        return int(self._told.greeting["port"])


class _Told:
    """What the child's greeting said; None after `event` if it ended without one."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.greeting: dict[str, Any] | None = None


def _spawn(options: JvmOptions, device: str) -> subprocess.Popen:
    from kbridge.jvm.java import find_java

    java = find_java()
    given = [*_NO_FILES, *arguments(options, java.version)]
    classpath = os.pathsep.join(class_path(options, device))
    command = [str(java.home / "bin" / "java"), *given, "-cp", classpath, MAIN]
    environment = {**os.environ, **openmp_environment()}
    if device == "gpu":
        environment.update(cuda.environment(cuda.require()))
    _log.debug("starting %s", command)
    try:
        return subprocess.Popen(
            command,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,  # NB: a terminal's Ctrl-C is this process's, not the JVM's
        )
    except OSError as e:
        raise errors.JvmProcessError(
            f"Expected to start the program {command[0]}. Received: {e}. Check that Java's "
            "installation is whole; `kbridge doctor` shows more."
        ) from e


def _read(pipe: Any, said: deque[str], told: _Told) -> None:
    """Reads what a child says until it ends."""
    with io.BufferedReader(pipe) as lines:
        for line in lines:
            if line.startswith(_GREETING):
                told.greeting = json.loads(line.removeprefix(_GREETING))
                told.event.set()
                continue
            text = line.decode("utf-8", "replace").rstrip()
            said.append(text)
            _log.debug("the JVM says: %s", text)
    told.event.set()


def _end(process: subprocess.Popen, owner: int, patience: float) -> None:
    if os.getpid() != owner:
        return
    process.stdin.close()
    if not _ended_within(process, patience):
        process.kill()
        process.wait()


def _ended_within(process: subprocess.Popen, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while process.poll() is None:
        if time.monotonic() >= end:
            return False
        time.sleep(0.005)
    return True


def _how(status: int, by_itself: bool) -> str:
    if not by_itself:
        return "broke the connection off, and was ended"
    if status >= 0:
        return f"ended with exit status {status}"
    name = signal.Signals(-status).name
    reason = ", most often because memory ran out" if -status == signal.SIGKILL else ""
    return f"was ended by the signal {name}{reason}"


def _after_fork() -> None:
    for child in list(_children):
        child.disown()
    _children.clear()


os.register_at_fork(after_in_child=_after_fork)
