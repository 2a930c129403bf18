"""Parity of traced steps: what a bundle says of training and evaluation, in the JVM and in Keras.

The forward half of a step is run alone: losses, what layers add, the values that variables are
given, metrics over several batches. Keras does the same with `train_on_batch` (of a learning rate
of 0) and `test_on_batch`, in graph mode as `fit` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

RTOL = 2e-5
ATOL = 1e-6


class JvmSteps:
    """The steps of a bundle, run by the plan compiler of the runtime."""

    def __init__(self, path: Path):
        from kbridge.jvm import host

        self._java = host.java_class
        place = self._java("java.nio.file.Path").of(str(path))
        self.bundle = self._java("io.kbridge.bundle.Bundle").open(place, True)
        self.steps = self.bundle.steps()
        self.graphs = {"training": self.steps.training(), "evaluation": self.steps.evaluation()}
        self.variables = {
            str(name): _numpy(array) for name, array in self.bundle.initialVariables().items()
        }

    def reset(self) -> None:
        """Gives the variables what they start with."""
        self.__init__(Path(str(self.bundle.file())))

    def run(self, kind: str, x: Any, y: Any, weights: Any = None) -> dict[str, np.ndarray]:
        """Runs a step and keeps what it gives to variables; returns all it wants to know.

        Args:
            kind: "training" or "evaluation".
            x: The flat inputs.
            y: The labels of each output.
            weights: Sample weights of each output; None for none.
        """
        step = self.graphs[kind]
        names = [str(o.declared().name()) for o in step.graph().outputs()]
        given = {}
        for entry in step.inputs():
            name, role = str(entry.value().name()), str(entry.role())
            if role == "X":
                array = x[len(given)]
            elif role == "Y":
                array = y[names.index(str(entry.of()))]
            else:
                array = None if weights is None else weights[names.index(str(entry.of()))]
                if array is None:
                    array = self._ones(entry, len(x[0]), given)
            given[name] = np.asarray(array).astype(str(entry.value().type().kerasName()))
        updates = [*step.updates(), *step.metricUpdates()]
        wanted = {str(step.loss()), *(str(u.value()) for u in updates)}
        found = self._compute(step.graph(), given, wanted)
        for update in updates:
            self.variables[str(update.variable())] = found[str(update.value())]
        return {"loss": found[str(step.loss())], **found}

    def _ones(self, entry: Any, batch: int, given: dict[str, np.ndarray]) -> np.ndarray:
        shape = [int(n) for n in entry.value().shape()]
        label = given.get(f"y/{entry.of()}")
        for axis, size in enumerate(shape):
            if size < 0:
                shape[axis] = batch if axis == 0 else label.shape[axis]
        return np.ones(shape, "float32")

    def logs(self) -> dict[str, Any]:
        """What the metrics say."""
        outputs = {str(o.declared().name()): str(o.value()) for o in self.steps.logs().outputs()}
        found = self._compute(self.steps.logs(), {}, set(outputs.values()))
        return {name: found[value] for name, value in outputs.items()}

    def constrained(self) -> dict[str, np.ndarray]:
        """What the constraints make of the weights."""
        found = {}
        for constraint in self.steps.constraints():
            value = str(constraint.value())
            found[str(constraint.weight())] = self._compute(constraint.graph(), {}, {value})[value]
        return found

    def _compute(self, graph: Any, given: dict[str, np.ndarray], wanted: set[str]) -> dict:
        from jpype import JArray, JLong

        arrays = self._java("java.util.LinkedHashMap")(self.bundle.arrays())
        arrays.putAll(self.bundle.constants(graph))
        for name, array in self.variables.items():
            arrays.put(name, self._indarray(array))
        registry = self._java("io.kbridge.plan.OpRegistry").load()
        compiler = self._java("io.kbridge.plan.PlanCompiler")(graph, arrays, registry)
        shapes = self._java("java.util.LinkedHashMap")()
        inputs = self._java("java.util.LinkedHashMap")()
        for name, array in given.items():
            shapes.put(name, JArray(JLong)(list(array.shape)))
            inputs.put(name, self._indarray(array))
        names = self._java("java.util.ArrayList")()
        for name in sorted(wanted):
            names.add(name)
        plan = compiler.compile(shapes, names, False)
        found = {str(name): _numpy(array) for name, array in plan.run(inputs).items()}
        plan.close()
        compiler.close()
        return found

    def _indarray(self, array: np.ndarray) -> Any:
        from jpype import JArray, JDouble, JLong

        nd4j = self._java("org.nd4j.linalg.factory.Nd4j")
        kinds = self._java("io.kbridge.graph.ElementType")
        kind = kinds.ofName(str(array.dtype)).dataType()
        java = JLong if array.dtype.kind in "iu" else JDouble
        flat = nd4j.createFromArray(JArray(java)(array.reshape(-1).astype(_WIDE[java.__name__])))
        return flat.castTo(kind).reshape(JArray(JLong)(list(array.shape)))


_WIDE = {"JLong": "int64", "JDouble": "float64"}


def _numpy(array: Any) -> np.ndarray:
    kind = str(array.dataType())
    shape = tuple(int(n) for n in array.shape())
    whole = "INT" in kind or kind in ("LONG", "BOOL", "SHORT", "BYTE")
    data = array.dup("c").data()
    flat = np.asarray(data.asLong() if whole else data.asDouble())
    names = {"FLOAT": "float32", "DOUBLE": "float64", "LONG": "int64", "INT": "int32"}
    return flat.reshape(shape).astype(names.get(kind, "int64" if whole else "float32"))


def check(
    model: keras.Model,
    folder: Path,
    x: Sequence[np.ndarray],
    y: Sequence[np.ndarray],
    weights: Sequence[np.ndarray] | None = None,
    labels: Any = None,
    rtol: float = RTOL,
    atol: float = ATOL,
) -> None:
    """Compares two training steps and two evaluation steps, of batches of different sizes.

    Args:
        model: A model compiled with `zero_rate()`.
        folder: Where to put the bundle.
        x: Its flat inputs.
        y: The labels of each output, flat.
        weights: The sample weights of each output, or None.
        labels: What the export is given as `labels`.
        rtol: Relative tolerance of every number.
        atol: Absolute tolerance.
    """
    import kbridge
    from kbridge.export.metadata import weight_names

    path = folder / "steps.h5"
    kbridge.export(model, path, labels=labels)
    steps = JvmSteps(path)
    # NB: where the size of the batch changes, TensorFlow forgets it when it weighs the means
    # of several losses.
    batches = [slice(None), slice(None, None, -1) if len(y) > 1 else slice(1, None)]
    names = weight_names(model)
    for kind, native in (("training", model.train_on_batch), ("evaluation", model.test_on_batch)):
        model.reset_metrics()
        # NB: both would start anew with each batch.
        object.__setattr__(model, "reset_metrics", lambda: None)
        steps.variables = JvmSteps(path).variables | {
            k: v for k, v in steps.variables.items() if not k.startswith("metrics/")
        }
        for rows in batches:
            part = [[a[rows] for a in arrays] for arrays in (x, y)]
            weighted = None if weights is None else [a[rows] for a in weights]
            found = steps.run(kind, *part, weighted)
            given = [_packed(model, part[0]), _packed(model, part[1])]
            if weighted is not None:
                given.append(_packed(model, weighted))
            expected = native(*given, return_dict=True)
            actual = steps.logs()
            # NB: TensorFlow sorts the names on their way out of its graph.
            assert sorted(actual) == sorted(expected)
            assert np.isfinite(found["loss"])
            compare(kind, actual, expected, rtol, atol)
            state = {names[id(v)]: v for v in model.non_trainable_variables}
            state = {k: keras.ops.convert_to_numpy(v) for k, v in state.items()}
            kept = {k: steps.variables[k] for k in state if k in steps.variables}
            compare(kind, kept, {k: state[k] for k in kept}, rtol, atol)
        object.__delattr__(model, "reset_metrics")


def compare(
    kind: str, actual: dict[str, Any], expected: dict[str, Any], rtol: float, atol: float
) -> None:
    """Compares numbers by name; one message for all that differ."""
    wrong = {}
    for name, value in expected.items():
        if not np.allclose(actual[name], value, rtol=rtol, atol=atol, equal_nan=True):
            wrong[name] = (actual[name], value)
    assert not wrong, f"{kind}: {wrong}"


def _packed(model: keras.Model, arrays: list[np.ndarray]) -> Any:
    return arrays[0] if len(arrays) == 1 else arrays


def zero_rate() -> keras.optimizers.Optimizer:
    """An optimizer that leaves the weights as they are."""
    return keras.optimizers.SGD(0.0)
