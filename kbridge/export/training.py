"""What a bundle says about training: `compile()`'s arguments and the optimizer with its state."""

from __future__ import annotations

import re
import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras

from kbridge.export import jsonable

OPTIMIZER_WEIGHTS = "/optimizer_weights"

_AUTO_NAMED = re.compile(r"variable(_\d+)?")
_ARGUMENTS = ("loss", "loss_weights", "metrics", "weighted_metrics")
_FLAGS = ("jit_compile", "run_eagerly", "steps_per_execution")


def training_metadata(
    model: keras.Model, weight_names: Mapping[int, str]
) -> tuple[dict[str, Any], list[tuple[str, keras.Variable]]]:
    """Returns the training document of a bundle and the optimizer's state.

    Args:
        model: A Keras model, compiled or not.
        weight_names: The bundle name of each of its variables by `id`, from
            `kbridge.export.metadata.weight_names`.

    Returns:
        The document (docs/bundle-format.md, section 6), and the optimizer's variables in its own
        order, each with the HDF5 path where the document says it lies.
    """
    arguments = compile_arguments(model)
    if arguments is None:
        return {"compiled": False}, []
    document: dict[str, Any] = {"compiled": True}
    for name in _ARGUMENTS:
        document[name] = _argument(arguments.get(name))
    for name in _FLAGS:
        document[name] = jsonable.jsonable(arguments.get(name))
    document["auto_scale_loss"] = _auto_scale_loss(model)
    document["output_names"] = list(getattr(model, "output_names", None) or [])
    document["custom_compile"] = _custom_compile(model)
    optimizer = model.optimizer
    if optimizer is None:
        document["optimizer"] = None
        return document, []
    paths = {id(v): _path(i, v) for i, v in enumerate(optimizer.variables)}
    names = _Names(weight_names, paths, list(model.trainable_variables))
    document["optimizer"] = _optimizer(optimizer, names)
    return document, [(paths[id(v)], v) for v in optimizer.variables]


# Keras internals ---------------------------------------------------------------------------------
# What Keras keeps of compile() and of an optimizer only in private attributes; read nowhere else.


def compile_arguments(model: keras.Model) -> dict[str, Any] | None:
    """Returns the arguments as they were given, or None if the model was never compiled.

    NB: saving a model as legacy HDF5 removes the optimizer from what Keras keeps here, so that one
    is always taken from ``model.optimizer``.
    """
    kept = getattr(model, "_compile_config", None)
    return kept.config if model.compiled and kept is not None else None


def _trained_variables(optimizer: Any) -> list[keras.Variable]:
    return list(optimizer._trainable_variables)


def _raw_learning_rate(optimizer: Any) -> Any:
    return optimizer._learning_rate


def inner_optimizers(optimizer: Any) -> dict[str, Any]:
    """Returns the optimizers that `optimizer` hands its work to, by a name each."""
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return {"inner_optimizer": optimizer.inner_optimizer}
    if isinstance(optimizer, keras.optimizers.MultiOptimizer):
        return {str(i): inner for i, inner in enumerate(optimizer.optimizers)}
    return {}


def _decay_exclusions(optimizer: Any) -> tuple[set, str | None]:
    """Returns the keys and the name pattern that exclude_from_weight_decay() was given."""
    pattern = getattr(optimizer, "_exclude_from_weight_decay_pattern", None)
    keys = getattr(optimizer, "_exclude_from_weight_decay", set())
    return keys, None if pattern is None else pattern.pattern


def _uses_weight_decay(optimizer: Any, variable: keras.Variable) -> bool:
    keys, pattern = _decay_exclusions(optimizer)
    if optimizer._var_key(variable) in keys:
        return False
    return pattern is None or re.search(pattern, variable.name) is None


def is_slot(optimizer: Any, variable: keras.Variable) -> bool:
    """Whether a variable belongs to a weight, or counts the iterations."""
    _, weight = _slots(optimizer).get(id(variable), (None, None))
    return weight is not None or variable is optimizer._iterations


def excludes_from_weight_decay(optimizer: Any) -> bool:
    """Whether exclude_from_weight_decay() was called with anything."""
    keys, pattern = _decay_exclusions(optimizer)
    return bool(keys) or pattern is not None


# compile() ---------------------------------------------------------------------------------------


def _argument(value: Any) -> Any:
    """Returns a loss, metric or weight argument: its structure kept, its objects serialised."""
    if isinstance(value, Mapping):
        return {str(key): _argument(member) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [_argument(member) for member in value]
    try:
        return jsonable.jsonable(jsonable.serialised(value))
    except (TypeError, NotImplementedError) as e:
        return {**jsonable.custom(value), "reason": f"{type(e).__name__}: {e}"}


def _auto_scale_loss(model: keras.Model) -> bool:
    """Whether compile() was free to scale the loss; told by what it did in mixed precision."""
    if model.dtype_policy.name != "mixed_float16" or model.optimizer is None:
        return True
    return isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)


def _custom_compile(model: keras.Model) -> dict[str, Any] | None:
    """Returns what a model class that overrides `compile` says of it, None for Keras's own."""
    if type(model).compile is keras.Model.compile:
        return None
    cls = type(model)
    described = {"class_name": keras.saving.get_registered_name(cls), "module": cls.__module__}
    if cls.get_compile_config is keras.Model.get_compile_config:
        return {**described, "config": None, "reason": "the class has no get_compile_config()"}
    return {**described, "config": jsonable.jsonable(model.get_compile_config())}


