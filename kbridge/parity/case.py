"""What is checked: a bundle, and the batches of inputs that both sides get."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kbridge.bundle import read_bundle
from kbridge.jvm.inputs import Inputs, TensorSpec
from kbridge.parity.samples import sample_inputs

Flat = list[np.ndarray | None]


@dataclass(frozen=True)
class Case:
    """A bundle and the batches it is checked with.

    Attributes:
        bundle: The bundle's path.
        spec: Its spec.
        provenance: Its provenance.
        batches: Flat inputs of each batch, in the dtypes the model takes.
        samples: Number of samples in all batches; None for a model without an axis of samples.
        generated: Whether the inputs were made, not given.
    """

    bundle: Path
    spec: dict[str, Any]
    provenance: dict[str, Any]
    batches: list[Flat]
    samples: int | None
    generated: bool


def read_case(bundle: Path, x: Any, batch_size: int, seed: int) -> Case:
    """Reads a bundle and makes the batches.

    Args:
        bundle: The bundle.
        x: Inputs as Keras takes them, or None to have some made.
        batch_size: Most samples to run at once.
        seed: Seed of inputs that are made.

    Raises:
        InvalidInputError: The inputs do not fit the model.
    """
    with read_bundle(bundle) as opened:
        spec, provenance = opened.spec, opened.provenance
        known = {name: array.shape for name, array in opened.golden()[0].items()}
    inputs = Inputs([TensorSpec.of(i) for i in spec["inputs"]], spec["input_structure"])
    generated = x is None
    flat = sample_inputs(spec, known, seed=seed) if generated else inputs.convert(inputs.check(x))
    batches = _batches(inputs, flat, batch_size)
    return Case(bundle, spec, provenance, batches, inputs.rows(flat), generated)


def _batches(inputs: Inputs, flat: Flat, batch_size: int) -> list[Flat]:
    rows, size = inputs.rows(flat), inputs.fixed_batch or batch_size
    if rows is None or rows <= size:
        return [flat]
    return [
        [None if a is None else a[start : start + size] for a in flat]
        for start in range(0, rows, size)
    ]
