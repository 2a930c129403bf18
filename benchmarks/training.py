"""Times training steps: the JVM next to Keras's `train_on_batch`, in turn, in one process.

Run it alone on the machine: `python -m benchmarks.training [model ...]`.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROUNDS = 3
SECONDS = 2.0


def cnn() -> tuple:
    """A small convolutional network, batch 32."""
    from keras import Input, Sequential, layers

    parts = [
        Input((28, 28, 1)),
        layers.Conv2D(32, 3, activation="relu"),
        layers.Conv2D(64, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(10, activation="softmax"),
    ]
    return Sequential(parts), (32, 28, 28, 1), 10


def dense() -> tuple:
    """A dense network, batch 128."""
    from keras import Input, Sequential, layers

    hidden = [layers.Dense(512, activation="relu") for _ in range(2)]
    return Sequential([Input((784,)), *hidden, layers.Dense(10, "softmax")]), (128, 784), 10


def lstm() -> tuple:
    """One recurrent layer over 100 steps, batch 32."""
    from keras import Input, Sequential, layers

    parts = [Input((100, 64)), layers.LSTM(128), layers.Dense(10, activation="softmax")]
    return Sequential(parts), (32, 100, 64), 10


def resnet50() -> tuple:
    """ResNet50, batch 8."""
    from keras.applications import ResNet50

    return ResNet50(weights=None), (8, 224, 224, 3), 1000


MODELS = {"cnn": cnn, "dense": dense, "lstm": lstm, "resnet50": resnet50}


def jvm_step(path: Path, x: np.ndarray, y: np.ndarray) -> Callable[[], None]:
    """A training step of the JVM, prepared."""
    from kbridge.jvm import host
    from kbridge.jvm.inprocess import InProcess

    jvm = InProcess().start("cpu")
    door = host.java_class("io.kbridge.host.HostTrainer")
    trainer = jvm.ask(door, "load", str(path), json.dumps({"engine": "auto"}))
    inputs = json.loads(jvm.ask(trainer, "inputs"))
    by_role = {"x": x, "y": y, "sample_weight": None}
    given = [by_role[each["role"]] for each in inputs]
    step = jvm.ask(trainer, "step", [None if a is None else list(a.shape) for a in given])
    dtypes = [np.dtype(each["dtype"]) for each in inputs]

    def run() -> None:
        with jvm.lend(given, dtypes) as lent:
            lent.ask(step, "train", lent.inputs)

    return run


def time_block(step: Callable[[], object]) -> list[float]:
    """Milliseconds of each of some steps."""
    times = []
    end = time.perf_counter() + SECONDS
    while not times or time.perf_counter() < end:
        start = time.perf_counter()
        step()
        times.append((time.perf_counter() - start) * 1e3)
    return times


def compare(name: str) -> None:
    """Prints one row: median and fastest step of both."""
    import keras

    import kbridge

    model, shape, classes = MODELS[name]()
    model.compile(optimizer=keras.optimizers.Adam(), loss="sparse_categorical_crossentropy")
    draw = np.random.default_rng(0)
    x = draw.normal(size=shape).astype("float32")
    y = draw.integers(0, classes, shape[0])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.h5"
        kbridge.export(model, path, sample=x[:1])
        sides = {"kbridge": jvm_step(path, x, y), "keras": lambda: model.train_on_batch(x, y)}
        found: dict[str, list[float]] = {side: [] for side in sides}
        for step in sides.values():
            step()
        for _ in range(ROUNDS):
            for side, step in sides.items():
                found[side] += time_block(step)
                time.sleep(0.2)
    row = [f"{statistics.median(t):.2f} | {min(t):.2f}" for t in found.values()]
    print(f"| {name} {shape[0]} | {' | '.join(row)} |", flush=True)


def main(names: list[str]) -> None:
    """Prints the table."""
    print("| model, batch | kbridge median ms | min | Keras median ms | min |")
    print("| --- | --- | --- | --- | --- |")
    for name in names or MODELS:
        compare(name)


if __name__ == "__main__":
    main(sys.argv[1:])
