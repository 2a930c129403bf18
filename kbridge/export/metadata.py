"""What a bundle says about a model's layers and weights, besides the graph.

Everything here reads the model and changes nothing; no weight array is copied.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import tree
from keras.src.models.functional import Functional

from kbridge.export import jsonable
from kbridge.export.initialization import initializer_of

_AUTO_NAMED = re.compile(r"variable(_\d+)?")
_UNSAFE = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class LayerEntry:
    """A layer and where it stands in the model.

    Attributes:
        layer: The layer.
        path: Layer names from the root downwards, joined by ``/``; ``""`` for the root.
    """

    layer: keras.layers.Layer
    path: str


def model_layers(model: keras.Model) -> list[LayerEntry]:
    """Returns the model and each of its layers once, enclosing layers before enclosed ones.

    A layer that is shared stands where it comes first.
    """
    entries: list[LayerEntry] = []
    seen: set[int] = set()

    def visit(layer: keras.layers.Layer, path: str) -> None:
        if id(layer) in seen:
            return
        seen.add(id(layer))
        entries.append(LayerEntry(layer, path))
        for child in sublayers(layer):
            visit(child, f"{path}/{child.name}" if path else child.name)

    visit(model, "")
    return entries


def shared_between_models(model: keras.Model) -> list[str]:
    """Returns what layers stand in several models inside `model`, in words.

    Keras's configs, of any version, lose that they are one layer.
    """
    holders: dict[int, keras.layers.Layer] = {}
    found = []
    for entry in model_layers(model):
        if isinstance(entry.layer, (Functional, keras.Sequential)):
            for child in sublayers(entry.layer):
                other = holders.setdefault(id(child), entry.layer)
                if other is not entry.layer:
                    found.append(
                        f"layer {child.name!r}: {other.name!r} and {entry.layer.name!r} share it"
                    )
    return found


# Keras internals ---------------------------------------------------------------------------------
# Keras has no public way to ask for these; nothing else in this file reads private attributes.


def sublayers(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """Returns the layers that `layer` holds itself, in the order Keras tracks them."""
    return list(layer._layers)


def own_variables(layer: keras.layers.Layer) -> list[keras.Variable]:
    """Returns the variables that `layer` holds itself: weights and the states of seed generators.

    NB: the states of a stateful recurrent layer are not tracked by Keras, nor in `model.variables`.
    """
    found = [*layer._trainable_variables, *layer._non_trainable_variables]
    found += [generator.state for generator in layer._seed_generators]
    return list({id(variable): variable for variable in found}.values())


def seed_generator_of(layer: keras.layers.Layer, variable: keras.Variable) -> Any:
    """Returns the seed generator whose state `variable` is, or None."""
    return next((g for g in layer._seed_generators if g.state is variable), None)


def _class_entry(cls: type, config: Any) -> dict[str, Any]:
    """Returns module, class name, config and registered name, as Keras writes them."""
    from keras.src.saving.serialization_lib import serialize_with_public_class

    return serialize_with_public_class(cls, config)


# Layers ------------------------------------------------------------------------------------------


def layers_metadata(model: keras.Model) -> list[dict[str, Any]]:
    """Returns one entry per layer, nested ones included, as docs/bundle-format.md section 6 says.

    Args:
        model: A built Keras model. It is not in the list itself, its layers are.

    Returns:
        JSON-safe dicts. A layer whose class has no config has ``"config": None`` and a ``reason``.
    """
    names = weight_names(model)
    return [_layer_metadata(e, names) for e in model_layers(model) if e.layer is not model]


def _layer_metadata(entry: LayerEntry, names: dict[int, str]) -> dict[str, Any]:
    layer = entry.layer
    config, reason = _config_of(layer)
    described = _class_entry(type(layer), config)
    variables = list({id(v): v for e in model_layers(layer) for v in own_variables(e.layer)})
    metadata = {
        "path": entry.path,
        "name": layer.name,
        "class_name": described["class_name"],
        "module": described["module"],
        "registered_name": described["registered_name"],
        "config": config,
        "trainable": bool(layer.trainable),
        "dtype_policy": jsonable.jsonable(layer.dtype_policy),
        "weights": [names[key] for key in variables],
        "activity_regularizer": jsonable.jsonable(getattr(layer, "activity_regularizer", None)),
    }
    if reason is not None:
        metadata["reason"] = reason
    return metadata


def _config_of(layer: keras.layers.Layer) -> tuple[dict[str, Any] | None, str | None]:
    """Returns the layer's complete config, or None and why there is none."""
    try:
        config = jsonable.jsonable(jsonable.serialised(layer.get_config()))
    # NB: `get_config` is the layer's author's code, which can raise anything; the config is for
    # people and for rebuilding the model, the graph does not need it.
    except Exception as e:  # noqa: BLE001
        return None, f"{type(e).__name__}: {e}".strip()
    for key, value in config.items():
        held = getattr(layer, key, None)
        if isinstance(value, dict) and "custom" in value and callable(held):
            config[key] = jsonable.custom(held)
        elif isinstance(value, dict) and isinstance(held, keras.initializers.Initializer):
            config[key] = jsonable.jsonable(held)  # With what Keras's config of it leaves out.
    return config, None


