"""Every error kbridge raises on purpose.

Each class that has a counterpart in the Java runtime names it in ``code``, so that an error that
crosses from the JVM becomes the right Python class without anybody reading its message.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple


class KBridgeError(Exception):
    """Base class of all kbridge errors."""

    code: ClassVar[str | None] = None
    """Name of the Java ``ErrorCode`` this class stands for, or None for a Python-only error."""


class BundleNotFoundError(KBridgeError, FileNotFoundError):
    """The bundle (or source model) file does not exist or cannot be opened."""

    code = "BUNDLE_NOT_FOUND"


class BundleFormatError(KBridgeError, ValueError):
    """The file is no bundle: truncated, foreign, or with parts missing or contradicting."""

    code = "BUNDLE_FORMAT"


class SchemaVersionError(BundleFormatError):
    """The bundle was written by a newer, incompatible schema version."""

    code = "SCHEMA_VERSION"


class DigestMismatchError(BundleFormatError):
    """A stored array or document does not have the SHA-256 that the bundle says it has."""

    code = "DIGEST_MISMATCH"


class UnsupportedOpError(KBridgeError):
    """The runtime has no mapping for an operation, or not for these attributes."""

    code = "UNSUPPORTED_OP"


class NotTrainableError(KBridgeError):
    """The model was not compiled with a loss, or something of it cannot be trained in the JVM."""

    code = "NOT_TRAINABLE"


class NotANumberError(KBridgeError, ArithmeticError):
    """A training step gave no number: the weights are those before the step."""

    code = "NOT_A_NUMBER"


class InvalidInputError(KBridgeError, ValueError):
    """Model inputs of a wrong name, count, rank, shape or dtype."""

    code = "INVALID_INPUT"


class DeviceUnavailableError(KBridgeError):
    """The requested device (GPU) is not usable here."""

    code = "DEVICE_UNAVAILABLE"


class JvmOutOfMemoryError(KBridgeError, MemoryError):
    """The JVM, or its native memory, had no room for the model or a prediction."""

    code = "OUT_OF_MEMORY"


class SelfTestError(KBridgeError):
    """The bundle's golden samples do not give the stored answers on this machine."""

    code = "SELF_TEST_FAILED"


class PythonUnavailableError(KBridgeError):
    """A Python process that a Java program asked (``KBridgePython``) cannot be had."""

    code = "PYTHON_UNAVAILABLE"


class PythonFailedError(KBridgeError):
    """A Python process that a Java program asked (``KBridgePython``) refused it."""

    code = "PYTHON_FAILED"


class InternalError(KBridgeError):
    """A defect of kbridge itself; the message asks for a report."""

    code = "INTERNAL"


class ExportError(KBridgeError):
    """A model could not be exported (no disk space, unreadable source, unbuilt model)."""

    code = "EXPORT_FAILED"


class Problem(NamedTuple):
    """One reason why a model is refused.

    Attributes:
        path: Where in the model: layer names joined by ``/``.
        class_name: Class of the layer or operation.
        reason: What is not supported, with what was met.
        advice: What the user can do about it.
    """

    path: str
    class_name: str
    reason: str
    advice: str


class UnsupportedModelError(ExportError):
    """Parts of a model cannot be exported. All of them are listed, not only the first.

    Attributes:
        problems: One `Problem` per part.
    """

    def __init__(self, problems: list[Problem]):
        self.problems = list(problems)
        lines = [
            f"  {i}. {p.path} ({p.class_name}): {p.reason}\n     What to do: {p.advice}"
            for i, p in enumerate(self.problems, 1)
        ]
        count = len(self.problems)
        what = "part" if count == 1 else "parts"
        super().__init__(f"{count} {what} of the model cannot be exported:\n" + "\n".join(lines))


class ParityError(KBridgeError, AssertionError):
    """Native Keras and the JVM disagree, or parity could not be told (NaN in the reference)."""


class JavaNotFoundError(KBridgeError):
    """No usable Java installation was found."""


class JarsNotFoundError(KBridgeError):
    """Java libraries are missing and could not be resolved."""


class JvmStateError(KBridgeError, RuntimeError):
    """The JVM cannot do this now: other options are in force, or it was shut down."""


class JvmProcessError(JvmStateError):
    """A JVM in a process of its own could not be started, or has ended."""


class JvmTimeoutError(JvmProcessError, TimeoutError):
    """A JVM in a process of its own did not answer in time, and was ended."""


class OptionError(KBridgeError, ValueError):
    """An argument of a kbridge function has a value that is unknown or not there yet."""


class MissingPackageError(KBridgeError, ImportError):
    """An optional Python package is needed for what was asked."""


def error_for_code(code: str) -> type[KBridgeError]:
    """Returns the class of a Java ``ErrorCode``; `InternalError` for an unknown one."""
    pending = [KBridgeError]
    while pending:
        cls = pending.pop()
        if cls.__dict__.get("code") == code:
            return cls
        pending.extend(cls.__subclasses__())
    return InternalError
