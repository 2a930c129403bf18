"""Comparing the JVM's arrays with native Keras's, always in the same order.

Count, names, dtype, shape, NaN/Inf, value: every check that can still be made is made, and every
finding is kept. The rule for values is ``|jvm - keras| <= atol + rtol * |keras|``, computed in
float64. Integers and booleans have to be equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from kbridge.parity.tolerance import Tolerance

# Relative errors of elements smaller than this share of the array's largest are taken against it.
_FLOOR = 1e-2

# Elements compared at once: bounds the float64 temporaries to a few MB each.
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Finding:
    """One difference: its kind, in the order of the checks, and a message that says it all."""

    kind: str
    message: str


@dataclass
class ArrayComparison:
    """How one array of the JVM compares with native Keras's.

    Attributes:
        name: Name of the output or value.
        dtype: The reference's dtype.
        shape: The reference's shape; of the first batch when there are several.
        findings: All differences; empty when the arrays agree.
        size: Number of elements compared.
        outside: Number of elements out of tolerance, NaN and Inf that do not match included.
        nonfinite: Number of NaN and Inf in the reference.
        max_abs: Largest ``|jvm - keras|``.
        max_rel: Largest ``|jvm - keras| / max(|keras|, floor)``. The floor is a hundredth of the
            largest ``|keras|`` of the array: an element that is nothing beside the others does not
            make their error look large.
        max_ratio: Largest ``|jvm - keras| / (atol + rtol * |keras|)``: above 1 is out of tolerance.
        max_excess: Largest ``|jvm - keras| - (atol + rtol * |keras|)``, at least 0.
        rounding: How far rounding alone moves native Keras's own array; None where nobody had to
            ask (see `kbridge.parity.rounding`).
        worst: Index, the JVM's and Keras's value where `max_ratio` was met.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    findings: list[Finding] = field(default_factory=list)
    size: int = 0
    outside: int = 0
    nonfinite: int = 0
    max_abs: float = 0.0
    max_rel: float = 0.0
    max_ratio: float = 0.0
    max_excess: float = 0.0
    rounding: float | None = None
    worst: tuple[tuple[int, ...], float, float] | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing differs by more than rounding."""
        return not self.findings

    @property
    def rounded(self) -> bool:
        """Whether elements are out of tolerance, but by no more than rounding explains."""
        return self.ok and self.outside > 0

    def merge(self, other: ArrayComparison) -> None:
        """Adds what the next batch of the same array gave."""
        self.findings.extend(other.findings)
        self.size += other.size
        self.outside += other.outside
        self.nonfinite += other.nonfinite
        self.max_abs = max(self.max_abs, other.max_abs)
        self.max_rel = max(self.max_rel, other.max_rel)
        self.max_excess = max(self.max_excess, other.max_excess)
        if other.rounding is not None:
            self.rounding = max(self.rounding or 0.0, other.rounding)
        if other.max_ratio > self.max_ratio:
            self.max_ratio, self.worst = other.max_ratio, other.worst


@dataclass
class GroupComparison:
    """Arrays that belong together: all outputs of a model, or of one layer call.

    Attributes:
        findings: Differences of the group as a whole: count and names.
        arrays: One comparison for each array that both sides have.
    """

    findings: list[Finding] = field(default_factory=list)
    arrays: list[ArrayComparison] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing differs."""
        return not self.findings and all(a.ok for a in self.arrays)

    @property
    def rounded(self) -> bool:
        """Whether elements are out of tolerance, but by no more than rounding explains."""
        return self.ok and any(a.rounded for a in self.arrays)

    @property
    def all_findings(self) -> list[Finding]:
        """The group's own findings, then its arrays'."""
        return self.findings + [f for a in self.arrays for f in a.findings]

    @property
    def max_abs(self) -> float:
        """Largest absolute error of any element."""
        return max((a.max_abs for a in self.arrays), default=0.0)

    @property
    def max_rel(self) -> float:
        """Largest relative error of any element."""
        return max((a.max_rel for a in self.arrays), default=0.0)

    @property
    def max_ratio(self) -> float:
        """Largest error as a multiple of the tolerance."""
        return max((a.max_ratio for a in self.arrays), default=0.0)

    @property
    def outside(self) -> int:
        """Number of elements out of tolerance."""
        return sum(a.outside for a in self.arrays)

    @property
    def size(self) -> int:
        """Number of elements compared."""
        return sum(a.size for a in self.arrays)

    def merge(self, other: GroupComparison) -> None:
        """Adds what the next batch of the same group gave."""
        self.findings.extend(f for f in other.findings if f not in self.findings)
        mine = {a.name: a for a in self.arrays}
        for array in other.arrays:
            if array.name in mine:
                mine[array.name].merge(array)
            else:
                self.arrays.append(array)


