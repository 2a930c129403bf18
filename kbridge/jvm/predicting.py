"""Predictions of more samples than one call has: batch by batch, and put together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kbridge import errors
from kbridge.jvm import progress, streams
from kbridge.jvm.bridge import Flat
from kbridge.jvm.inputs import Inputs, TensorSpec


class Predictions:
    """Predicts samples of which there may be many; outputs are flat, in the model's order.

    Args:
        inputs: What the model takes.
        outputs: What it gives.
        run: Runs one batch, as `Session.run` does.
    """

    def __init__(
        self, inputs: Inputs, outputs: Sequence[TensorSpec], run: Callable[..., list[np.ndarray]]
    ):
        self._inputs = inputs
        self._outputs = outputs
        self._run = run

    def of_arrays(
        self, checked: Flat, batch_size: int, steps: int | None, verbose: str | int
    ) -> list[np.ndarray]:
        """Predicts arrays that fit the model, `batch_size` rows at a time, or as it is fixed."""
        rows = self._inputs.rows(checked)
        size = self._inputs.fixed_batch or batch_size
        if rows is not None and steps is not None:
            rows = min(rows, steps * size)
        if rows == 0:
            return self._nothing()
        if rows is None or (rows <= size and steps is None):
            return self._run(checked)
        starts = range(0, rows, size)
        outputs: list[np.ndarray] = []
        for start in progress.track(starts, len(starts), verbose):
            stop = min(start + size, rows)
            batch = [a if a is None else a[start:stop] for a in checked]
            if outputs:
                self._run(batch, [whole[start:stop] for whole in outputs])
                continue
            for i, part in enumerate(self._run(batch)):
                outputs.append(self._room(rows, stop - start, i, part))
                outputs[i][start:stop] = part
        return outputs

    def of_stream(self, batches: Any, steps: int | None, verbose: str | int) -> list[np.ndarray]:
        """Predicts batches as they come."""
        total = steps if steps is not None else streams.length(batches)
        parts: list[list[np.ndarray]] = [[] for _ in self._outputs]
        for batch in progress.track(streams.each(batches, steps), total, verbose):
            # NB: as in Keras, a tuple is (x,), (x, y) or (x, y, sample_weight); a list is x.
            x = batch[0] if isinstance(batch, tuple) else batch
            for part, output in zip(parts, self._run(self._inputs.check(x)), strict=True):
                part.append(output)
        if not parts[0]:
            raise errors.InvalidInputError(
                "Expected at least one batch. Received: an iterator that gave none."
            )
        return [np.concatenate(part) for part in parts]

    def _room(self, rows: int, in_batch: int, i: int, first: np.ndarray) -> np.ndarray:
        if first.ndim == 0 or first.shape[0] != in_batch:
            raise errors.InvalidInputError(
                f"Expected output {self._outputs[i].name!r} to have one row per sample. Received: "
                f"shape {first.shape} for a batch of {in_batch}. Such outputs of several batches "
                "cannot be joined: predict all samples at once (predict_on_batch)."
            )
        return np.empty((rows, *first.shape[1:]), first.dtype)

    def _nothing(self) -> list[np.ndarray]:
        unknown = [o.name for o in self._outputs if None in o.shape[1:] or not o.batched]
        if unknown:
            raise errors.InvalidInputError(
                f"Expected at least one sample, because the shapes of {unknown} depend on it. "
                "Received: inputs with 0 samples."
            )
        return [np.empty((0, *o.shape[1:]), o.dtype) for o in self._outputs]
