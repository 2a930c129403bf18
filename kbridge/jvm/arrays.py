"""Arrays on their way to the JVM: element types, conversion, addresses.

In this process inputs cross as the address of a contiguous NumPy array that Python keeps alive
during the call. JPype's own direct buffers are not used for it: the JVM would hold every input
until some later garbage collection, which a Java heap of small objects seldom needs, and the
process would grow.

Outputs are written by the JVM into NumPy arrays that Python made, once their shapes are known.
Until then (the first call for a shape, and values from inside a model) they are memory of the JVM
with a NumPy array laid over it; it is freed when the last array that looks at it is gone.

To a JVM in a process of its own they cross through shared memory (`kbridge.jvm.segments`).
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from typing import Any

import numpy as np

from kbridge import errors

_char_in, _addressof = ctypes.c_char.from_buffer, ctypes.addressof

NAMES = (
    *("float16", "float32", "float64", "bfloat16", "bool"),
    *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
)
"""The element types of a bundle."""


@cache
def dtype(name: str) -> np.dtype:
    """Returns the NumPy dtype for a bundle's element type.

    Args:
        name: One of `NAMES`.

    Raises:
        BundleFormatError: There is no such type.
        MissingPackageError: bfloat16 without the package ml_dtypes.
    """
    if name not in NAMES:
        raise errors.BundleFormatError(
            f"Expected an element type among {', '.join(NAMES)}. Received: {name!r}. "
            "Export the model again with this version of kbridge."
        )
    if name != "bfloat16":
        return np.dtype(name)
    try:
        import ml_dtypes
    except ImportError as e:
        raise errors.MissingPackageError(
            "Expected the Python package ml_dtypes, which gives NumPy the type bfloat16. "
            f"Received: {e}. Install it: pip install ml_dtypes"
        ) from e
    return np.dtype(ml_dtypes.bfloat16)


def as_numpy(x: Any) -> np.ndarray:
    """Returns an array, a nested list of numbers or a tensor of any backend as a NumPy array.

    Memory is shared where the backend allows it (TensorFlow, JAX and PyTorch do, on the CPU).

    Args:
        x: The values.
    """
    if isinstance(x, np.ndarray):
        return x
    # NB: looked up, not imported: a tensor of PyTorch can only exist where torch is loaded.
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(x, torch.Tensor):
        x = x.detach().cpu()
        if x.dtype == torch.bfloat16:  # NumPy has no such type, and torch refuses to convert it
            return x.contiguous().view(torch.int16).numpy().view(dtype("bfloat16"))
    return np.asarray(x)


def contiguous(array: np.ndarray, wanted: np.dtype) -> np.ndarray:
    """Returns `array` as the JVM reads memory: row-major, aligned, native bytes, of one dtype.

    Args:
        array: The values.
        wanted: The dtype to have; values are converted to it.

    Returns:
        The same array where it is so already, else one copy of it.
    """
    flags = array.flags
    if array.dtype == wanted and flags.c_contiguous and flags.aligned:
        return array
    # NB: ascontiguousarray is not used, it makes a one-dimensional array of a scalar.
    return array.astype(wanted, order="C", copy=True, subok=False)


def address(array: np.ndarray) -> int:
    """Returns where the first element lies; the caller keeps `array` alive while it is used."""
    try:
        # NB: four times as fast as asking the array; a call of a small model is done in that time.
        return _addressof(_char_in(array))
    except (TypeError, ValueError):
        # NB: what is read-only, empty, not dense or of a type that buffers have no name for.
        return array.__array_interface__["data"][0]
