"""Says why a layer's code could not be traced: the line it fails on, and what to write instead."""

from __future__ import annotations

import inspect
import os
import re
import traceback
import types
from collections.abc import Iterator

import keras

import kbridge

DEFAULT_ADVICE = (
    "Compute it with functions of keras.ops, or register a lowering rule with @kbridge.lowers."
)
# Packages whose functions take arrays of their own, not Keras's symbolic ones.
_FOREIGN = frozenset({"jax", "numpy", "tensorflow", "torch"})
# What keras.ops calls otherwise than the packages do.
_OTHER_NAMES = {
    "cat": "concatenate",
    "concat": "concatenate",
    "div": "divide",
    "gather": "take",
    "gather_nd": "take",
    "l2_normalize": "normalize",
    "mm": "matmul",
    "mul": "multiply",
    "permute": "transpose",
    "pow": "power",
    "sub": "subtract",
    "unsqueeze": "expand_dims",
}
_CALL = re.compile(r"\b([A-Za-z_]\w*)((?:\.\w+)+)\s*\(")


def reason(e: BaseException) -> str:
    """The exception in one line, with the line of the user's code it came from."""
    message = str(e).strip().splitlines()
    first = message[0] if message else ""
    if "KerasTensor" in first:
        # NB: Keras goes on about functional models here, which is not what the user did wrong.
        first = first.split(". ")[0].rstrip(".")
    text = f"{type(e).__name__}: {first}"
    if hasattr(e, "advice"):
        text = str(e)
    where = _user_frame(e)
    if where is None:
        return text
    code = where.frame.f_code.co_filename
    line = traceback.extract_tb(where.tb, limit=1)[0].line
    return f"{text} (in {os.path.basename(code)} line {where.tb.tb_lineno}: {line})"


def advice(e: BaseException) -> str:
    """What to do about it: which functions of `keras.ops` stand for those the line calls."""
    given = getattr(e, "advice", "")
    if given:
        return given
    where = _user_frame(e)
    calls = [] if where is None else list(_foreign_calls(where))
    known = [(call, name) for call, name in calls if name]
    if known:
        instead = ", ".join(f"keras.ops.{name} in place of {call}" for call, name in known)
        return f"Use {instead}."
    if calls:
        return (
            f"{calls[0][0]} takes no symbolic tensors, and keras.ops has no function of that name. "
            + DEFAULT_ADVICE
        )
    return DEFAULT_ADVICE


class _Frame:
    """The innermost frame of the user's code in an exception's traceback."""

    def __init__(self, tb: types.TracebackType):
        self.tb = tb
        self.frame = tb.tb_frame


def _user_frame(e: BaseException) -> _Frame | None:
    found, tb = None, e.__traceback__
    while tb is not None:
        if not _is_library(tb.tb_frame.f_code.co_filename):
            found = _Frame(tb)
        tb = tb.tb_next
    return found


def _foreign_calls(where: _Frame) -> Iterator[tuple[str, str | None]]:
    """The calls of other packages on the line, each with its name in `keras.ops`, if it has one."""
    line = traceback.extract_tb(where.tb, limit=1)[0].line or ""
    for root, rest in _CALL.findall(line):
        module = where.frame.f_locals.get(root, where.frame.f_globals.get(root))
        if isinstance(module, types.ModuleType) and module.__name__.split(".")[0] in _FOREIGN:
            name = rest.rsplit(".", 1)[1]
            yield root + rest, _in_keras(name)


def _in_keras(name: str) -> str | None:
    for candidate in (name, name.removeprefix("reduce_"), _OTHER_NAMES.get(name, "")):
        if candidate and callable(getattr(keras.ops, candidate, None)):
            return candidate
    return None


# NB: packages installed beside Keras count as libraries, except that kbridge may lie in a checkout.
_LIBRARIES = (
    os.path.dirname(os.path.dirname(inspect.getfile(keras))) + os.sep,
    os.path.dirname(kbridge.__file__) + os.sep,
)


def _is_library(filename: str) -> bool:
    return filename.startswith(_LIBRARIES) or filename.startswith("<")