@dataclass
class LayerComparison(GroupComparison):
    """The outputs of one call of one layer.

    Attributes:
        scope: Path of layer names from the model downwards.
        call: Which call of that layer, from 0.
        class_name: The layer's class.
    """

    scope: str = ""
    call: int = 0
    class_name: str = ""

    @property
    def label(self) -> str:
        """The scope, with the call's index from the second call on."""
        return f"{self.scope} (call {self.call})" if self.call else self.scope


def compare_arrays(
    name: str, tested: np.ndarray, reference: np.ndarray, tolerance: Tolerance
) -> ArrayComparison:
    """Compares one array: dtype, then shape, NaN/Inf and value.

    Args:
        name: What to call it in messages.
        tested: The JVM's array.
        reference: Native Keras's array.
        tolerance: What still counts as equal.

    Returns:
        The comparison, with all findings. Values are not compared when the shapes differ.
    """
    result = ArrayComparison(name, reference.dtype.name, reference.shape)
    if tested.dtype != reference.dtype:
        result.findings.append(
            Finding(
                "dtype",
                f"{name}: expected dtype {reference.dtype.name}. Received: {tested.dtype.name}.",
            )
        )
    if tested.shape != reference.shape:
        result.findings.append(
            Finding(
                "shape",
                f"{name}: expected shape {reference.shape}. Received: {tested.shape}. "
                "Its values were not compared.",
            )
        )
        return result
    _compare_values(result, tested, reference, tolerance)
    return result


def compare_groups(
    tested: Mapping[str, np.ndarray], reference: Mapping[str, np.ndarray], tolerance: Tolerance
) -> GroupComparison:
    """Compares two ordered sets of named arrays: count, names, then each array both have.

    Args:
        tested: The JVM's arrays by name.
        reference: Native Keras's arrays by name.
        tolerance: What still counts as equal.

    Returns:
        The comparison, with all findings.
    """
    group = GroupComparison()
    if len(tested) != len(reference):
        group.findings.append(
            Finding(
                "count",
                f"Expected {len(reference)} arrays ({_listed(reference)}). "
                f"Received: {len(tested)} ({_listed(tested)}).",
            )
        )
    if list(tested) != list(reference):
        group.findings.append(
            Finding("names", f"Expected names {_listed(reference)}. Received: {_listed(tested)}.")
        )
    group.arrays = [
        compare_arrays(name, np.asarray(tested[name]), np.asarray(array), tolerance)
        for name, array in reference.items()
        if name in tested
    ]
    return group


def _listed(names: Mapping[str, object]) -> str:
    return ", ".join(map(repr, names)) or "none"


class _Rule(NamedTuple):
    """How the elements of one array are compared."""

    tolerance: Tolerance
    exact: bool
    floor: float
    atol: float

    @classmethod
    def of(cls, reference: np.ndarray, tolerance: Tolerance) -> _Rule:
        largest = 0.0
        for start in range(0, reference.size, _CHUNK):
            values = np.abs(reference[start : start + _CHUNK].astype(np.float64))
            largest = max(largest, float(values.max(initial=0.0, where=np.isfinite(values))))
        floor = max(_FLOOR * largest, float(np.finfo(np.float64).tiny))
        atol = tolerance.atol * (largest if tolerance.scaled else 1.0)
        return cls(tolerance, reference.dtype.kind in "iub", floor, atol)


