"""A JVM in a process of its own as a host of models: Py4J calls, arrays in shared memory."""

from __future__ import annotations

import json
import os
import threading
from collections import deque
from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from kbridge import errors
from kbridge.jvm import arrays, host
from kbridge.jvm.bridge import Flat, Host, JavaObject, Jvm, Lent, java_error, read_layout
from kbridge.jvm.child import Child
from kbridge.jvm.gateway import Disconnected, Gateway, TookTooLong
from kbridge.jvm.segments import Segment, offsets

_START_TIMEOUT_S = 120.0


class JvmProcess(Host):
    """A JVM in a process of its own, for one or more models: ``kbridge.load(path, host=jvm)``.

    It is started by the first model, and again after it died. It is a context manager; its end is
    that of its models. It may be used from several threads.

    Args:
        heap: See `kbridge.jvm.options.JvmOptions`; by default what `kbridge.jvm.host.configure` was
            given, as for the next ones.
        offheap: See there.
        jvm_args: See there.
        offline: See there.
        classpath: See there.
        start_timeout: Seconds within which the process has to be ready.
        timeout: Seconds that one call may take, that is one batch, or loading a model. After that
            the process is ended and `JvmTimeoutError` raised. None: as long as it takes.

    Example:
        >>> with kbridge.JvmProcess(heap="2g", timeout=60) as jvm:
        ...     a, b = kbridge.load("a.h5", host=jvm), kbridge.load("b.h5", host=jvm)
    """

    def __init__(
        self,
        *,
        heap: str | None = None,
        offheap: str | None = None,
        jvm_args: Sequence[str] | None = None,
        offline: bool | None = None,
        classpath: Sequence[str | os.PathLike] | None = None,
        start_timeout: float = _START_TIMEOUT_S,
        timeout: float | None = None,
    ):
        self._options = host.options().changed(heap, offheap, jvm_args, offline, classpath)
        self._start_timeout = _seconds("start_timeout", start_timeout)
        self._timeout = None if timeout is None else _seconds("timeout", timeout)
        self._owner = os.getpid()
        self._lock = threading.RLock()
        self._jvm: _ProcessJvm | None = None
        self._closed = False

    @property
    def pid(self) -> int | None:
        """The process number of the JVM; None while none runs."""
        jvm = self._jvm
        return jvm.child.pid if jvm is not None and jvm.child.alive else None

    def start(self, device: str = "cpu") -> Jvm:
        """Starts the process, or does nothing if it runs.

        Args:
            device: What it is to compute on; see `kbridge.load`.

        Raises:
            JvmProcessError: It cannot be started.
            JvmStateError: It was closed, belongs to another process, or runs for another device.
        """
        with self._lock:
            self.check()
            jvm = self._jvm
            if jvm is None or not jvm.child.alive:
                self._jvm = None
                child = Child(self._options, device, self._start_timeout)
                self._jvm = jvm = _ProcessJvm(child, device, self._timeout)
            elif jvm.device != device:
                raise errors.JvmStateError(
                    f"Expected device={jvm.device!r}, for which the JVM's process {self.pid} was "
                    f"started. Received: device={device!r}. Use another kbridge.JvmProcess for it."
                )
            return jvm

    def check(self) -> None:
        """Raises JvmStateError after `close`, and in a forked process."""
        if os.getpid() != self._owner:
            raise errors.JvmStateError(
                "Expected to be in the process that started the JVM. Received: a call in a process "
                f"forked from it (process {self._owner}). A JVM answers to one process: load the "
                "model in the forked process, which gives it a JVM of its own."
            )
        if self._closed:
            raise errors.JvmStateError(
                "Expected an open kbridge.JvmProcess. Received: a call after close(). "
                "Make another one."
            )

    def leave(self) -> None:
        """Does nothing: other models may use the process."""

    def close(self) -> None:
        """Ends the process. May be called again."""
        if os.getpid() != self._owner:
            return
        with self._lock:
            self._closed = True
            if self._jvm is not None:
                self._jvm.end()
                self._jvm = None

    def __enter__(self) -> Self:
        self.check()
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = f"process {self.pid}" if self.pid is not None else "not running"
        return f"<JvmProcess: {'closed' if self._closed else state}>"


class OwnProcess(JvmProcess):
    """The process of one model, which ends with it."""

    def check(self) -> None:
        """Raises JvmStateError in a forked process."""
        if not self._closed:  # NB: the model says itself that it was closed
            super().check()

    def leave(self) -> None:
        """Ends the process."""
        self.close()


