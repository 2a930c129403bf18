"""`import_model`: the Keras model back out of a bundle, with its weights and its training state."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np

from kbridge import bundle as bundles
from kbridge import errors
from kbridge.export import jsonable, metadata, training
from kbridge.export.legacy.json_guard import check_config

_COMPILE_ARGUMENTS = ("loss", "loss_weights", "metrics", "weighted_metrics")
_FLAGS = ("run_eagerly", "steps_per_execution", "auto_scale_loss")


def import_model(
    path: str | os.PathLike,
    custom_objects: Mapping[str, Any] | None = None,
    *,
    compile: bool = True,
    allow_lambda: bool = False,
) -> keras.Model:
    """Rebuilds the Keras model that a bundle was exported from.

    Args:
        path: A bundle.
        custom_objects: Classes and functions of your own that the model uses, by name. Nothing
            else that the file names is looked up outside Keras.
        compile: Whether to compile the model as it was, with the optimizer's state.
        allow_lambda: Whether code of `Lambda` layers in the file may be loaded. Only for files
            whose origin you trust.

    Returns:
        The model.

    Raises:
        UnsupportedModelError: The bundle does not say how to rebuild the model, or it uses classes,
            functions or code that were not allowed.
        BundleFormatError: The weights in the file do not belong to the model it describes.

    Example:
        >>> model = kbridge.importer.import_model("model.h5")
    """
    objects = dict(custom_objects or {})
    with bundles.read_bundle(path) as bundle:
        model = _build(bundle, objects, allow_lambda)
        variables = _set_weights(model, bundle)
        if compile and bundle.training.get("compiled"):
            _compile(model, bundle, variables, objects)
    return model


def import_weights(model: keras.Model, path: str | os.PathLike) -> None:
    """Gives a Keras model the weights of a bundle, and its optimizer the state that goes with them.

    So what was trained in the JVM goes on in Keras: weights, states of stateful layers and of seed
    generators, the optimizer's slots, its iterations and learning rate.

    Args:
        model: The model that the bundle was exported from, or one built in the same way. If it is
            compiled, its optimizer has to be of the bundle's class; if it is not, weights and
            states alone are set. States of layers stay where the batch size is another one.
        path: A bundle, such as `JvmModel.save` writes.

    Raises:
        BundleFormatError: Weights or optimizer of the bundle do not belong to this model.

    Example:
        >>> jvm_model.save("trained.h5")
        >>> kbridge.import_weights(model, "trained.h5")
        >>> model.fit(x, y)
    """
    with bundles.read_bundle(path) as bundle:
        stored = bundle.training.get("optimizer") if model.compiled else None
        optimizer = model.optimizer if model.compiled else None
        name = None if optimizer is None else type(optimizer).__name__
        if stored is not None and name != stored["class_name"]:
            raise errors.BundleFormatError(
                f"Expected a model compiled with the optimizer {stored['class_name']} of the "
                f"bundle. Received: {name}. Compile the model as it was when it was exported."
            )
        variables = _set_weights(model, bundle)
        if stored is not None and stored["built"]:
            _set_optimizer_state(optimizer, stored, variables, bundle)


# Architecture ------------------------------------------------------------------------------------


def _build(bundle: bundles.Bundle, objects: dict[str, Any], allow_lambda: bool) -> keras.Model:
    config = bundle.spec.get("keras_model")
    if config is None:
        reason = bundle.spec.get("keras_model_refusal") or "the bundle holds no Keras architecture"
        raise _cannot_rebuild(bundle, reason)
    check_config(config, objects, allow_lambda)
    _refuse_code(config, allow_lambda)
    try:
        model = metadata.rebuild(config, objects, allow_lambda)
    except (TypeError, ValueError, KeyError) as e:
        raise _cannot_rebuild(bundle, " ".join(str(e).split())) from e
    if not isinstance(model, keras.Model):
        raise errors.BundleFormatError(
            f"Expected the bundle to describe a model. Received: a {type(model).__name__}. "
            "Export the model again."
        )
    return model


def _cannot_rebuild(bundle: bundles.Bundle, reason: str) -> errors.UnsupportedModelError:
    problem = errors.Problem(
        bundle.spec.get("name", "model"),
        "keras.Model",
        f"it cannot be rebuilt: {reason}",
        "give its class get_config() and from_config(), and export it again",
    )
    return errors.UnsupportedModelError([problem])


def _refuse_code(config: Any, allow_lambda: bool) -> None:
    """Refuses functions without a name, which Keras stores as code without saying so."""
    found = [] if allow_lambda else list(_code_in(config, "model"))
    if found:
        raise errors.UnsupportedModelError(
            [
                errors.Problem(
                    where,
                    "function",
                    "it holds Python bytecode, which would run when the file is opened",
                    "pass allow_lambda=True if you trust the file, or use a named function",
                )
                for where in found
            ]
        )


def _code_in(value: Any, where: str) -> Iterator[str]:
    if isinstance(value, dict):
        if jsonable.is_code(value):
            yield where
        name = value.get("name")
        for key, member in value.items():
            yield from _code_in(member, f"{name}.{key}" if isinstance(name, str) else where)
    elif isinstance(value, list):
        for member in value:
            yield from _code_in(member, where)


# Weights -----------------------------------------------------------------------------------------


def _set_weights(model: keras.Model, bundle: bundles.Bundle) -> dict[str, keras.Variable]:
    """Gives the model's variables their values; returns them by bundle name."""
    variables = _by_bundle_name(model, bundle)
    for name, variable in variables.items():
        _assign(variable, bundle.weight(name))
    _set_states(model, bundle)
    for entry in metadata.model_layers(model):
        if isinstance(entry.layer, keras.layers.Normalization) and entry.layer.built:
            entry.layer.finalize_state()  # What it computes with is made from its weights.
    return variables