def _compare_values(
    result: ArrayComparison, tested: np.ndarray, reference: np.ndarray, tolerance: Tolerance
) -> None:
    tested, reference = tested.reshape(-1), reference.reshape(-1)
    rule = _Rule.of(reference, tolerance)
    strays = 0
    for start in range(0, reference.size, _CHUNK):
        chunk = slice(start, start + _CHUNK)
        strays += _compare_chunk(result, tested[chunk], reference[chunk], rule, start)
    _find_nonfinite(result, strays, tolerance)
    if result.outside:
        _find_values(result, rule)


def _compare_chunk(
    result: ArrayComparison, tested: np.ndarray, reference: np.ndarray, rule: _Rule, start: int
) -> int:
    """Adds one chunk to the result; returns how many NaN and Inf do not match."""
    a, b = tested.astype(np.float64), reference.astype(np.float64)
    finite = np.isfinite(a) & np.isfinite(b)
    strays = ~finite & ~((a == b) | (np.isnan(a) & np.isnan(b)))
    with np.errstate(invalid="ignore"):
        error = np.where(finite, np.abs(a - b), 0.0)
        magnitude = np.where(finite, np.abs(b), 0.0)
    allowed = 0.0 if rule.exact else rule.atol + rule.tolerance.rtol * magnitude
    # NB: 64-bit integers do not all fit into float64, so equality is asked of the integers.
    unequal = (tested != reference) if tested.dtype == reference.dtype else error != 0
    outside = strays | (finite & (unequal if rule.exact else error > allowed))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio = np.where(error > 0, error / allowed, 0.0)
        relative = error / np.maximum(magnitude, rule.floor)
    ratio[strays | (outside & rule.exact)] = np.inf
    result.size += a.size
    result.nonfinite += int(np.count_nonzero(~np.isfinite(b)))
    result.outside += int(np.count_nonzero(outside))
    result.max_abs = max(result.max_abs, float(error.max()))
    result.max_rel = max(result.max_rel, float(relative.max()))
    result.max_excess = max(result.max_excess, float((error - allowed).max()))
    at = int(ratio.argmax())
    if ratio[at] > result.max_ratio:
        result.max_ratio = float(ratio[at])
        index = tuple(int(i) for i in np.unravel_index(start + at, result.shape))
        result.worst = (index, tested[at].item(), reference[at].item())
    return int(np.count_nonzero(strays))


def _find_nonfinite(result: ArrayComparison, strays: int, tolerance: Tolerance) -> None:
    if result.nonfinite and not tolerance.allow_nan:
        result.findings.append(
            Finding(
                "nan",
                f"{result.name}: expected finite values from native Keras. Received: "
                f"{result.nonfinite} NaN or Inf of {result.size}. Check with inputs that the model "
                "can take (x=...), or accept them where both sides have them (allow_nan=True).",
            )
        )
    if strays:
        result.findings.append(
            Finding(
                "nan",
                f"{result.name}: expected NaN and Inf only where native Keras has the same. "
                f"Received: {strays} of {result.size} elements where only one side has them, or "
                "another.",
            )
        )


def _find_values(result: ArrayComparison, rule: _Rule) -> None:
    wanted = "equal values" if rule.exact else str(rule.tolerance)
    index, tested, reference = result.worst
    result.findings.append(
        Finding(
            "value",
            f"{result.name}: expected {wanted}. Received: {result.outside} of {result.size} "
            f"elements that are not, the worst at {list(index)}: {_digits(tested)} instead of "
            f"{_digits(reference)}.",
        )
    )


def _digits(value: float) -> str:
    return f"{value:.9g}" if isinstance(value, float) else repr(value)
