"""Parity of recurrent layers: several batch sizes and lengths on one bundle.

The inputs have steps of zeros, and from the second sample on a sample of zeros alone, so that what
is masked is masked in part and altogether.
"""

from __future__ import annotations

import contextlib
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from keras import layers

from tests.layers.harness import ENGINES, Case, In, compare

SEQUENCE = (In((None, 4)),)
# Batches and lengths; where the length is not free, it is that of the sample.
SIZES = ((1, 1), (1, 9), (3, 4), (5, 9))


def data(case: Case, batch: int, length: int) -> list[np.ndarray]:
    """Inputs of one size."""
    rng = np.random.default_rng(zlib.crc32(f"{case.id}/{batch}/{length}".encode()))
    arrays = []
    for spec in case.inputs:
        shape = (batch, *(length if size is None else size for size in spec.shape))
        if spec.dtype == "bool":
            array = rng.random(shape) < 0.6
        elif "int" in spec.dtype:
            array = rng.integers(0, int(spec.high), shape).astype(spec.dtype)
        else:
            array = rng.standard_normal(shape).astype(spec.dtype)
        if len(shape) > 1:
            array[rng.random(shape[:2]) < 0.3] = 0
            array[1:2] = 0
        arrays.append(array)
    return arrays


def check(case: Case, folder: Path) -> None:
    """Compares the JVM's answers with Keras's for all sizes."""
    import kbridge

    model = case.build()
    path = folder / "model.h5"
    kbridge.export(model, path, sample=data(case, 2, 6))
    free = any(None in spec.shape for spec in case.inputs)
    with contextlib.ExitStack() as stack:
        loaded = [stack.enter_context(kbridge.load(path, engine=engine)) for engine in ENGINES]
        for batch, length in SIZES if free else SIZES[1:]:
            inputs = data(case, batch, length if free else 6)
            given = inputs[0] if len(inputs) == 1 else inputs
            expected = model(given, training=False)
            for ours in loaded:
                compare(ours.predict_on_batch(given), expected, case.rtol, case.atol)


def masking(layer: Any, x: Any) -> Any:
    """Calls a layer on steps of which those of zeros are masked."""
    return layer(layers.Masking(0.0)(x))


def explicit(layer: Any, x: Any, mask: Any) -> Any:
    """Calls a layer with a mask."""
    return layer(x, mask=mask)
