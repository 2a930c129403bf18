"""Inputs that come in batches: generators, `tf.data.Dataset`, `PyDataset`, `DataLoader`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np


def is_stream(x: Any) -> bool:
    """Tells whether `x` gives batches one after the other, and is no array or nest of arrays."""
    if isinstance(x, (np.ndarray, list, tuple, dict, int, float)) or hasattr(x, "__array__"):
        return False
    return hasattr(x, "__iter__") or (hasattr(x, "__getitem__") and hasattr(x, "__len__"))


def length(batches: Any) -> int | None:
    """Returns how many batches there are, or None if that is not known."""
    return len(batches) if hasattr(batches, "__len__") else None


def each(batches: Any, steps: int | None) -> Iterator[Any]:
    """Yields the batches, at most `steps` of them."""
    # NB: Keras's PyDataset counts its batches, and iterating over it need not end by itself.
    if hasattr(batches, "__getitem__") and hasattr(batches, "__len__"):
        source: Iterable[Any] = (batches[i] for i in range(len(batches)))
    else:
        source = batches
    for i, batch in enumerate(source):
        if i == steps:
            return
        yield batch
        if i + 1 == steps:  # NB: a generator is not asked for a batch that is not wanted
            return
