"""How close to native Keras a runtime has to come, for the numbers a model computes with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# For the coarsest numbers that a model computes with: rtol, atol, and whether atol is a share of
# an array's largest magnitude.
TOLERANCES = {
    "float32": (1e-4, 1e-5, False),
    # NB: 11 bits, so one rounding is up to 0.05 %; five of them. Of single layers, attention was
    # seen to differ by four.
    "float16": (0.0025, 0.0025, True),
    # NB: 8 bits, so one rounding is up to 0.4 %; it adds up over the layers of a deep net.
    "bfloat16": (0.02, 0.02, True),
}


def coarsest(spec: Mapping[str, Any]) -> str:
    """Returns which of `TOLERANCES` a model's numbers call for.

    Args:
        spec: A bundle's spec.
    """
    computed = {
        output["dtype"]
        for graph in spec["graphs"].values()
        for node in graph["nodes"]
        for output in node["outputs"]
    }
    return next((name for name in ("bfloat16", "float16") if name in computed), "float32")
