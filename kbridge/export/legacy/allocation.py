"""Builds models without allocating their variables: a file cannot ask for what it does not hold.

Keras leaves variables unallocated inside a `StatelessScope` that is told so. Shapes are known
then, stored arrays can be checked against them, and each variable is allocated once, from its
array.
NB: deferred variables are internals of Keras; everything that touches them is in this module.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from keras.src.backend.common import global_state

from kbridge.errors import BundleFormatError

_PENDING = "uninitialized_variables"
# NB: states that Keras does not store, such as seeds, are small.
_SLACK = 1 << 16


@contextmanager
def unallocated() -> Iterator[None]:
    """While this is open, layers are built without memory for their variables."""
    global_state.set_global_attribute(_PENDING, [])
    try:
        with keras.StatelessScope(initialize_variables=False):
            yield
    except BaseException:
        discard()
        raise


def discard() -> None:
    """Forgets variables that were never allocated."""
    global_state.set_global_attribute(_PENDING, [])


def check_claim(model: Any, stored_bytes: int) -> None:
    """Compares the memory a configuration asks for with what the file holds.

    Raises:
        BundleFormatError: If it asks for more.
    """
    claimed = sum(_bytes(variable) for variable in model.variables)
    # NB: a file may hold float16 where this counts float32, or 8-bit weights; never less.
    if claimed > 8 * stored_bytes + _SLACK:
        discard()
        raise BundleFormatError(
            f"Expected weights for a model of {claimed} bytes. Received: a file that stores "
            f"{stored_bytes}. The file's weights do not belong to its configuration."
        )


def _bytes(variable: Any) -> int:
    return math.prod(variable.shape) * np.dtype("float32").itemsize


def set_value(variable: Any, array: np.ndarray) -> None:
    """Sets a variable, allocating it from the array if it was not allocated yet."""
    if variable._value is not None:
        variable.assign(array)
        return
    variable._initializer = lambda *args, **kwargs: array
    variable._deferred_initialize()


def allocate_rest() -> None:
    """Allocates variables no array was stored for, such as seeds, from their initializers."""
    pending = global_state.get_global_attribute(_PENDING) or []
    discard()
    for variable in pending:
        if variable._value is None:
            variable._deferred_initialize()
