"""The JVM of this process as a host of models: JPype calls, arrays shared by their addresses."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from kbridge.jvm import arrays, host
from kbridge.jvm.bridge import Flat, Host, JavaObject, Jvm, Lent, read_layout

# NB: a result that is kept keeps its block, so that is small.
_ROOMS = 64
_BLOCK_BYTES = 4096


class InProcess(Host):
    """This process runs the JVM; see `kbridge.jvm.host`."""

    def start(self, device: str) -> Jvm:
        """Starts the JVM of this process, or does nothing if it runs already."""
        host.start(device)
        return _JVM

    def check(self) -> None:
        """Raises JvmStateError in a process forked from the one that started the JVM."""
        host.check_process()

    def leave(self) -> None:
        """Does nothing: the JVM of this process is everybody's."""


class _InProcessJvm(Jvm):
    def static(self, owner: str, method: str, *args: Any) -> Any:
        return self.ask(host.java_class(f"{host.PACKAGE}.{owner}"), method, *args)

    def ask(self, target: JavaObject, method: str, *args: Any) -> Any:
        # NB: at the interpreter's end the JVM has ended too, and taken the object with it.
        if method == "close" and not _runs():
            return None
        result = _call(getattr(target, method), *map(_java_value, args))
        return str(result) if isinstance(result, _java_string()) else result

    def lend(
        self, given: Flat, dtypes: Sequence[np.dtype], into: Sequence[np.ndarray] = ()
    ) -> Lent:
        return _InPlace(given, dtypes, into)

    def direct(
        self, call: JavaObject, shape: tuple[int, ...], dtype: np.dtype
    ) -> Callable[[np.ndarray], np.ndarray]:
        import jpype

        # NB: for a small model each line here counts: a method is looked up, an exception named and
        # an address asked for in as much time as a layer takes.
        run, failure, address = call.runOne, jpype.JException, arrays.address
        rooms: list[tuple[np.ndarray, int]] = []

        def direct(x: np.ndarray) -> np.ndarray:
            try:
                y, where = rooms.pop()
            except IndexError:
                made = _rooms(shape, dtype)
                y, where = made.pop()
                rooms.extend(made)
            try:
                run(address(x), where)
            except failure as e:
                raise host.java_error(e) from e
            return y

        return direct

    def collect(self, result: JavaObject) -> list[np.ndarray]:
        memory = _JavaMemory(result)
        # NB: through NumPy, because iterating over a Java array crosses to Java for each element.
        numbers = np.asarray(result.layout()).tolist()
        return [_lay(memory, *found) for found in read_layout(numbers, _java_dtypes())]


_JVM = _InProcessJvm()


class _InPlace(Lent):
    """The memory of the NumPy arrays themselves, which are kept alive meanwhile."""

    __slots__ = ("_kept",)

    def __init__(self, given: Flat, dtypes: Sequence[np.dtype], into: Sequence[np.ndarray]):
        self._kept = [
            arrays.contiguous(array, dtype)
            for array, dtype in zip(given, dtypes, strict=True)
            if array is not None
        ]
        self.inputs = [arrays.address(array) for array in self._kept]
        self.outputs = [arrays.address(array) for array in into]

    def ask(self, target: JavaObject, method: str, *args: Any) -> Any:
        return _JVM.ask(target, method, *args)

    def __exit__(self, kind: type | None, *exc: object) -> None:
        self._kept = []


def _rooms(shape: tuple[int, ...], dtype: np.dtype) -> list[tuple[np.ndarray, int]]:
    """Makes arrays for results, with their addresses; small ones several at once, in one block."""
    size = max(1, math.prod(shape) * dtype.itemsize)
    block = np.empty((max(1, min(_ROOMS, _BLOCK_BYTES // size)), *shape), dtype)
    start, step = block.ctypes.data, block.strides[0]
    return [(block[i, ...], start + i * step) for i in range(len(block))]


def _call(method: Any, *args: Any) -> Any:
    """Calls Java and turns its exceptions into kbridge's."""
    import jpype

    try:
        return method(*args)
    except jpype.JException as e:
        raise host.java_error(e) from e


def _java_value(value: Any) -> Any:
    """Makes ``long[][]`` of a list of lists, which JPype does not do where one is None."""
    if not isinstance(value, list) or not any(v is None or isinstance(v, list) for v in value):
        return value
    import jpype

    matrix = jpype.JArray(jpype.JLong, 2)(len(value))
    for i, row in enumerate(value):
        matrix[i] = None if row is None else jpype.JArray(jpype.JLong)(row)
    return matrix


@cache
def _java_string() -> type:
    return host.java_class("java.lang.String")


class _JavaMemory:
    """Owns one result of the JVM on behalf of the NumPy arrays laid over it."""

    __slots__ = ("_result",)

    def __init__(self, result: Any):
        self._result = result

    def __del__(self) -> None:
        # NB: after the JVM's end, and in a forked child, the memory is not ours to free.
        if _runs():
            self._result.close()


class _Window:
    """What NumPy needs to lay an array over memory; the array keeps it, and so the memory."""

    __slots__ = ("__array_interface__", "_memory")

    def __init__(self, memory: _JavaMemory, where: int, shape: tuple[int, ...], typestr: str):
        self._memory = memory
        self.__array_interface__ = {
            "data": (where, False),
            "shape": shape,
            "typestr": typestr,
            "version": 3,
        }


def _lay(memory: _JavaMemory, where: int, shape: tuple[int, ...], kind: np.dtype) -> np.ndarray:
    if 0 in shape:
        return np.empty(shape, kind)
    # NB: the array interface has no name for bfloat16, so it is laid over as bytes of that size.
    typestr = kind.str if kind.kind != "V" else f"|V{kind.itemsize}"
    array = np.asarray(_Window(memory, where, shape, typestr))
    return array if array.dtype == kind else array.view(kind)


@cache
def _java_dtypes() -> tuple[np.dtype, ...]:
    """Returns the dtypes in the order in which Java numbers its element types."""
    element_types = host.java_class("io.kbridge.graph.ElementType").values()
    return tuple(arrays.dtype(str(kind.kerasName())) for kind in element_types)


def _runs() -> bool:
    jpype = sys.modules.get("jpype")
    return host.is_started() and jpype is not None and jpype.isJVMStarted()
