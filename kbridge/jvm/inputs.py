"""What a model takes: inputs are checked, all problems told at once, and converted like Keras."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from kbridge import errors
from kbridge.jvm import arrays
from kbridge.jvm.structures import Structure, StructureError, flatten


class TensorSpec(NamedTuple):
    """One input or output of a model.

    Attributes:
        name: Its name.
        shape: Its shape; None for a size that is chosen at call time.
        dtype: Its element type, as NumPy's dtype.
        optional: Whether None may be given for it.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: np.dtype
    optional: bool = False

    @classmethod
    def of(cls, described: dict[str, Any]) -> TensorSpec:
        """Makes one from an entry of the bundle's spec."""
        return cls(
            described["name"],
            tuple(described["shape"]),
            arrays.dtype(described["dtype"]),
            bool(described.get("optional", False)),
        )

    @property
    def batched(self) -> bool:
        """Whether the first axis is the batch."""
        return len(self.shape) > 0 and self.shape[0] is None

    def accepts(self, shape: tuple[int, ...]) -> bool:
        """Tells whether an array of this shape fits."""
        mine = self.shape
        return len(shape) == len(mine) and all(
            want is None or want == got for want, got in zip(mine, shape, strict=True)
        )

    def __str__(self) -> str:
        sizes = ", ".join("any" if size is None else str(size) for size in self.shape)
        return f"{self.name!r}: {self.dtype.name} ({sizes})"


class Inputs:
    """Checks and converts the inputs of one model.

    Args:
        specs: The model's inputs, in its order.
        structure: How they nest.
    """

    def __init__(self, specs: Sequence[TensorSpec], structure: Structure):
        self.specs = tuple(specs)
        self.structure = structure
        self._names = [spec.name for spec in specs]
        first = {spec.shape[0] if spec.shape else None for spec in specs}
        self.fixed_batch: int | None = first.pop() if len(first) == 1 else None
        """The batch size, where the model has a fixed one."""

    def check(self, x: Any) -> list[np.ndarray | None]:
        """Returns the inputs as a flat list of arrays that fit the model, not converted yet.

        Args:
            x: An array, or arrays in a list, tuple or dict, as Keras takes them.

        Raises:
            InvalidInputError: Something does not fit; all of it is in the message.
        """
        try:
            flat = flatten(self.structure, x, self._names)
        except StructureError as e:
            raise self._error([f"Expected {e}."]) from e
        problems: list[str] = []
        checked = [
            self._fit(spec, value, problems) for spec, value in zip(self.specs, flat, strict=True)
        ]
        rows = {
            spec.name: array.shape[0]
            for spec, array in zip(self.specs, checked, strict=True)
            if array is not None and (spec.batched or self.fixed_batch) and array.ndim
        }
        if len(set(rows.values())) > 1:
            sizes = ", ".join(f"{name!r}: {size}" for name, size in rows.items())
            problems.append(
                f"Expected the same number of samples in all inputs. Received: {sizes}."
            )
        if problems:
            raise self._error(problems)
        return checked

    def rows(self, checked: Sequence[np.ndarray | None]) -> int | None:
        """Returns how many samples checked inputs have; None if they have no axis of samples."""
        for spec, array in zip(self.specs, checked, strict=True):
            if array is not None and (spec.batched or self.fixed_batch):
                return array.shape[0]
        return None

    def convert(self, checked: Sequence[np.ndarray | None]) -> list[np.ndarray | None]:
        """Returns checked inputs (or slices of them) as the JVM reads them."""
        return [
            None if array is None else arrays.contiguous(array, spec.dtype)
            for spec, array in zip(self.specs, checked, strict=True)
        ]

    def _fit(self, spec: TensorSpec, value: Any, problems: list[str]) -> np.ndarray | None:
        if value is None:
            if not spec.optional:
                problems.append(f"Expected values for {spec}. Received: None.")
            return None
        try:
            array = arrays.as_numpy(value)
        except (ValueError, TypeError) as e:
            problems.append(
                f"Expected an array for {spec}. Received: {type(value).__name__} ({e})."
            )
            return None
        if not self._accepts(spec, array.shape):
            array = _adjusted(array, spec)
        if not self._accepts(spec, array.shape):
            problems.append(f"Expected {spec}. Received: shape {array.shape}.")
        elif array.dtype != spec.dtype:
            reason = _unsafe(array, spec.dtype)
            if reason is not None:
                problems.append(f"Expected {spec}. Received: {reason}.")
        return array

    def _accepts(self, spec: TensorSpec, shape: tuple[int, ...]) -> bool:
        # NB: several batches of a fixed size may come at once; they are run one by one.
        if self.fixed_batch and len(shape) > 0 and shape[0] % self.fixed_batch == 0:
            shape = (self.fixed_batch, *shape[1:])
        return spec.accepts(shape)

    def _error(self, problems: list[str]) -> errors.InvalidInputError:
        wanted = "\n  ".join(str(spec) for spec in self.specs)
        return errors.InvalidInputError(
            "The inputs do not fit the model.\n"
            + "\n".join(f"- {problem}" for problem in problems)
            + f"\nThe model's inputs are:\n  {wanted}\nGive them as one array, or as a list or a "
            "dict of arrays by name."
        )


def _adjusted(array: np.ndarray, spec: TensorSpec) -> np.ndarray:
    """Adds or drops a last axis of size 1, as Keras's functional models do."""
    rank = len(spec.shape)
    if array.ndim == rank + 1 and array.shape[-1] == 1:
        return array[..., 0]
    if array.ndim == rank - 1 and spec.shape[-1] == 1:
        return array[..., np.newaxis]
    return array


def _unsafe(array: np.ndarray, wanted: np.dtype) -> str | None:
    """Returns why values must not be converted, or None if they can be.

    Keras converts to the input's dtype. Rounding to a shorter float is part of that; but a whole
    number is never changed here: 1.7 does not become 1, and 300 does not become 44.
    """
    given = array.dtype
    if given.kind not in "biuf" and given.name != "bfloat16":
        return f"dtype {given}, which holds no real numbers"
    if wanted.kind not in "biu" or given == np.bool_ or array.size == 0:
        return None
    if np.can_cast(given, wanted, "safe"):
        return None
    limits = (0, 1) if wanted.kind == "b" else (np.iinfo(wanted).min, np.iinfo(wanted).max)
    low, high = array.min(), array.max()
    finite = bool(np.isfinite(low) and np.isfinite(high))
    # NB: compared as Python integers; as floats, 2**63 would seem to fit an int64.
    if not finite or int(low) < limits[0] or int(high) > limits[1]:
        return f"{given} values from {low} to {high}, which {wanted} cannot hold"
    if given.kind not in "biu" and not bool(np.all(np.trunc(array) == array)):
        return f"{given} values with fractions, which {wanted} cannot hold"
    return None