def _set_states(model: keras.Model, bundle: bundles.Bundle) -> None:
    """Gives stateful layers the states they had, which no file of Keras keeps.

    A model with other states, such as one for another batch size, keeps its own.
    """
    stored = bundle.spec.get("states", {})
    found = metadata.layer_states(model)
    if [list(s.variable.shape) for s in found] == [e["shape"] for e in stored.values()]:
        # NB: by order; a layer inside a custom layer may get another automatic name each time.
        for name, state in zip(stored, found, strict=True):
            _assign(state.variable, bundle.state(name))


def _by_bundle_name(model: keras.Model, bundle: bundles.Bundle) -> dict[str, keras.Variable]:
    """Finds each stored weight's variable: by layer and name, else by order.

    NB: a layer inside a custom layer may get another automatic name each time it is made.
    """
    stored = bundle.spec["weights"]
    owned = metadata.owned_variables(model)
    if len(owned) != len(stored):
        raise errors.BundleFormatError(
            f"Expected {len(stored)} weights in the rebuilt model, as the bundle stores. "
            f"Received: {len(owned)}. If it has custom layers, they have to make their weights in "
            "build() or __init__()."
        )
    by_place = {(o.entry.path, o.name): o.variable for o in owned}
    places = {name: (e["layer"], e["variable"]) for name, e in stored.items()}
    if len(by_place) == len(owned) and set(places.values()) == set(by_place):
        found = {name: by_place[place] for name, place in places.items()}
    else:
        found = {name: o.variable for name, o in zip(stored, owned, strict=True)}
    for name, variable in found.items():
        if list(variable.shape) != list(stored[name]["shape"]):
            raise errors.BundleFormatError(
                f"Expected {name!r} to have the shape {list(variable.shape)} that the model gives "
                f"it. Received: {stored[name]['shape']}. Export the model again."
            )
    return found


def _assign(variable: keras.Variable, values: np.ndarray) -> None:
    if values.dtype.name == "bfloat16":
        values = values.astype("float32")  # Not every backend reads NumPy's bfloat16; exact.
    variable.assign(values)


# Training ----------------------------------------------------------------------------------------


def _compile(
    model: keras.Model,
    bundle: bundles.Bundle,
    variables: dict[str, keras.Variable],
    objects: dict[str, Any],
) -> None:
    document = bundle.training
    own = document.get("custom_compile")
    if own is not None:
        _compile_by_its_class(model, own)
        return
    reviver = _Reviver(objects, model.name)
    arguments = {name: reviver.revive(document.get(name)) for name in _COMPILE_ARGUMENTS}
    stored = document.get("optimizer")
    optimizer = None if stored is None else reviver.optimizer(stored, variables)
    reviver.raise_missing()
    same_backend = bundle.provenance.get("backend") == keras.backend.backend()
    model.compile(
        optimizer=optimizer,
        jit_compile=document["jit_compile"] if same_backend else "auto",
        **arguments,
        **{name: document[name] for name in _FLAGS},
    )
    if stored is not None and stored["built"]:
        _set_optimizer_state(model.optimizer, stored, variables, bundle)