# States ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class State:
    """A state of a stateful recurrent layer, which stays from call to call and is no weight.

    Attributes:
        name: Its name in the bundle.
        variable: The variable.
        layer: Path of the layer.
    """

    name: str
    variable: keras.Variable
    layer: str

    def array(self) -> np.ndarray:
        """What it is now."""
        return np.asarray(keras.ops.convert_to_numpy(self.variable))


def layer_states(model: keras.Model) -> list[State]:
    """Returns the states of a model's stateful recurrent layers, in the order of the layers."""
    taken = set(weight_names(model).values())
    found = []
    for entry in model_layers(model):
        held = entry.layer.states if isinstance(entry.layer, keras.layers.RNN) else None
        for number, variable in enumerate(tree.flatten(held)):
            if variable is not None:
                name = _safe(f"{entry.path}/states/{number}")
                while name in taken:
                    name += "_"
                taken.add(name)
                found.append(State(name, variable, entry.path))
    return found


# Weights -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Owned:
    """A variable with the layer it belongs to.

    Attributes:
        variable: The variable.
        entry: The layer that made it.
    """

    variable: keras.Variable
    entry: LayerEntry

    @property
    def name(self) -> str:
        """The variable's name in its layer: its own, or the attribute's if it has none."""
        name = self.variable.name
        if not _AUTO_NAMED.fullmatch(name):
            return name
        for attribute, value in vars(self.entry.layer).items():
            if value is self.variable:
                return attribute.lstrip("_")
        return name


def owned_variables(model: keras.Model) -> list[Owned]:
    """Returns every variable once, with its layer, in the order of the layers."""
    holders: dict[int, list[Owned]] = {}
    for entry in model_layers(model):
        for variable in own_variables(entry.layer):
            holders.setdefault(id(variable), []).append(Owned(variable, entry))
    return [_owner(candidates) for candidates in holders.values()]


def _owner(candidates: list[Owned]) -> Owned:
    """Of the layers that hold one variable, the one that made it: its path names that layer."""
    parts = candidates[0].variable.path.split("/")
    for owned in candidates:
        if len(parts) > 1 and owned.entry.layer.name == parts[-2]:
            return owned
    return candidates[0]


def weight_names(model: keras.Model) -> dict[int, str]:
    """Returns a unique bundle name for every variable of a model, by the variable's `id`.

    The name is the path of the layer and the variable's name in it, with a number where two
    variables of a layer have one name. It is a relative HDF5 path and no group of another.

    NB: it is Keras's own path of the variable where that tells the layer. Keras's path leaves out
    enclosing models, changes when a model is saved and loaded, and numbers seed generators by
    process.
    """
    names: dict[int, str] = {}
    taken: set[str] = set()
    groups: set[str] = set()
    for owned in owned_variables(model):
        for name in _candidate_names(owned):
            above = _groups_above(name)
            if name not in taken and name not in groups and not taken.intersection(above):
                break
        names[id(owned.variable)] = name
        taken.add(name)
        groups.update(above)
    return names


def _candidate_names(owned: Owned) -> Iterator[str]:
    path = owned.entry.path
    name = _safe(f"{path}/{owned.name}" if path else owned.name)
    yield name
    for number in itertools.count(1):
        yield f"{name}_{number}"
        # NB: no number helps a name that lies below another weight's; one without groups does.
        yield f"{name.replace('/', '.')}_{number}"