class _ProcessJvm(Jvm):
    def __init__(self, child: Child, device: str, timeout: float | None):
        self.child = child
        self.device = device
        self._timeout = timeout
        self._gateway = Gateway(child.port, child.token, timeout)
        self._forgotten: deque[int] = deque()
        self._idle: list[Segment] = []
        self._lock = threading.Lock()
        self._root = _Reference(0, self._forgotten)
        described = json.loads(self.ask(self._root, "describe"))
        self._dtypes = described["types"]

    def static(self, owner: str, method: str, *args: Any) -> Any:
        return self.request(owner, method, args)

    def ask(self, target: JavaObject, method: str, *args: Any) -> Any:
        return self.request(target, method, args)

    def lend(
        self, given: Flat, dtypes: Sequence[np.dtype], into: Sequence[np.ndarray] = ()
    ) -> Lent:
        return _Shared(self, given, dtypes, into)

    def collect(self, result: JavaObject) -> list[np.ndarray]:
        kinds = [arrays.dtype(name) for name in self._dtypes]
        found = read_layout(self.ask(result, "layout"), kinds)
        into = [np.empty(shape, kind) for _, shape, kind in found]
        with self.lend((), (), into) as lent:
            lent.ask(result, "copyTo", lent.outputs)
        self.ask(result, "close")
        return into

    def request(
        self, target: JavaObject, method: str, args: Sequence[Any], segment: Segment | None = None
    ) -> Any:
        """Calls a method of an object, or of a class by its name; it may work on a segment."""
        named = target if isinstance(target, str) else target.number
        asked: dict[str, Any] = {"target": named, "method": method, "args": args}
        if segment is not None:
            asked["segment"] = segment.java.number
        if self._forgotten:
            asked["forget"] = [self._forgotten.popleft() for _ in range(len(self._forgotten))]
        answer = json.loads(self._exchange(json.dumps(asked)))
        if "object" in answer:
            return _Reference(answer["object"], self._forgotten)
        if "error" in answer:
            told = answer["error"]
            error = java_error(told["code"], told["kind"], told["message"] or "", told["shown"])
            raise error from JavaError(told["trace"])
        return answer["value"]

    def take(self, nbytes: int) -> Segment:
        """Returns shared memory of at least so many bytes, for one call."""
        with self._lock:
            for i, segment in enumerate(self._idle):
                if segment.size >= nbytes:
                    return self._idle.pop(i)
            self._idle[:1] = []  # NB: a larger one takes its place
        segment = Segment(nbytes)
        try:
            segment.java = self.ask(self._root, "share", segment.path, segment.size)
            segment.base = self.ask(segment.java, "address")
        finally:
            segment.seal()
        return segment

    def give_back(self, segment: Segment) -> None:
        """Takes back what `take` gave."""
        with self._lock:
            self._idle.append(segment)

    def end(self) -> None:
        """Ends the process."""
        self._gateway.close()
        self.child.end()

    def _exchange(self, request: str) -> str:
        try:
            return self._gateway.call("call", request)
        except TookTooLong as e:
            self.child.kill()
            raise errors.JvmTimeoutError(
                f"Expected an answer of the JVM's process {self.child.pid} within "
                f"{self._timeout:g} s. Received: none, and it was ended. {_NEXT} Allow more "
                "(kbridge.JvmProcess(timeout=...)) if the work takes as long."
            ) from e
        except Disconnected as e:
            raise errors.JvmProcessError(
                f"Expected the JVM's process {self.child.pid} to answer. Received: it "
                f"{self.child.obituary()}{_NEXT}"
            ) from e


_NEXT = (
    "The next call starts a new JVM and loads the model again, as it is in the bundle; what it "
    "learned since is lost."
)


class JavaError(Exception):
    """An exception in another process's JVM, as Java shows it with its stack trace."""


class _Reference:
    """A number that stands for an object of the JVM, which forgets it when this is gone."""

    __slots__ = ("_forgotten", "number")

    def __init__(self, number: int, forgotten: deque[int]):
        self.number = number
        self._forgotten = forgotten

    def __del__(self) -> None:
        if self.number:
            self._forgotten.append(self.number)


class _Shared(Lent):
    """Arrays in a segment: copied into it once, and out of it once."""

    __slots__ = ("_into", "_jvm", "_results", "_segment")

    def __init__(
        self, jvm: _ProcessJvm, given: Flat, dtypes: Sequence[np.dtype], into: Sequence[np.ndarray]
    ):
        there = [(a, d) for a, d in zip(given, dtypes, strict=True) if a is not None]
        sizes = [a.size * d.itemsize for a, d in there] + [a.nbytes for a in into]
        starts, total = offsets(sizes)
        self._jvm = jvm
        self._into = into
        self._segment = segment = jvm.take(total)
        for (array, kind), start in zip(there, starts, strict=False):
            np.copyto(segment.array(start, array.shape, kind), array, casting="unsafe")
        self.inputs = [segment.base + start for start in starts[: len(there)]]
        rest = starts[len(there) :]
        self._results = [
            segment.array(start, a.shape, a.dtype) for a, start in zip(into, rest, strict=True)
        ]
        self.outputs = [
            segment.base + start if a.size else 0 for a, start in zip(into, rest, strict=True)
        ]

    def ask(self, target: JavaObject, method: str, *args: Any) -> Any:
        return self._jvm.request(target, method, args, self._segment)

    def __exit__(self, kind: type | None, *exc: object) -> None:
        if kind is None:
            for array, result in zip(self._into, self._results, strict=True):
                array[...] = result
        elif not issubclass(kind, errors.KBridgeError):
            return  # NB: interrupted, and Java may still be at work in there: not to be used again
        self._jvm.give_back(self._segment)


def _seconds(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise errors.OptionError(f"Expected {name} to be positive seconds. Received: {value!r}.")
    return float(value)
