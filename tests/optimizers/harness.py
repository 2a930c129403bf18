"""Keras optimizers against the JVM's on the same gradients, without a graph around them."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kbridge.bundle import PROVENANCE, SCHEMA_VERSION, SPEC, TRAINING, BundleWriter
from kbridge.export import metadata, training
from kbridge.jvm import host

SHAPES = {
    "scalar": (),
    "bias": (5,),
    "kernel": (3, 4),
    "tall": (40, 7),
    "filters": (2, 3, 3, 4),
    "embedding": (6, 4),
    "large": (300, 401),  # more than one thread's share, and no multiple of a block
}


@dataclass
class Slices:
    """A gradient in rows, TensorFlow's `IndexedSlices`."""

    values: np.ndarray
    indices: np.ndarray

    def dense(self, shape: tuple[int, ...]) -> np.ndarray:
        """Returns the sum at each place."""
        total = np.zeros(shape, np.float32)
        np.add.at(total, self.indices, self.values)
        return total


Gradients = dict[str, "np.ndarray | Slices | None"]


class Weights(keras.layers.Layer):
    """A layer that only has weights, of many shapes."""

    def build(self, input_shape: Any) -> None:
        rng = np.random.default_rng(7)
        for name, shape in SHAPES.items():
            values = rng.normal(0, 0.5, shape)
            self.add_weight(
                shape=shape, name=name, initializer=lambda *_, v=values, **__: np.float32(v)
            )

    def call(self, x: Any) -> Any:
        return x


def model_with(optimizer: Any) -> keras.Model:
    """Returns a model that has the weights, compiled with an optimizer."""
    model = keras.Sequential([keras.Input((1,)), Weights(name="w")])
    model.compile(optimizer, "mse")
    return model


def gradients(step: int, missing: Sequence[str] = ()) -> Gradients:
    """Returns random gradients of a step, by the weights' short names; sizes differ by weight."""
    rng = np.random.default_rng(100 + step)
    found: Gradients = {}
    for i, (name, shape) in enumerate(SHAPES.items()):
        values = rng.normal(0, 0.3 * (i + 1), shape).astype("float32")
        found[name] = None if name in missing else values
    return found


def keras_step(model: keras.Model, graph: bool) -> Callable[[Gradients], None]:
    """Returns what lets Keras do a step, as `train_step` does after it has the gradients.

    Args:
        model: From `model_with`.
        graph: Whether to compile the step, as `fit` does. Takes longer to begin with.
    """
    import tensorflow as tf

    def apply(tensors: list) -> None:
        model.optimizer.apply_gradients(zip(tensors, model.trainable_variables, strict=True))

    def tensor(name: str, values: Any) -> Any:
        if isinstance(values, Slices):
            shape = tf.constant(SHAPES[name], tf.int64)
            rows, places = tf.constant(values.values), tf.constant(values.indices)
            return tf.IndexedSlices(rows, places, shape)
        return None if values is None else tf.convert_to_tensor(values)

    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    compiled = tf.function(apply) if graph else apply

    def step(given: Gradients) -> None:
        compiled([tensor(name, values) for name, values in given.items()])

    return step


def write(model: keras.Model, path: Path) -> Path:
    """Writes a bundle of the model's weights and training state; its graph is empty."""
    names = metadata.weight_names(model)
    variables = {names[id(v)]: v for v in model.variables}
    document, state = training.training_metadata(model, names)
    described = metadata.weights_metadata(model)
    value = {"name": "x", "shape": [None, 1], "dtype": "float32"}
    with BundleWriter(path) as writer:
        for name, entry in described.items():
            writer.array(f"/model_weights/{name}", np.asarray(variables[name]), entry)
        writer.wait_for_digests()
        for where, variable in state:
            writer.array(where, np.asarray(variable))
        writer.document(
            SPEC,
            {
                "schema_version": SCHEMA_VERSION,
                "name": model.name,
                "inputs": [{**value, "optional": False}],
                "outputs": [{**value, "value": "x"}],
                "input_structure": "*",
                "output_structure": "*",
                "weights": described,
                "constants": {},
                "graphs": {"inference": {"nodes": [], "outputs": ["x"]}},
                "layer_outputs": [],
                "layers": [],
            },
        )
        writer.document(TRAINING, document)
        writer.document(PROVENANCE, {"kbridge_version": "test"})
    return path


