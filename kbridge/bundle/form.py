"""What writer and reader agree on: where documents lie, how arrays and JSON are stored."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np

SCHEMA_VERSION = "1.1"
SPEC, TRAINING, PROVENANCE = "/kbridge/spec", "/kbridge/training", "/kbridge/provenance"
STEPS = "/kbridge/steps"
GOLDEN_INPUTS, GOLDEN_OUTPUTS = "/kbridge/golden/inputs", "/kbridge/golden/outputs"
CONSTANTS, STEP_ARRAYS = "/kbridge/constants", "/kbridge/step_arrays"
STATES = "/kbridge/states"

_STORED_AS = {"bool": np.dtype("uint8"), "bfloat16": np.dtype("uint16")}


def stored_array(array: np.ndarray) -> np.ndarray:
    """Returns `array` as it is stored: contiguous, little-endian, bool and bfloat16 as integers.

    Args:
        array: Any array of a dtype that docs/bundle-format.md lists.

    Returns:
        A view of `array` where possible, a copy where its memory order or byte order differ.
    """
    array = np.asarray(array)
    if not array.flags.c_contiguous:
        array = np.ascontiguousarray(array)
    storage = _STORED_AS.get(array.dtype.name)
    if storage is not None:
        return array.view(storage)
    return array.astype(array.dtype.newbyteorder("<"), copy=False)


def to_json(document: Any) -> str:
    """Returns a document as compact JSON; NaN and infinities are refused, JSON has none."""
    return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def digest_of(array: np.ndarray) -> str:
    """Returns the SHA-256 hex digest of the bytes of a stored array (see `stored_array`)."""
    return hashlib.sha256(array.reshape(-1).view(np.uint8)).hexdigest()


def dtype_of(name: str) -> np.dtype:
    """Returns the dtype of a name in a document."""
    if name == "bfloat16":
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(name)
