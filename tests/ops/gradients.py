"""Gradients of single operations: TensorFlow's tape, or finite differences, and the JVM's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from harness import Case, _arrays

from kbridge import errors
from kbridge.jvm import host
from kbridge.jvm.inprocess import InProcess

RTOL = 2e-5
ATOL = 4e-6
HALF_RTOL = 2e-2
HALF_ATOL = 1e-2


def check_gradients(case: Case, engine: str = "nd4j") -> None:
    """Compares the JVM's gradients of a case's inputs with those of TensorFlow.

    Nothing is compared where there are no gradients: without floating-point numbers on both sides.
    Nor where an input is not finite: training ends there.
    """
    if case.gradient == "refused":
        with pytest.raises(errors.UnsupportedOpError, match="gradients can go back through"):
            of_jvm(case, engine)
        return
    floats = [x for x in case.inputs if is_float(x)]
    if not floats or not all(np.isfinite(x.astype("float64")).all() for x in floats):
        return
    expected = case.expected()
    if not any(is_float(x) for x in expected):
        return
    if case.gradient == "differences":
        check_differences(case, engine)
    else:
        half = any(x.dtype.itemsize == 2 for x in floats)
        rtol = max(case.rtol, HALF_RTOL if half else RTOL)
        atol = max(case.atol, HALF_ATOL if half else ATOL)
        compare(of_jvm(case, engine), of_tensorflow(case), rtol, atol)


def check_differences(case: Case, engine: str, step: float = 1e-2, tolerance: float = 2e-3) -> None:
    """Compares the JVM's gradients with the slope of the outputs along some directions."""
    weights = seeds(case.expected())
    draw = np.random.default_rng(11)
    gradients = of_jvm(case, engine)
    for _ in range(3):
        directions = [
            draw.uniform(-1, 1, x.shape).astype(x.dtype) if is_float(x) else None
            for x in case.inputs
        ]
        sides = []
        for sign in (step, -step):
            moved = [
                x if d is None else x + sign * d
                for x, d in zip(case.inputs, directions, strict=True)
            ]
            outputs = _arrays(case.function(*[_tensor(x) for x in moved]))
            floats = [y for y in outputs if is_float(y)]
            sides.append(sum(float(np.vdot(w, y)) for w, y in zip(weights, floats, strict=True)))
        slope = (sides[0] - sides[1]) / (2 * step)
        moving = [d for d in directions if d is not None]
        along = sum(float(np.vdot(g, d)) for g, d in zip(gradients, moving, strict=True))
        np.testing.assert_allclose(along, slope, rtol=tolerance, atol=tolerance)


def seeds(outputs: list[np.ndarray]) -> list[np.ndarray]:
    """Gradients to start with, the same ones for the same shapes."""
    draw = np.random.default_rng(7)
    return [draw.uniform(-1, 1, x.shape).astype(x.dtype) for x in outputs if is_float(x)]


def is_float(x: np.ndarray) -> bool:
    """Whether an array's elements have gradients."""
    return x.dtype.kind == "f" or x.dtype.name == "bfloat16"


def of_tensorflow(case: Case) -> list[np.ndarray]:
    """The gradients of the floating-point inputs."""
    import keras
    import tensorflow as tf

    tensors = [tf.constant(x) for x in case.inputs]
    watched = [t for t in tensors if t.dtype.is_floating]
    with tf.GradientTape() as tape:
        tape.watch(watched)
        outputs = [tf.convert_to_tensor(y) for y in keras.tree.flatten(case.function(*tensors))]
    floats = [y for y in outputs if y.dtype.is_floating]
    starts = [tf.constant(s) for s in seeds([y.numpy() for y in floats])]
    found = tape.gradient(floats, watched, starts, unconnected_gradients="zero")
    return _arrays([tf.convert_to_tensor(g) for g in found])


def of_jvm(case: Case, engine: str = "nd4j") -> list[np.ndarray]:
    """The same gradients, computed in the JVM."""
    import jpype

    jvm = InProcess().start("cpu")
    shapes = [list(x.shape) for x in case.inputs]
    try:
        door = host.java_class("io.kbridge.host.HostGradients")(str(case.bundle), shapes, engine)
    except jpype.JException as e:
        raise host.java_error(e) from e
    try:
        starts = seeds(case.expected())
        dtypes = [x.dtype for x in (*case.inputs, *starts)]
        with jvm.lend([*case.inputs, *starts], dtypes) as lent:
            count = len(case.inputs)
            sizes = [list(s.shape) for s in starts]
            result = lent.ask(door, "run", lent.inputs[:count], lent.inputs[count:], sizes)
        return [np.array(x) for x in jvm.collect(result)]
    finally:
        door.close()


def compare(actual: list[Any], expected: list[Any], rtol: float = RTOL, atol: float = ATOL) -> None:
    """Compares gradients; small elements are measured by the largest."""
    assert len(actual) == len(expected)
    for i, (got, want) in enumerate(zip(actual, expected, strict=True)):
        assert got.dtype == want.dtype, i
        assert got.shape == want.shape, i
        got, want = got.astype("float64"), want.astype("float64")
        finite = np.abs(want[np.isfinite(want)])
        scale = max(1.0, finite.max()) if finite.size else 1.0
        np.testing.assert_allclose(got, want, rtol=rtol, atol=atol * scale, err_msg=f"gradient {i}")


def _tensor(x: np.ndarray) -> Any:
    import keras

    return keras.ops.convert_to_tensor(x)
