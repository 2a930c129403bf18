"""What `fit` and `evaluate` take, as batches of one step's arrays: checked, cut as Keras cuts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from kbridge import errors
from kbridge.jvm import arrays, streams
from kbridge.jvm.inputs import Inputs
from kbridge.jvm.trainer import Batch, StepInput


class StepArrays:
    """Makes the arrays of a step of what a caller gives.

    Args:
        inputs: What the model takes.
        step: What the step takes.
        outputs: Names of the model's outputs, in its order.
        classes: For outputs whose labels are numbers of classes: how many classes there are, and
            the number that is ignored or None.
    """

    def __init__(
        self,
        inputs: Inputs,
        step: Sequence[StepInput],
        outputs: Sequence[str],
        classes: Mapping[str, tuple[int, int | None]],
    ):
        self._inputs = inputs
        # NB: several batches of a fixed size may come at once; they are cut.
        self._step = [_any_rows(i) if inputs.fixed_batch and i.role != "x" else i for i in step]
        self._outputs = list(outputs)
        self._classes = classes

    def make(self, x: Any, y: Any, sample_weight: Any = None, class_weight: Any = None) -> Batch:
        """Returns the arrays in the order of the step's inputs; all of them checked.

        Raises:
            InvalidInputError: Something does not fit.
        """
        checked = self._inputs.check(x)
        given = {("x", s.name): a for s, a in zip(self._inputs.specs, checked, strict=True)}
        if class_weight is not None:
            sample_weight = self._of_classes(y, class_weight, sample_weight)
        labels = self._named(y, "y", "labels")
        given |= {("y", name): array for name, array in labels.items()}
        weights = self._named(sample_weight, "sample_weight", "sample weights")
        given |= {("sample_weight", name): array for name, array in weights.items()}
        batch: Batch = []
        for wanted in self._step:
            array = given.get((wanted.role, wanted.of))
            if array is not None and wanted.broadcast:
                array = _broadcast(array, wanted, given.get(("y", wanted.of)))
            batch.append(self._fitted(wanted, array))
        self._check_rows(batch)
        return batch

    def _named(self, values: Any, role: str, what: str) -> dict[str, np.ndarray]:
        """Labels or weights by the name of their output."""
        wanted = [i.of for i in self._step if i.role == role]
        if values is None:
            if role == "y" and wanted:
                raise errors.InvalidInputError(
                    f"Expected labels of {', '.join(map(repr, wanted))}. Received: y=None. "
                    "Give y, one array for each output that has a loss."
                )
            return {}
        if isinstance(values, Mapping):
            return self._from_mapping(values, wanted, what)
        if isinstance(values, (list, tuple)) and any(getattr(v, "ndim", 0) for v in values):
            for names in (self._outputs, wanted):
                if len(values) == len(names):
                    pairs = zip(names, values, strict=True)
                    return {n: arrays.as_numpy(v) for n, v in pairs if v is not None}
            raise errors.InvalidInputError(
                f"Expected {what} of the outputs {self._outputs}. Received: {len(values)} arrays. "
                "Give one for each output, or a dict by their names."
            )
        array = arrays.as_numpy(values)
        if role == "sample_weight":
            return dict.fromkeys(wanted, array)  # NB: as in Keras, one for all outputs.
        if len(wanted) > 1:
            raise errors.InvalidInputError(
                f"Expected {what} of {', '.join(map(repr, wanted))}. Received: one array. Give a "
                "list of arrays, or a dict by the names of the outputs."
            )
        return dict.fromkeys(wanted, array)

    def _from_mapping(self, values: Mapping, wanted: list[str], what: str) -> dict[str, Any]:
        unknown = [name for name in values if name not in self._outputs]
        missing = [name for name in wanted if name not in values] if what == "labels" else []
        if unknown or missing:
            raise errors.InvalidInputError(
                f"Expected {what} of {', '.join(map(repr, wanted))}. Received: a dict with the "
                f"keys {list(values)}. Use the names of the model's outputs, {self._outputs}."
            )
        return {n: arrays.as_numpy(v) for n, v in values.items() if v is not None}

    def _fitted(self, wanted: StepInput, array: np.ndarray | None) -> np.ndarray | None:
        if array is None or wanted.role == "x":
            return array
        fitted = _reshaped(array, wanted.shape)
        if fitted is None or fitted.dtype.kind not in "biuf":
            sizes = ["any" if n is None else n for n in wanted.shape]
            what = "labels" if wanted.role == "y" else "sample weights"
            raise errors.InvalidInputError(
                f"Expected {what} of {wanted.of!r} with the shape {sizes}. Received: "
                f"{array.dtype} of shape {list(array.shape)}. Labels have the shape of the output, "
                "or that without the axis of classes where the loss takes class numbers."
            )
        if wanted.role == "y" and wanted.of in self._classes:
            self._check_classes(wanted, fitted)
        return fitted

    def _check_classes(self, wanted: StepInput, labels: np.ndarray) -> None:
        count, ignored = self._classes[wanted.of]
        known = labels if ignored is None else labels[labels != ignored]
        wrong = known[(known < 0) | (known >= count) | (known != np.trunc(known))]
        if wrong.size:
            raise errors.InvalidInputError(
                f"Expected labels of {wanted.of!r} that are class numbers from 0 to {count - 1}. "
                f"Received: {wrong.reshape(-1)[0]}. Number the classes from 0, or give the output "
                "as many units as there are classes."
            )

    def _check_rows(self, batch: Batch) -> None:
        rows = {
            i.name: array.shape[0]
            for i, array in zip(self._step, batch, strict=True)
            if array is not None and array.ndim
        }
        if len(set(rows.values())) > 1:
            raise errors.InvalidInputError(
                "Expected as many labels and sample weights as there are samples. Received: "
                f"{rows}. Give arrays whose first axes have the same size."
            )

    def _of_classes(self, y: Any, class_weight: Mapping, sample_weight: Any) -> np.ndarray:
        """Sample weights of class weights, as Keras makes them."""
        if sample_weight is not None:
            raise errors.InvalidInputError(
                "Expected class_weight or sample_weight. Received: both. Multiply them yourself "
                "and give sample_weight."
            )
        if len(self._outputs) > 1 or isinstance(y, (Mapping, list, tuple)):
            raise errors.InvalidInputError(
                "Expected class_weight for a model with one output. Received: one with "
                f"{len(self._outputs)}, or several labels. Give sample_weight."
            )
        labels = arrays.as_numpy(y)
        if labels.ndim > 1:
            labels = labels.argmax(-1) if labels.shape[-1] != 1 else labels[..., 0]
        labels = np.round(labels).astype("int32")
        weights = np.ones(labels.shape, "float32")
        for number, weight in class_weight.items():
            weights[labels == int(number)] = weight
        return weights


def _any_rows(wanted: StepInput) -> StepInput:
    return wanted._replace(shape=(None, *wanted.shape[1:])) if wanted.shape else wanted


def _broadcast(array: np.ndarray, wanted: StepInput, labels: np.ndarray | None) -> np.ndarray:
    """Weights of samples, as weights of all the values that a sample has, as Keras takes them."""
    if array.ndim == len(wanted.shape) - 1:
        array = array[..., np.newaxis]
    if array.ndim != len(wanted.shape):
        return array
    sizes = [array.shape[0]]
    for axis, size in enumerate(wanted.shape[1:], start=1):
        known = array.shape[axis] if labels is None or labels.ndim <= axis else labels.shape[axis]
        sizes.append(known if size is None else size)
    fits = all(n in (1, size) for n, size in zip(array.shape, sizes, strict=True))
    return np.broadcast_to(array, sizes) if fits else array


def _reshaped(array: np.ndarray, shape: tuple[int | None, ...]) -> np.ndarray | None:
    """The array with a last axis of size 1 more or less, where that makes it fit, as in Keras."""
    candidates = [array]
    if array.ndim == len(shape) + 1 and array.shape[-1] == 1:
        candidates.append(array[..., 0])
    elif array.ndim == len(shape) - 1:
        candidates.append(array[..., np.newaxis])
    for candidate in candidates:
        sizes = zip(candidate.shape, shape, strict=False)
        if candidate.ndim == len(shape) and all(n is None or m == n for m, n in sizes):
            return candidate
    return None


class ArrayBatches:
    """Batches cut from whole arrays.

    Args:
        whole: The arrays of all samples.
        size: How many samples a batch has; the last one may have less.
        shuffle: Where the order of the samples comes from; None keeps it.
    """

    def __init__(self, whole: Batch, size: int, shuffle: np.random.Generator | None = None):
        self._whole = whole
        self._size = size
        self._shuffle = shuffle
        self.rows = next(a.shape[0] for a in whole if a is not None)
        if self.rows == 0:
            raise errors.InvalidInputError(
                "Expected at least one sample. Received: arrays with 0 samples."
            )

    def __len__(self) -> int:
        return -(-self.rows // self._size)

    def __iter__(self) -> Iterator[Batch]:
        order = None if self._shuffle is None else self._shuffle.permutation(self.rows)
        for start in range(0, self.rows, self._size):
            stop = min(start + self._size, self.rows)
            part: Any = slice(start, stop) if order is None else order[start:stop]
            yield [None if array is None else array[part] for array in self._whole]

    def split(self, fraction: float) -> tuple[ArrayBatches, ArrayBatches]:
        """Returns the first samples and the last `fraction` of them, as Keras splits."""
        first = int(np.floor(self.rows * (1.0 - fraction)))
        if first == 0 or first == self.rows:
            raise errors.InvalidInputError(
                "Expected validation_split to leave samples on both sides. Received: "
                f"{fraction} of {self.rows} samples."
            )
        parts = [
            [None if a is None else a[rows] for a in self._whole]
            for rows in (slice(None, first), slice(first, None))
        ]
        return (
            ArrayBatches(parts[0], self._size, self._shuffle),
            ArrayBatches(parts[1], self._size),
        )


class StreamBatches:
    """Batches that come ready-made.

    Args:
        source: A generator, a dataset, a `PyDataset`: what gives (x, y) or (x, y, sample_weight).
        arrays: Makes the arrays of a step.
        steps: How many batches an epoch has; None for all there are.
        class_weight: Weights of classes.
    """

    def __init__(
        self, source: Any, arrays: StepArrays, steps: int | None, class_weight: Any = None
    ):
        self._source = source
        self._arrays = arrays
        self._steps = steps
        self._class_weight = class_weight
        # NB: a generator goes on in the next epoch where it stopped in this one.
        self._running = source if hasattr(source, "__next__") else None

    def __len__(self) -> int:
        if self._steps is not None:
            return self._steps
        return streams.length(self._source) or 0

    def __iter__(self) -> Iterator[Batch]:
        source = self._source if self._running is None else self._running
        for batch in streams.each(source, self._steps):
            if not isinstance(batch, (tuple, list)) or not 2 <= len(batch) <= 3:
                raise errors.InvalidInputError(
                    "Expected batches of (x, y) or (x, y, sample_weight). Received: "
                    f"{type(batch).__name__}. Let the dataset give tuples."
                )
            yield self._arrays.make(*batch, class_weight=self._class_weight)