def view(array: Any) -> np.ndarray:
    """Returns a Java array of float32 as a NumPy array over the same memory."""
    where = host.java_class("io.kbridge.plan.NativeArrays").address(array)
    shape = tuple(int(size) for size in array.shape())
    cells = (ctypes.c_float * int(np.prod(shape))).from_address(int(where))
    return np.ctypeslib.as_array(cells).reshape(shape)


def _array(values: np.ndarray, kind: str) -> Any:
    import jpype

    return jpype.JArray(getattr(jpype, kind))(values.tolist())


class JvmOptimizer:
    """The JVM's optimizer of a bundle, with weights and gradients in memory of its own."""

    def __init__(self, path: Path):
        arrays = host.java_class("io.kbridge.plan.NativeArrays")
        paths = host.java_class("java.nio.file.Paths")
        self.bundle = host.java_class("io.kbridge.bundle.Bundle").open(paths.get(str(path)), True)
        self.weights = host.java_class("java.util.LinkedHashMap")()
        self._gradients = {}
        for entry in self.bundle.arrays().entrySet():
            self.weights.put(entry.getKey(), arrays.copy(entry.getValue()))
            self._gradients[str(entry.getKey())] = arrays.copy(entry.getValue())
        reader = host.java_class("io.kbridge.train.optimizer.Optimizer")
        self.java = reader.of(self.bundle, self.weights)

    def step(self, given: Gradients) -> bool:
        """Does a step; returns whether it was applied."""
        passed = host.java_class("java.util.HashMap")()
        rows = host.java_class("java.util.HashMap")()
        for name, values in given.items():
            if isinstance(values, Slices):
                factory = host.java_class("org.nd4j.linalg.factory.Nd4j")
                make = host.java_class("io.kbridge.train.optimizer.RowGradient")
                found = factory.createFromArray(_array(values.values.ravel(), "JFloat"))
                indices = factory.createFromArray(_array(values.indices, "JLong"))
                rows.put(f"w/{name}", make(indices, found))
                values = values.dense(SHAPES[name])
            if values is not None:
                memory = self._gradients[f"w/{name}"]
                view(memory)[...] = values
                passed.put(f"w/{name}", memory)
        return bool(self.java.apply(passed, rows, None))

    def weight(self, name: str) -> np.ndarray:
        """Returns a weight by its short name."""
        return view(self.weights.get(f"w/{name}"))

    def state(self) -> list[tuple[str, np.ndarray]]:
        """Returns the optimizer's variables in order: slot and weight, and values."""
        found = []
        for variable in self.java.variables():
            array = variable.array()
            is_float = str(array.dataType()) == "FLOAT"
            values = view(array) if is_float else np.asarray(int(array.getLong(0)))
            found.append((f"{variable.slot()} of {variable.weight()}", values))
        return found


def difference(actual: np.ndarray, expected: np.ndarray) -> float:
    """Returns the largest difference relative to the expected array's typical size."""
    actual, expected = np.float64(actual), np.float64(expected)
    assert actual.shape == expected.shape, (actual.shape, expected.shape)
    assert np.isfinite(actual).all() == np.isfinite(expected).all()
    size = np.sqrt(np.mean(expected**2))
    worst = np.abs(actual - expected).max()
    return 0.0 if worst == 0 else float(worst / size)


def compare(model: keras.Model, jvm: JvmOptimizer, where: str, tolerance: float) -> float:
    """Compares all weights and variables; returns the largest difference."""
    found = {}
    for name, variable in zip(SHAPES, model.trainable_variables, strict=True):
        found[name] = difference(jvm.weight(name), np.asarray(variable))
    state = jvm.state()
    expected = model.optimizer.variables
    assert len(state) == len(expected), ([name for name, _ in state], expected)
    for (name, values), variable in zip(state, expected, strict=True):
        found[name] = difference(values, np.asarray(variable))
    worst = max(found, key=found.get)
    assert found[worst] <= tolerance, f"{where}: {worst} differs by {found[worst]:.2g}"
    return found[worst]
