"""Times exports in turns; prints JSON. ``python -m benchmarks.exporting.worker ROUNDS``."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

import kbridge
from tests.weights import randomise


def main() -> None:
    """Runs the rounds; the first is not counted."""
    model = randomise(keras.applications.VGG16(weights=None))
    times: dict[str, list[int]] = {"kbridge": [], "h5py_fsync": [], "h5py": []}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(int(sys.argv[1]) + 1):
            names = list(times) if number % 2 == 0 else list(reversed(times))
            for name in names:
                # NB: what the run before left to be written must not slow this one down.
                os.sync()
                start = time.perf_counter_ns()
                _write(name, model, Path(folder, "model.h5"))
                if number > 0:
                    times[name].append(time.perf_counter_ns() - start)
    print(json.dumps(times))


def _write(name: str, model: Any, path: Path) -> None:
    if name == "kbridge":
        kbridge.export(model, path)
        return
    with h5py.File(path, "w") as file:
        for weight in model.weights:
            file.create_dataset(weight.path, data=np.asarray(weight))
    if name == "h5py_fsync":
        with path.open("rb+") as stream:
            os.fsync(stream.fileno())


if __name__ == "__main__":
    main()