def _compile_by_its_class(model: keras.Model, own: dict[str, Any]) -> None:
    if own.get("config") is None:
        warnings.warn(
            f"The class {own['class_name']!r} has its own compile() and no get_compile_config(): "
            "the model is returned uncompiled. Call compile() yourself.",
            stacklevel=4,
        )
        return
    model.compile_from_config(own["config"])


class _Reviver:
    """Makes Keras objects of what the training document says, collecting what is missing."""

    def __init__(self, objects: dict[str, Any], model_name: str):
        self._objects = dict(objects)
        self._model_name = model_name
        self._missing: list[str] = []

    def revive(self, value: Any) -> Any:
        """Returns a loss, a metric, a weight, or a structure of them."""
        if isinstance(value, list):
            return [self.revive(member) for member in value]
        if not isinstance(value, dict):
            return value
        if "custom" in value:
            return self._find(value["custom"])
        if "class_name" in value and "config" in value:
            return self._object(value)
        return {key: self.revive(member) for key, member in value.items()}

    def optimizer(self, stored: dict[str, Any], variables: Mapping[str, Any]) -> Any:
        keys = ("module", "class_name", "config", "registered_name")
        optimizer = self._object({key: stored.get(key) for key in keys})
        if optimizer is not None:
            _exclude(optimizer, stored, variables)
        return optimizer

    def raise_missing(self) -> None:
        """Raises if anything was named that the caller did not give."""
        if self._missing:
            raise errors.UnsupportedModelError(
                [
                    errors.Problem(
                        self._model_name,
                        name,
                        "compile() was given it, and it is not part of Keras",
                        f"pass custom_objects={{{name!r}: ...}}, or compile=False",
                    )
                    for name in dict.fromkeys(self._missing)
                ]
            )

    def _object(self, described: dict[str, Any]) -> Any:
        described = self._with_functions(described)
        if self._missing:
            return None
        check_config(described, self._objects, allow_lambda=False)
        return keras.saving.deserialize_keras_object(described, self._objects)

    def _with_functions(self, value: Any) -> Any:
        """Returns a config in Keras's form again: functions and infinite numbers."""
        if isinstance(value, list):
            return [self._with_functions(member) for member in value]
        if isinstance(value, dict):
            if "custom" in value:
                return self._function(value["custom"])
            return {key: self._with_functions(member) for key, member in value.items()}
        return float(value) if value in ("nan", "inf", "-inf") else value

    def _function(self, name: str) -> dict[str, Any]:
        self._objects[name] = self._find(name)
        return {
            "module": "builtins",
            "class_name": "function",
            "config": name,
            "registered_name": "function",
        }

    def _find(self, name: str) -> Any:
        for key in (name, name.rpartition(".")[2], name.rpartition(">")[2]):
            if key in self._objects:
                return self._objects[key]
        registered = keras.saving.get_registered_object(name)
        if registered is None:
            self._missing.append(name)
        return registered


def _exclude(optimizer: Any, stored: dict[str, Any], variables: Mapping[str, Any]) -> None:
    """Repeats exclude_from_weight_decay(), which is not in an optimizer's config."""
    excluded = stored["exclude_from_weight_decay"]
    if excluded["weights"] or excluded["pattern"] is not None:
        optimizer.exclude_from_weight_decay(
            [variables[name] for name in excluded["weights"]],
            None if excluded["pattern"] is None else [excluded["pattern"]],
        )
    for key, inner in training.inner_optimizers(optimizer).items():
        _exclude(inner, stored["inner"][key], variables)


def _set_optimizer_state(
    optimizer: Any,
    stored: dict[str, Any],
    variables: Mapping[str, keras.Variable],
    bundle: bundles.Bundle,
) -> None:
    if not optimizer.built:
        optimizer.build([variables[name] for name in stored["weights"]])
    entries = list(_stored_variables(stored))
    if len(entries) != len(optimizer.variables):
        raise errors.BundleFormatError(
            f"Expected {len(optimizer.variables)} variables for the optimizer "
            f"{type(optimizer).__name__}. Received: {len(entries)}. Export the model again."
        )
    for entry, variable in zip(entries, optimizer.variables, strict=True):
        if list(entry["shape"]) != list(variable.shape):
            raise errors.BundleFormatError(
                f"Expected {entry['name']!r} to have the shape {list(variable.shape)}. "
                f"Received: {entry['shape']}. Export the model again."
            )
        _assign(variable, bundle.dataset(entry["path"], entry["dtype"]))


def _stored_variables(stored: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yields an optimizer's variables in its own order: its own, then those of the inner ones."""
    yield from stored["variables"]
    for inner in stored["inner"].values():
        yield from _stored_variables(inner)
