"""The one JVM of this process: nothing else in kbridge starts it.

A process can start one JVM, once, with options that are fixed from then on. So options are
collected first (`configure`), `start` is safe to call any number of times and from any thread, and
what can no longer take effect is said.
"""

from __future__ import annotations

import logging
import os
import threading
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from kbridge import errors
from kbridge.jvm import bridge, cuda
from kbridge.jvm.options import JvmOptions, arguments, class_path, openmp_environment

_log = logging.getLogger(__name__)

PACKAGE = "io.kbridge.host"
"""Where the Java classes are that Python talks to."""

DOOR = f"{PACKAGE}.HostModel"
"""The Java class Python talks to; that it loads is the proof of a right class path."""


@dataclass(frozen=True)
class JvmInfo:
    """The running JVM: its home, version, arguments, class path and device."""

    home: str
    version: str
    arguments: tuple[str, ...]
    classpath: tuple[str, ...]
    device: str


@dataclass
class _State:
    options: JvmOptions = field(default_factory=JvmOptions)
    info: JvmInfo | None = None
    pid: int | None = None  # the process that started the JVM
    forked: bool = False


_state = _State()
_lock = threading.RLock()


def configure(
    *,
    heap: str | None = None,
    offheap: str | None = None,
    jvm_args: Sequence[str] | None = None,
    offline: bool | None = None,
    classpath: Sequence[str | os.PathLike] | None = None,
) -> JvmOptions:
    """Sets options for the JVM that is to be started; those left out stay as they are.

    After the start they cannot take effect: a warning says which were ignored.

    Args:
        heap: See `JvmOptions`.
        offheap: See `JvmOptions`.
        jvm_args: See `JvmOptions`.
        offline: See `JvmOptions`.
        classpath: See `JvmOptions`.

    Returns:
        The options in force.

    Raises:
        JarsNotFoundError: A jar or folder of `classpath` is not there.
    """
    with _lock:
        wanted = _state.options.changed(heap, offheap, jvm_args, offline, classpath)
        late = [name for name, value in vars(wanted).items() if vars(_state.options)[name] != value]
        if _state.info is None:
            _state.options = wanted
        elif late:
            warnings.warn(
                f"The JVM is running and keeps the options it was started with. Ignored: "
                f"{', '.join(sorted(late))}. Call kbridge.jvm.host.configure before the first use.",
                stacklevel=2,
            )
        return _state.options


def options() -> JvmOptions:
    """Returns the options that were set with `configure`."""
    return _state.options


def is_started() -> bool:
    """Tells whether kbridge's JVM runs in this process."""
    return _state.info is not None and not _state.forked


def info() -> JvmInfo | None:
    """Returns what is known of the running JVM, or None if kbridge has started none."""
    return _state.info if is_started() else None


def start(device: str = "cpu", progress: bool | None = None) -> JvmInfo:
    """Starts the JVM, or does nothing if it runs already.

    Args:
        device: ``"cpu"`` or ``"gpu"``: which native libraries are put on the class path; a process
            has one JVM, and that has those of one kind.
        progress: Whether to show the downloads that may be needed; None: when there are any.

    Returns:
        What runs.

    Raises:
        JvmStateError: The JVM of this process cannot do it: it was started for another device, was
            shut down, belongs to the parent process, or was started by other code without
            kbridge's libraries.
        JavaNotFoundError: There is no usable Java.
        JarsNotFoundError: Java libraries are missing and could not be fetched.
    """
    with _lock:
        check_process()
        if _state.info is not None:
            return _running(device)
        jpype = _jpype()
        if jpype.isJVMStarted():
            return _adopt(device)
        return _launch(device, progress)


def check_process() -> None:
    """Raises JvmStateError in a process that was forked from the one that started the JVM."""
    if _state.forked:
        raise errors.JvmStateError(
            "Expected to be in the process that started the JVM. Received: a call in a process "
            f"forked from it (process {_state.pid}); a JVM does not survive a fork. "
            "Start workers with multiprocessing's 'spawn' or 'forkserver' method, or use kbridge "
            "in the children only."
        )


