"""What one run of the native model gave, in memory or in a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kbridge.bundle import stored_array
from kbridge.jvm import arrays
from kbridge.jvm.structures import Structure

LayerCall = tuple[str, int]
"""A layer's scope and the index of its call."""


@dataclass
class Recording:
    """One eager run of the native model.

    Attributes:
        outputs: The model's outputs, in the order Keras flattens them.
        structure: How the outputs nest, as a bundle's `output_structure` says it.
        calls: Every layer call that gave tensors, in execution order.
        layers: Flat outputs of the recorded layer calls.
        logits: What the asked layers gave their activation function.
    """

    outputs: list[np.ndarray] = field(default_factory=list)
    structure: Structure = "*"
    calls: list[LayerCall] = field(default_factory=list)
    layers: dict[LayerCall, list[np.ndarray]] = field(default_factory=dict)
    logits: dict[LayerCall, np.ndarray] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """Size of all arrays of the layers."""
        return sum(array.nbytes for outputs in self.layers.values() for array in outputs)

    def save(self, path: Path) -> None:
        """Writes it to a ``.npz`` file."""
        flat = dict(enumerate(self.outputs))
        parts: dict[str, list] = {
            "outputs": list(range(len(self.outputs))),
            "structure": [self.structure],
            "calls": self.calls,
            "layers": [],
            "logits": [],
        }
        for (scope, call), outputs in self.layers.items():
            parts["layers"].append([scope, call, len(flat), len(outputs)])
            flat.update(enumerate(outputs, len(flat)))
        for (scope, call), array in self.logits.items():
            parts["logits"].append([scope, call, len(flat)])
            flat[len(flat)] = array
        save_arrays(path, {str(i): array for i, array in flat.items()}, parts)

    @classmethod
    def load(cls, path: Path) -> Recording:
        """Reads what `save` wrote."""
        by_name, parts = load_arrays(path)
        flat = list(by_name.values())
        return cls(
            [flat[i] for i in parts["outputs"]],
            parts["structure"][0],
            [(scope, call) for scope, call in parts["calls"]],
            {(scope, call): flat[at : at + n] for scope, call, at, n in parts["layers"]},
            {(scope, call): flat[at] for scope, call, at in parts["logits"]},
        )


def save_arrays(path: Path, by_name: Mapping[str, np.ndarray], notes: object = None) -> None:
    """Writes named arrays of any of a bundle's element types, and notes that JSON can hold."""
    index = {name: np.asarray(array).dtype.name for name, array in by_name.items()}
    # NB: layer names make no file names in the archive: members are numbered, with an index.
    members = {f"a{i}": stored_array(array) for i, array in enumerate(by_name.values())}
    np.savez(path, index=np.array(json.dumps([index, notes])), **members)


def load_arrays(path: Path) -> tuple[dict[str, np.ndarray], Any]:
    """Reads what `save_arrays` wrote: the arrays by name and the notes."""
    with np.load(path) as data:
        index, notes = json.loads(str(data["index"]))
        by_name = {
            name: data[f"a{i}"].view(arrays.dtype(dtype))
            for i, (name, dtype) in enumerate(index.items())
        }
    return by_name, notes
