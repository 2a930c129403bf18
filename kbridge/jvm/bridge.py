"""What a model needs of a JVM, whether that runs in this process or in one of its own.

Two hosts are behind it: `kbridge.jvm.inprocess` (JPype) and `kbridge.jvm.process` (Py4J). Both talk
to the same Java classes, ``io.kbridge.host``, by the names of their methods; what they differ in is
how a method is called and where the arrays lie meanwhile. A new method of the door needs no code
here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np

from kbridge import errors

Flat = Sequence[np.ndarray | None]
"""Arrays in a model's order; None for an optional input that is left out."""

JavaObject = Any
"""An object of the JVM, to be given back to the `Jvm` that it came from and to no other."""


class Host(ABC):
    """Who runs the JVM."""

    @abstractmethod
    def start(self, device: str) -> Jvm:
        """Returns the running JVM for a device; starts one if none runs, or if it has died."""

    @abstractmethod
    def check(self) -> None:
        """Raises JvmStateError where this process may not use the JVM: forked, or closed."""

    @abstractmethod
    def leave(self) -> None:
        """Says that a model was closed, so that a JVM that is only there for it can end."""


class Jvm(ABC):
    """One running JVM."""

    @abstractmethod
    def static(self, owner: str, method: str, *args: Any) -> Any:
        """Calls a static method of a class of ``io.kbridge.host``; see `ask`."""

    @abstractmethod
    def ask(self, target: JavaObject, method: str, *args: Any) -> Any:
        """Calls a method of a Java object.

        Args:
            target: The object.
            method: Its name; it may not be overloaded with as many arguments.
            args: Texts, numbers, lists of numbers or of texts, and for ``long[][]`` lists of lists
                or None.

        Returns:
            A text, a number, None, or another object.

        Raises:
            KBridgeError: What Java threw.
        """

    @abstractmethod
    def lend(
        self,
        given: Flat,
        dtypes: Sequence[np.dtype],
        into: Sequence[np.ndarray] = (),
    ) -> Lent:
        """Puts arrays where the JVM can read them, and makes room where it can write.

        Args:
            given: What it is to read.
            dtypes: The types to convert them to, one per array.
            into: The arrays that are filled when all went well: writable, row-major.

        Returns:
            A context manager with the addresses.
        """

    def direct(
        self, call: JavaObject, shape: tuple[int, ...], dtype: np.dtype
    ) -> Callable[[np.ndarray], np.ndarray] | None:
        """Prepares the shortest way to run a model of one input and one output.

        Args:
            call: A ``HostCall`` that has run.
            shape: The output's shape.
            dtype: The output's type.

        Returns:
            What takes an input, row-major and of the right type, and gives the output; None if the
            host has no such way.
        """
        del call, shape, dtype
        return None

    @abstractmethod
    def collect(self, result: JavaObject) -> list[np.ndarray]:
        """Returns the arrays of a ``HostResult``, which nobody else may use from then on."""


class Lent(ABC):
    """Memory that a call works on. The addresses are those in the JVM, in the model's order.

    Attributes:
        inputs: Where the given arrays lie, without those that are None.
        outputs: Where the results are to be written; 0 for one without elements.
    """

    __slots__ = ("inputs", "outputs")
    inputs: list[int]
    outputs: list[int]

    @abstractmethod
    def ask(self, target: JavaObject, method: str, *args: Any) -> Any:
        """Calls a method that works on the memory; see `Jvm.ask`."""

    def __enter__(self) -> Self:
        return self

    @abstractmethod
    def __exit__(self, kind: type | None, *exc: object) -> None: ...


def read_layout(
    numbers: Sequence[int], dtypes: Sequence[np.dtype]
) -> list[tuple[int, tuple[int, ...], np.dtype]]:
    """Reads what ``HostResult.layout`` tells.

    Args:
        numbers: For each array its address, its element type, its rank and its sizes.
        dtypes: The element types in Java's order.

    Returns:
        Address, shape and dtype of each array.
    """
    found = []
    at = 0
    while at < len(numbers):
        where, kind, rank = numbers[at : at + 3]
        found.append((where, tuple(numbers[at + 3 : at + 3 + rank]), dtypes[kind]))
        at += 3 + rank
    return found


def java_error(code: str | None, kind: str, text: str, shown: str) -> errors.KBridgeError:
    """Returns the kbridge error that stands for what Java threw.

    Args:
        code: Name of its ``ErrorCode``, if it is a ``KBridgeException``.
        kind: Its class.
        text: Its message.
        shown: The whole of it in one line.
    """
    if code is not None:
        return errors.error_for_code(code)(text)
    if kind == "java.lang.OutOfMemoryError":
        return errors.JvmOutOfMemoryError(
            f"Expected enough memory in the JVM. Received: {shown}. Use a smaller batch_size, or "
            "give the JVM more before its start: kbridge.jvm.host.configure(heap=..., offheap=...) "
            "or, for one in a process of its own, kbridge.JvmProcess(heap=..., offheap=...)."
        )
    return errors.InternalError(
        f"Expected no error of this kind from the JVM. Received: {shown}. "
        "This is a defect of kbridge: please report it with the Java stack trace, which this "
        "error's cause has."
    )
