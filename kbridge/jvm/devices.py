"""What computes: the ``device`` that users name."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from kbridge import errors


class Device(NamedTuple):
    """A device.

    Attributes:
        kind: ``"cpu"`` or ``"gpu"``: one JVM has the libraries of one kind.
        index: Number of the GPU.
    """

    kind: str
    index: int = 0

    def __str__(self) -> str:
        return self.kind if self.kind == "cpu" else f"gpu:{self.index}"


def parse(text: Any) -> Device:
    """Returns the device that a text names; asks nobody whether it is there.

    Args:
        text: ``"cpu"``, ``"gpu"`` (the first one), ``"gpu:1"``, or ``"auto"``: the CPU, as long as
            no machine has shown that the GPU gives the right numbers (docs/gpu.md).

    Raises:
        OptionError: It names none.
    """
    found = re.fullmatch(r"(auto|cpu)|gpu(?::(\d{1,4}))?", text) if isinstance(text, str) else None
    if found is None:
        raise errors.OptionError(
            "Expected device to be one of 'auto', 'cpu', 'gpu', or a GPU by its number as in "
            f"'gpu:1'. Received: {text!r}."
        )
    return Device("cpu") if found[1] else Device("gpu", int(found[2] or 0))
