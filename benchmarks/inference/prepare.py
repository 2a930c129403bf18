"""Writes a workload's files: the model for each kind of engine, inputs, and the right answers.

``python -m benchmarks.inference.prepare STEP WORKLOAD FOLDER [BATCH ...]``, where STEP is ``keras``
(has to come first), ``bundle`` or ``onnx``. A process each: they need memory, and one may fail.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.inference.workloads import WORKLOADS, Workload

FILES = {"keras": "model.keras", "bundle": "model.h5", "onnx": "model.onnx"}
_SEED = 11


def main() -> None:
    """Runs one step."""
    step, name, folder, *batches = sys.argv[1:]
    workload = next(w for w in WORKLOADS if w.name == name)
    _STEPS[step](workload, Path(folder), [int(batch) for batch in batches])


def _keras(workload: Workload, folder: Path, batches: list[int]) -> None:
    """Builds the model and writes it, with inputs and answers for each batch size."""
    model = workload.build()
    shape = model.input_shape[1:]
    if not workload.trained:
        from tests.weights import calibrate, randomise

        # NB: statistics that fit the data, or activations grow beyond what float32 resolves.
        calibrate(randomise(model), _inputs(shape, 4))
    model.save(folder / FILES["keras"])
    for batch in batches:
        x = _inputs(shape, batch)
        np.save(folder / f"input{batch}.npy", x)
        np.save(folder / f"answer{batch}.npy", model.predict_on_batch(x))


def _inputs(shape: tuple[int, ...], batch: int) -> np.ndarray:
    return np.random.default_rng(_SEED).random((batch, *shape), dtype="float32")


def _bundle(workload: Workload, folder: Path, batches: list[int]) -> None:
    del workload, batches
    import kbridge

    kbridge.export(folder / FILES["keras"], folder / FILES["bundle"])


def _onnx(workload: Workload, folder: Path, batches: list[int]) -> None:
    """Keras's own export; what it is known to write wrongly is put right."""
    from benchmarks.inference import onnx_chain
    from benchmarks.inference.onnx_repair import repair

    model = _load(folder)
    if workload.is_chain:
        onnx_chain.write(model, folder / FILES["onnx"])
        return
    # NB: the export of a Sequential fails ("never called") unless the model was called once.
    model(np.load(folder / f"input{batches[0]}.npy"))
    model.export(folder / FILES["onnx"], format="onnx", verbose=False)
    repair(folder / FILES["onnx"], model)


def _load(folder: Path) -> Any:
    import keras

    return keras.models.load_model(folder / FILES["keras"], compile=False)


_STEPS: dict[str, Callable[[Workload, Path, list[int]], None]] = {
    "keras": _keras,
    "bundle": _bundle,
    "onnx": _onnx,
}

if __name__ == "__main__":
    main()