@cache
def java_class(name: str) -> Any:
    """Returns a Java class by its full name; the JVM has to be running."""
    return _jpype().JClass(name)


def java_error(e: Exception) -> errors.KBridgeError:
    """Returns the kbridge error that stands for a Java exception.

    Use it as ``except JException as e: raise host.java_error(e) from e``.
    """
    known = isinstance(e, java_class("io.kbridge.KBridgeException"))
    code = str(e.code().name()) if known else None
    return bridge.java_error(code, type(e).__name__, str(e.getMessage()), str(e))


def _running(device: str) -> JvmInfo:
    import jpype

    if not jpype.isJVMStarted():
        raise errors.JvmStateError(
            "Expected the JVM to be running. Received: it was shut down, and a process can start "
            "one JVM only once. Start a new Python process."
        )
    if device != _state.info.device:
        raise errors.JvmStateError(
            f"Expected device={_state.info.device!r}, for which the JVM of this process was "
            f"started. Received: device={device!r}, and a JVM has one backend. Load with "
            "host='process', which gives the model a JVM of its own."
        )
    return _state.info


def _launch(device: str, progress: bool | None) -> JvmInfo:
    import jpype

    from kbridge.jvm.java import find_java

    java = find_java()
    classpath = class_path(_state.options, device, progress)
    given = arguments(_state.options, java.version)
    os.environ.update(openmp_environment())
    if device == "gpu":
        cuda.preload(cuda.require())
    _log.debug("starting the JVM %s with %s", java.libjvm, given)
    try:
        # NB: `interrupt=True` and -Xrs together mean that neither JPype nor the JVM touches
        # SIGINT, SIGTERM and SIGHUP: Python's handlers, and those of its libraries, stay.
        jpype.startJVM(*given, jvmpath=str(java.libjvm), classpath=list(classpath), interrupt=True)
    except (OSError, RuntimeError) as e:
        raise errors.JvmStateError(
            f"Expected the JVM {str(java.libjvm)!r} to start with {' '.join(given)}. "
            f"Received: {e}. Check the options given to kbridge.jvm.host.configure."
        ) from e
    if threading.current_thread() is not threading.main_thread():
        # NB: a JVM ends when its last non-daemon thread has, and it takes the one that started it
        # for such a one for ever. Once detached, JPype attaches it again as a daemon when needed.
        java_class("java.lang.Thread").detach()
    return _started(str(java.home), classpath, given, device)


def _adopt(device: str) -> JvmInfo:
    """Uses a JVM that other code of this process started, if kbridge's libraries are in it."""
    given = tuple(
        str(a)
        for a in java_class("java.lang.management.ManagementFactory")
        .getRuntimeMXBean()
        .getInputArguments()
    )
    system = java_class("java.lang.System")
    classpath = str(system.getProperty("java.class.path")).split(os.pathsep)
    return _started(str(system.getProperty("java.home")), classpath, given, device)


def _started(home: str, classpath: Sequence, given: Sequence[str], device: str) -> JvmInfo:
    try:
        java_class(DOOR)
    except TypeError as e:  # what JPype raises for a class that is not there
        raise errors.JvmStateError(
            f"Expected the Java class {DOOR} in the running JVM. Received: a class path without "
            f"it: {os.pathsep.join(map(str, classpath))}. If other code starts the JVM, call "
            "kbridge.jvm.host.start() before it."
        ) from e
    version = str(java_class("java.lang.System").getProperty("java.version"))
    _state.info = JvmInfo(home, version, tuple(given), tuple(map(str, classpath)), device)
    _state.pid = os.getpid()
    os.register_at_fork(after_in_child=_after_fork)
    return _state.info


def _after_fork() -> None:
    import jpype.config

    _state.forked = True
    # NB: shutting the JVM down waits for its threads, and a forked process has none of them.
    jpype.config.onexit = False


def _jpype() -> Any:
    try:
        import jpype
    except ImportError as e:
        raise errors.MissingPackageError(
            "Expected the Python package jpype1, which runs the JVM. Received: "
            f"{e}. Install it: pip install jpype1"
        ) from e
    return jpype
