"""Writes a compiled model for each kind of engine, a batch, and the loss of the first step.

``python -m benchmarks.training.prepare WORKLOAD FOLDER BATCH``
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from benchmarks.training.workloads import WORKLOADS

FILES = {"keras": "model.keras", "bundle": "model.h5"}
_SEED = 11


def main() -> None:
    """Writes the files."""
    import keras

    import kbridge

    name, folder, batch = sys.argv[1:]
    workload = next(w for w in WORKLOADS if w.name == name)
    keras.utils.set_random_seed(_SEED)
    model = workload.build()
    model.compile(optimizer=keras.optimizers.Adam(), loss="categorical_crossentropy")
    draw = np.random.default_rng(_SEED)
    x = draw.random((int(batch), *model.input_shape[1:]), dtype="float32")
    classes = model.output_shape[-1]
    labels = np.eye(classes, dtype="float32")[draw.integers(0, classes, int(batch))]
    files = {kind: Path(folder, file) for kind, file in FILES.items()}
    model.save(files["keras"])
    kbridge.export(model, files["bundle"], sample=x[:2])
    np.save(Path(folder, "input.npy"), x)
    np.save(Path(folder, "labels.npy"), labels)
    np.save(Path(folder, "answer.npy"), np.array([model.train_on_batch(x, labels)], "float32"))


if __name__ == "__main__":
    main()