def _safe(name: str) -> str:
    """Returns `name` as a relative HDF5 path: no empty part, no dots, no control characters."""
    parts = [_UNSAFE.sub("_", part) for part in name.split("/")]
    return "/".join("_" + part if part in ("", ".", "..") else part for part in parts)


def _groups_above(name: str) -> list[str]:
    """Returns the HDF5 groups that a dataset of this name lies in."""
    parts = name.split("/")
    return ["/".join(parts[:i]) for i in range(1, len(parts))]


def weights_metadata(model: keras.Model) -> dict[str, dict[str, Any]]:
    """Returns what section 3 of docs/bundle-format.md says of each weight, except where it lies.

    Args:
        model: A built Keras model.

    Returns:
        By bundle name, in the order of the layers. `initializer` is
        ``{"class_name": None, "reason": ...}`` where Keras keeps no record of it.
    """
    names = weight_names(model)
    return {names[id(o.variable)]: _weight_metadata(o) for o in owned_variables(model)}


def _weight_metadata(owned: Owned) -> dict[str, Any]:
    variable, layer = owned.variable, owned.entry.layer
    name = owned.name
    generator = seed_generator_of(layer, variable)
    if generator is not None:
        initializer = {"class_name": "SeedGenerator", "config": generator.get_config()}
    else:
        initializer = initializer_of(layer, name, variable)
    return {
        "dtype": keras.backend.standardize_dtype(variable.dtype),
        "shape": list(variable.shape),
        "layer": owned.entry.path,
        "variable": name,
        "keras_path": variable.path,
        "trainable": bool(variable.trainable),
        "initializer": jsonable.jsonable(initializer),
        "regularizer": jsonable.jsonable(getattr(variable, "regularizer", None)),
        "constraint": jsonable.jsonable(getattr(variable, "constraint", None)),
        "aggregation": variable.aggregation,
        "synchronization": variable.synchronization,
        "overwrite_with_gradient": bool(variable.overwrite_with_gradient),
    }


# The whole model ---------------------------------------------------------------------------------


def keras_model_config(model: keras.Model) -> tuple[dict[str, Any] | None, str | None]:
    """Returns what `kbridge.import_model` rebuilds the model from.

    It is `keras.saving.serialize_keras_object` of the model as strict JSON, without the compile
    arguments, which the training document holds.

    Returns:
        The document and None, or None and the reason why the model cannot be rebuilt: a subclassed
        model without ``get_config``, for instance.
    """
    from keras.src.saving.serialization_lib import ObjectSharingScope

    shared = shared_between_models(model)
    if shared:
        return None, f"{shared[0]}, and Keras cannot say so in a config"
    try:
        with ObjectSharingScope():
            config = keras.saving.serialize_keras_object(model.get_config())
    except (NotImplementedError, TypeError, OSError) as e:
        return None, f"{type(e).__name__}: {e}".strip()
    document = _class_entry(type(model), config)
    build_config = model.get_build_config()
    if build_config is not None:
        document["build_config"] = keras.saving.serialize_keras_object(build_config)
    return jsonable.exact(_renumber_shared(document, {})), None


def rebuild(
    document: dict[str, Any], custom_objects: dict[str, Any], allow_lambda: bool = False
) -> Any:
    """Returns the model that `keras_model_config` described, with new weights.

    Args:
        document: What `keras_model_config` returned. It is trusted: check it first.
        custom_objects: Classes and functions that it names, by name.
        allow_lambda: Whether code in it may be loaded.
    """
    from keras.src.saving.serialization_lib import ObjectSharingScope

    with ObjectSharingScope():
        return keras.saving.deserialize_keras_object(
            jsonable.restored(document), custom_objects, safe_mode=not allow_lambda
        )


def _renumber_shared(value: Any, numbers: dict[int, int]) -> Any:
    """Replaces Keras's ids of shared objects, which are addresses, by 1, 2, 3 ..."""
    if isinstance(value, dict):
        return {
            key: numbers.setdefault(member, len(numbers) + 1)
            if key == "shared_object_id"
            else _renumber_shared(member, numbers)
            for key, member in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_renumber_shared(member, numbers) for member in value]
    return value
