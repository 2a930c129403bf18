"""Training steps, compared after each: gradients, loss and metrics, weights, optimizer."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from kbridge import errors
from kbridge.bundle import read_bundle
from kbridge.export import metadata
from kbridge.export.training import trained_slots
from kbridge.jvm.bridge import Flat
from kbridge.jvm.structures import pack
from kbridge.parity.case import Case
from kbridge.parity.compare import LayerComparison, compare_groups
from kbridge.parity.tolerance import Tolerance

Arrays = dict[str, np.ndarray]

# Below this part of an array's largest number, differences are those of rounding.
_TINY = np.finfo("float32").tiny


def compare_steps(
    model: Any,
    case: Case,
    y: Any,
    steps: int,
    engine: str,
    tolerance: Tolerance,
    seed: int,
    say: Callable[[str], None],
) -> list[LayerComparison]:
    """Trains a model natively and in the JVM from one state, and compares after every step.

    The model's own weights and states and its optimizer's state come back in the end.

    Args:
        model: A compiled model.
        case: The bundle, made of the model as it is now, and the batches; step after step takes the
            next one, and then the first again.
        y: Labels of all samples, as `fit` takes them; random ones by default.
        steps: How many steps.
        engine: The JVM's engine.
        tolerance: What still counts as equal. Numbers are compared with the largest one of their
            array, so `atol` counts for scalars alone.
        seed: Seed of random labels.
        say: Called with what is being done.

    Returns:
        Four comparisons for each step, in the order in which things happen in it.
    """
    import kbridge

    with kbridge.load(case.bundle, engine=engine) as jvm, _restored(model):
        labels = _labels(model, case, y, seed)
        native = _NativeTraining(model)
        found: list[LayerComparison] = []
        for step in range(steps):
            say(f"training step {step + 1} of {steps}")
            number = step % len(case.batches)
            x, wanted = pack(case.spec["input_structure"], case.batches[number]), labels[number]
            sides = zip(_jvm_step(jvm, x, wanted), native.step(x, wanted), strict=True)
            kinds = ("gradients", "loss and metrics", "weights", "optimizer")
            for kind, (tested, reference) in zip(kinds, sides, strict=True):
                found.append(_compared(f"step {step + 1}: {kind}", tested, reference, tolerance))
        return found


def _compared(
    name: str, tested: Arrays, reference: Arrays | None, tolerance: Tolerance
) -> LayerComparison:
    result = LayerComparison(scope=name, class_name="training step")
    if reference is None:
        return result
    # NB: count and names first; then each array by a tolerance of its own.
    zeros = np.zeros(())
    names = compare_groups(dict.fromkeys(tested, zeros), dict.fromkeys(reference, zeros), tolerance)
    result.findings = names.findings
    for array_name, array in reference.items():
        if array_name in tested:
            own = _relative(array, tolerance)
            group = compare_groups({array_name: tested[array_name]}, {array_name: array}, own)
            result.arrays += group.arrays
    return result


def _relative(reference: np.ndarray, tolerance: Tolerance) -> Tolerance:
    """NB: a gradient's or a slot's numbers may all be far below any absolute tolerance."""
    if reference.ndim == 0 or reference.dtype.kind != "f" or not reference.size:
        return tolerance
    largest = float(np.max(np.abs(reference), initial=0.0, where=np.isfinite(reference)))
    return dataclasses.replace(tolerance, atol=max(_TINY, tolerance.rtol * largest), scaled=False)


def _jvm_step(jvm: Any, x: Any, y: Any) -> tuple[Arrays, Arrays, Arrays, Arrays]:
    gradients = jvm.gradients(x, y)
    logs = jvm.train_on_batch(x, y, return_dict=True)
    trainer = jvm._trainer
    names = [*jvm._spec["weights"], *jvm._spec.get("states", {})]
    weights = dict(zip(names, trainer.values(names), strict=True))
    slots = {_slot_name(s.weight, s.slot, s.name): array for s, array in trainer.slots()}
    return _sorted(gradients), _numbers(logs), weights, slots


class _NativeTraining:
    """Native Keras, trained step by step."""

    def __init__(self, model: Any):
        self._model = model
        self._names = metadata.weight_names(model)
        self._states = metadata.layer_states(model)

    def step(self, x: Any, y: Any) -> tuple[Arrays | None, Arrays, Arrays, Arrays]:
        gradients = self._gradients(x, y)
        logs = self._model.train_on_batch(x, y, return_dict=True)
        weights = {
            self._names[id(owned.variable)]: _host(owned.variable)
            for owned in metadata.owned_variables(self._model)
        }
        weights |= {state.name: _host(state.variable) for state in self._states}
        optimizer = self._model.optimizer
        slots = {
            _slot_name(weight, slot, variable.path): _host(variable)
            for variable, slot, weight in trained_slots(optimizer, self._names)
        }
        return gradients, _numbers(logs), weights, slots

    def _gradients(self, x: Any, y: Any) -> Arrays | None:
        """The gradients of the unscaled loss; None where the backend has no way to ask for them."""
        if keras.backend.backend() != "tensorflow":
            return None
        import tensorflow as tf

        model = self._model
        kept = [*model.non_trainable_variables, *(state.variable for state in self._states)]
        with _kept(kept), tf.GradientTape() as tape:
            loss = model._compute_loss(x, y, model(x, training=True), None, training=True)
        variables = model.trainable_variables
        found = tape.gradient(loss, variables)
        named = zip((self._names[id(v)] for v in variables), found, strict=True)
        return _sorted({n: np.asarray(tf.convert_to_tensor(g)) for n, g in named if g is not None})


def _labels(model: Any, case: Case, y: Any, seed: int) -> list[Any]:
    """The labels of each batch."""
    if y is not None:
        at, found = 0, []
        for batch in case.batches:
            rows = _rows(batch)
            part = slice(at, at + rows)
            found.append(keras.tree.map_structure(lambda a, p=part: np.asarray(a)[p], y))
            at += rows
        return found
    with read_bundle(case.bundle) as bundle:
        document = bundle.steps() or {}
    rng = np.random.default_rng(seed)
    wanted = {
        i["of"]: i for i in document.get("training", {"inputs": []})["inputs"] if i["role"] == "y"
    }
    return [_random_labels(model, case, batch, wanted, rng) for batch in case.batches]


def _random_labels(model: Any, case: Case, batch: Flat, wanted: dict, rng: Any) -> Any:
    with keras.StatelessScope():
        answer = model(pack(case.spec["input_structure"], batch), training=False)
    names = [output["name"] for output in case.spec["outputs"]]
    made = []
    for name, output in zip(names, keras.tree.flatten(answer), strict=True):
        entry = wanted.get(name)
        rank = len(output.shape if entry is None else entry["shape"])
        shape = tuple(output.shape)[:rank]
        if entry is not None and "classes" in entry:
            made.append(rng.integers(0, entry["classes"], shape).astype("int32"))
        else:
            made.append(rng.uniform(0.0, 1.0, shape).astype("float32"))
    return keras.tree.pack_sequence_as(answer, made) if keras.tree.is_nested(answer) else made[0]


def _rows(batch: Flat) -> int:
    return next(array.shape[0] for array in batch if array is not None)


@contextmanager
def _restored(model: Any) -> Iterator[None]:
    """Gives a model and its optimizer back what they held, after the block."""
    if not model.compiled or model.optimizer is None:
        raise errors.OptionError(
            f"Expected a compiled model with steps=. Received: {model.name!r}, which is not. Call "
            "compile(optimizer=..., loss=...)."
        )
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    states = [state.variable for state in metadata.layer_states(model)]
    with _kept([*model.variables, *states, *model.optimizer.variables]):
        yield


@contextmanager
def _kept(variables: list[Any]) -> Iterator[None]:
    before = [(variable, _host(variable)) for variable in variables]
    try:
        yield
    finally:
        for variable, value in before:
            variable.assign(value)


def _host(variable: Any) -> np.ndarray:
    return np.array(keras.ops.convert_to_numpy(variable))


def _numbers(logs: dict[str, float]) -> Arrays:
    return _sorted({name: np.asarray(value, "float32") for name, value in logs.items()})


def _sorted(arrays: Arrays) -> Arrays:
    return dict(sorted(arrays.items()))


def _slot_name(weight: str | None, slot: str, name: str) -> str:
    return f"{slot} of {weight}" if weight else slot
