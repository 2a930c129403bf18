"""Times predictions on a device: the JVM next to TensorFlow on the same one, in turns.

Prints a table with the hardware and the date, as docs/gpu.md records them. Run it alone on the
machine: `python -m benchmarks.devices --device gpu [--models resnet50 ...] [--batches 1 32]`.
"""

from __future__ import annotations

import argparse
import datetime
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.inference.workloads import WORKLOADS
from kbridge.jvm import devices, gpu

ROUNDS = 3
SECONDS = 2.0
RTOL = 1e-4
ATOL_OF_LARGEST = 1e-5
_BY_NAME = {workload.name: workload for workload in WORKLOADS}


def prepare(device: str) -> str:
    """Lets TensorFlow use the device, and no other; returns what the device is.

    Args:
        device: As `kbridge.load` takes it.

    Raises:
        DeviceUnavailableError: kbridge cannot use it.
        RuntimeError: TensorFlow cannot use it.
    """
    chosen = devices.parse(device)
    if chosen.kind == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
        return f"CPU, {os.cpu_count()} cores"
    driver = gpu.probe()
    gpu.require(chosen.index)
    import tensorflow as tf

    found = tf.config.list_physical_devices("GPU")
    if len(found) <= chosen.index:
        raise RuntimeError(
            f"Expected TensorFlow to see {device}. Received: {len(found)} GPUs. Install a "
            "TensorFlow with CUDA (pip install 'tensorflow[and-cuda]')."
        )
    tf.config.set_visible_devices(found[chosen.index], "GPU")
    # NB: by default TensorFlow takes all of the memory; and TF32 has ten bits less.
    tf.config.experimental.set_memory_growth(found[chosen.index], True)
    tf.config.experimental.enable_tensor_float_32_execution(False)
    return f"{driver.gpus[chosen.index]}; {driver.detail}"


def compare(name: str, batch: int, device: str, seconds: float = SECONDS) -> dict[str, list[float]]:
    """Times both sides; their answers have to be the same.

    Args:
        name: A workload of the benchmarks.
        batch: Samples per call.
        device: As `kbridge.load` takes it.
        seconds: Of a block; each side has three.

    Returns:
        Milliseconds of each call, by side.
    """
    import kbridge
    from tests.weights import calibrate, randomise

    workload = _BY_NAME[name]
    model = workload.build()
    x = np.random.default_rng(2).random((batch, *model.input_shape[1:]), dtype="float32")
    if not workload.trained:
        model = calibrate(randomise(model), x)
    found: dict[str, list[float]] = {"kbridge": [], "TensorFlow": []}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.h5"
        kbridge.export(model, path, sample=x[:1])
        with kbridge.load(path, host="process", device=device) as loaded:
            expected = model.predict_on_batch(x)
            largest = ATOL_OF_LARGEST * float(np.abs(expected).max())
            np.testing.assert_allclose(
                loaded.predict_on_batch(x), expected, rtol=RTOL, atol=largest
            )
            sides: dict[str, Callable[[], Any]] = {
                "kbridge": lambda: loaded.predict_on_batch(x),
                "TensorFlow": lambda: model.predict_on_batch(x),
            }
            for _ in range(ROUNDS):
                for side, call in sides.items():
                    found[side] += _block(call, seconds)
                    time.sleep(0.2)
    return found


def _block(call: Callable[[], Any], seconds: float) -> list[float]:
    call()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        times.append((time.perf_counter() - start) * 1e3)
    return times


def main(arguments: list[str] | None = None) -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="gpu", help="cpu, gpu or gpu:N (default: %(default)s)")
    parser.add_argument("--models", nargs="+", choices=list(_BY_NAME), default=["resnet50"])
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 32])
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each block of calls")
    options = parser.parse_args(arguments)
    described = prepare(options.device)
    print(f"{described}; {datetime.date.today().isoformat()}\n")
    print("| model, batch | kbridge median ms | min | TensorFlow median ms | min |")
    print("| --- | --- | --- | --- | --- |")
    for name in options.models:
        for batch in options.batches:
            found = compare(name, batch, options.device, options.seconds)
            row = [f"{statistics.median(t):.2f} | {min(t):.2f}" for t in found.values()]
            print(f"| {name} {batch} | {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
