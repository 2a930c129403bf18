"""What still counts as equal: ``|jvm - keras| <= atol + rtol * |keras|``."""

from __future__ import annotations

import math
from dataclasses import dataclass

from kbridge.bundle.tolerances import TOLERANCES


@dataclass(frozen=True)
class Tolerance:
    """What still counts as equal.

    Attributes:
        rtol: Tolerance relative to the reference's magnitude.
        atol: Absolute tolerance.
        allow_nan: Whether NaN and Inf in the reference are accepted where the JVM has the same.
        scaled: Whether `atol` is a share of the largest magnitude in the reference.
    """

    rtol: float = 1e-4
    atol: float = 1e-5
    allow_nan: bool = False
    scaled: bool = False

    def __post_init__(self) -> None:
        for name in ("rtol", "atol"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"Expected {name} to be a finite number >= 0. Received: {value!r}")

    def __str__(self) -> str:
        atol = f"{self.atol:g} * max|keras|" if self.scaled else f"{self.atol:g}"
        return f"|jvm - keras| <= {atol} + {self.rtol:g} * |keras|"


# For each precision: rtol, atol, and whether atol is a share of the array's largest magnitude.
_TOLERANCES = {
    **TOLERANCES,
    # NB: one rounding is up to 0.4 % of the largest value.
    "int8": (0.05, 0.05, True),
}


def tolerance_of(
    rtol: float | None, atol: float | None, precision: str, allow_nan: bool, computed: str
) -> Tolerance:
    """Returns the tolerance for a model.

    Args:
        rtol: What was asked for; None is what the coarser one of the two precisions allows.
        atol: The same.
        precision: What the JVM computes products with.
        allow_nan: Whether NaN and Inf are accepted where both sides have the same.
        computed: The coarsest numbers of the model itself (`kbridge.bundle.tolerances`).
    """
    usual_rtol, usual_atol, scaled = max(
        _TOLERANCES[computed], _TOLERANCES.get(precision, _TOLERANCES["float32"])
    )
    return Tolerance(
        usual_rtol if rtol is None else rtol,
        usual_atol if atol is None else atol,
        allow_nan,
        scaled,
    )