# Optimizer ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Names:
    """What variables are called in the bundle."""

    weights: Mapping[int, str]
    paths: Mapping[int, str]
    trainable: list[keras.Variable]

    def weight(self, variable: keras.Variable | None) -> str | None:
        return None if variable is None else self.weights.get(id(variable))


def _path(index: int, variable: keras.Variable) -> str:
    """Returns a path that is unique, and the same in every process that compiles the same model."""
    name = "variable" if _AUTO_NAMED.fullmatch(variable.name) else variable.name
    return f"{OPTIMIZER_WEIGHTS}/{index}/{name}"


def _optimizer(optimizer: Any, names: _Names) -> dict[str, Any]:
    inner = inner_optimizers(optimizer)
    return {
        **_described(optimizer),
        "built": bool(optimizer.built),
        "learning_rate": _learning_rate(optimizer),
        "iterations": int(keras.ops.convert_to_numpy(optimizer.iterations)),
        "exclude_from_weight_decay": _exclusions(optimizer, names),
        "weights": [names.weight(v) for v in _trained_variables(optimizer)],
        "variables": _variables(optimizer, names, skip=list(inner.values())),
        "inner": {key: _optimizer(one, names) for key, one in inner.items()},
    }


def _described(optimizer: Any) -> dict[str, Any]:
    """Returns the optimizer as Keras serialises it, functions by their names."""
    described = jsonable.jsonable(jsonable.serialised(optimizer))
    rate = _raw_learning_rate(optimizer)
    if isinstance(rate, types.FunctionType):
        described["config"]["learning_rate"] = jsonable.custom(rate)
    return described


def _learning_rate(optimizer: Any) -> float | None:
    """Returns the rate of the next step; None where every inner optimizer has its own."""
    if isinstance(optimizer, keras.optimizers.MultiOptimizer):
        return None
    rate = keras.ops.convert_to_numpy(optimizer.learning_rate)
    return jsonable.jsonable(float(rate))


def _exclusions(optimizer: Any, names: _Names) -> dict[str, Any]:
    """Returns which weights do not decay; Keras keeps this out of the optimizer's config."""
    candidates = _trained_variables(optimizer) or names.trainable
    excluded = [names.weight(v) for v in candidates if not _uses_weight_decay(optimizer, v)]
    return {"pattern": _decay_exclusions(optimizer)[1], "weights": excluded}


def _variables(optimizer: Any, names: _Names, skip: list[Any]) -> list[dict[str, Any]]:
    """Returns the optimizer's own variables; those of the optimizers in `skip` are told there."""
    skipped = {id(v) for one in skip for v in one.variables}
    slots = _slots(optimizer)
    described = []
    for variable in optimizer.variables:
        if id(variable) in skipped:
            continue
        slot, trained = slots.get(id(variable), (variable.name, None))
        described.append(
            {
                "name": variable.path,
                "path": names.paths[id(variable)],
                "slot": slot,
                "weight": names.weight(trained),
                "dtype": keras.backend.standardize_dtype(variable.dtype),
                "shape": list(variable.shape),
            }
        )
    return described


def trained_slots(
    optimizer: Any, names: Mapping[int, str]
) -> list[tuple[keras.Variable, str, str | None]]:
    """Returns an optimizer's variables in its own order, each with its slot and weight.

    Args:
        optimizer: A built optimizer.
        names: The bundle names of the weights by `id`.
    """
    slots = _slots(optimizer)
    for inner in inner_optimizers(optimizer).values():
        slots |= _slots(inner)
    found = []
    for variable in optimizer.variables:
        slot, weight = slots.get(id(variable), (variable.name, None))
        found.append((variable, slot, None if weight is None else names[id(weight)]))
    return found


def _slots(optimizer: Any) -> dict[int, tuple[str, keras.Variable | None]]:
    """Returns the slot and the trained variable of each of the optimizer's variables, by `id`.

    An optimizer keeps its slots as attributes: a list with one variable (or None) for each trained
    variable, or a variable of its own.
    """
    trained = _trained_variables(optimizer)
    slots: dict[int, tuple[str, keras.Variable | None]] = {}
    for attribute, value in vars(optimizer).items():
        if isinstance(value, keras.Variable):
            slots[id(value)] = (_slot_name(value, None, attribute), None)
        if attribute == "_trainable_variables" or not isinstance(value, (list, tuple)):
            continue
        if attribute != "_variables" and len(value) == len(trained):
            for variable, reference in zip(value, trained, strict=True):
                if isinstance(variable, keras.Variable):
                    slots[id(variable)] = (_slot_name(variable, reference, attribute), reference)
    return slots


def _slot_name(variable: Any, reference: Any, attribute: str) -> str:
    """Returns the name Keras gave the slot: what follows the weight's path in its variable's."""
    if reference is None:
        return attribute.strip("_") if _AUTO_NAMED.fullmatch(variable.name) else variable.name
    prefix = f"{reference.path.replace('/', '_')}_"
    if variable.name.startswith(prefix):
        return variable.name.removeprefix(prefix)
    return attribute.strip("_")
