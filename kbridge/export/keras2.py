"""The Keras 2 view of a model: architecture, compile arguments and the order of weights in a file.

Tools that read Keras 2 HDF5 files can read a bundle of a model that Keras 2 can say. One that it
cannot say has no such view: `keras2_refusal` gives the reason, and nothing is written wrong.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import keras
from keras.src.models.functional import Functional

from kbridge.export import (
    keras2_layers,
    keras2_masks,
    keras2_order,
    keras2_training,
    metadata,
    training,
)
from kbridge.export import keras2_objects as objects
from kbridge.export.keras2_objects import NotKeras2

Layout = list[tuple[str, list[tuple[str, keras.Variable]]]]

# Arguments of a layer's call, besides its inputs, that mean the same in Keras 2.
_CALL_ARGUMENTS = (
    "initial_state",
    "mask",
    "training",
    "value",
    "key",
    "attention_mask",
    "use_causal_mask",
    "return_attention_scores",
)


def keras2_model_config(model: keras.Model) -> dict[str, Any] | None:
    """Returns the architecture as the `model_config` of a Keras 2 file, or None.

    Args:
        model: A built Keras model.
    """
    try:
        return _model_config(model)
    except NotKeras2:
        return None


def keras2_refusal(model: keras.Model) -> str | None:
    """Returns why `keras2_model_config` gives None for this model, or None where it does not."""
    try:
        _model_config(model)
    except NotKeras2 as reason:
        return str(reason)
    return None


def keras2_training_config(model: keras.Model) -> dict[str, Any] | None:
    """Returns compile()'s arguments as the `training_config` of a Keras 2 file, or None.

    None where the model is not compiled, where Keras 2 cannot say how, or cannot say the model.
    """
    if keras2_refusal(model) is not None:
        return None
    try:
        return keras2_training.training_config(model)
    except NotKeras2:
        return None


def keras2_optimizer_names(model: keras.Model, paths: list[str]) -> list[str] | None:
    """Returns the `weight_names` of `/optimizer_weights` that Keras 2 reads, or None.

    Args:
        model: A compiled model.
        paths: Where the optimizer's variables lie, in their order (`training_metadata`).

    Returns:
        Names relative to the group, in Keras 2's order, without what it does not keep there (the
        learning rate). None where the training cannot be said in Keras 2, or its optimizer has
        more state than Keras 3's.
    """
    if keras2_training_config(model) is None:
        return None
    chosen = keras2_training.optimizer_layout(model.optimizer, paths)
    prefix = f"{training.OPTIMIZER_WEIGHTS}/"
    return None if chosen is None else [path.removeprefix(prefix) for path in chosen]


def keras2_weight_layout(model: keras.Model) -> Layout:
    """Returns how a Keras 2 file holds the weights: layers in order, with named weights in order.

    Keras 2 reads weights by their order alone. A model that cannot be said in Keras 2 has a layout
    too, in Keras 3's order. Each weight is there once; states of seed generators, which Keras 2
    files have not, are nowhere in it.
    """
    names = metadata.weight_names(model)
    config = keras2_model_config(model)
    layout: Layout = []
    seen: set[int] = set()
    for layer, weights in keras2_order.weights_by_layer(model, config):
        new = [v for v in weights if id(v) not in seen]
        seen.update(id(v) for v in new)
        layout.append((layer, [(f"{names[id(v)]}:0", v) for v in new]))
    return layout


def _model_config(model: keras.Model) -> dict[str, Any]:
    if type(model) not in (keras.Sequential, Functional):
        raise NotKeras2(
            f"model {model.name!r}: only Sequential and functional models are the same in Keras 2; "
            f"it is a {type(model).__name__}"
        )
    _refuse_unsayable(model)
    config = keras.saving.serialize_keras_object(model.get_config())
    return _nested_model({"class_name": type(model).__name__, "config": config}, model)


def _refuse_unsayable(model: keras.Model) -> None:
    """Refuses what no config tells: weights shared across models, types, frozen containers."""
    shared = metadata.shared_between_models(model)
    if shared:
        raise NotKeras2(f"{shared[0]}, and a Keras 2 file cannot say so")
    for entry in metadata.model_layers(model):
        if isinstance(entry.layer, Functional):
            _refuse_attached(entry.layer)
        for child in metadata.sublayers(entry.layer):
            if child.trainable and not entry.layer.trainable and _holds_layers(entry.layer):
                raise NotKeras2(
                    f"layer {child.name!r}: it is trainable inside {entry.layer.name!r}, which is "
                    "frozen; Keras 2 forgets the latter"
                )
    for variable in model.variables:
        if variable.dtype == "bfloat16":
            raise NotKeras2(f"weight {variable.path!r}: Keras 2 files have no bfloat16")


def _refuse_attached(model: Functional) -> None:
    in_graph = {id(layer) for layer in model.layers}
    for child in metadata.sublayers(model):
        if id(child) not in in_graph:
            raise NotKeras2(f"layer {child.name!r}: it is attached to a model but not in its graph")


def _holds_layers(layer: keras.layers.Layer) -> bool:
    return isinstance(layer, keras.Model)


def _nested_model(entry: Mapping[str, Any], live: Any) -> dict[str, Any]:
    write = _sequential if entry["class_name"] == "Sequential" else _functional
    return {"class_name": entry["class_name"], "config": write(entry["config"], live)}


def _sequential(config: Mapping[str, Any], live: keras.Sequential) -> dict[str, Any]:
    keras2_masks.check_sequential(live)
    layers = []
    for entry, layer in zip(config["layers"], metadata.sublayers(live), strict=True):
        if len(keras.tree.flatten(layer.output)) > 1:
            raise NotKeras2(
                f"layer {layer.name!r}: Keras 2's Sequential has no layers of several outputs"
            )
        layers.append(keras2_layers.layer(entry, layer, _nested_model))
    return {"name": config["name"], "layers": layers}


def _functional(config: Mapping[str, Any], live: Functional) -> dict[str, Any]:
    entries = _without_masks(config, keras2_masks.implicit_masks(live))
    held = {layer.name: layer for layer in live.layers}
    translated = {
        entry["name"]: keras2_layers.layer(entry, held.get(entry["name"]), _nested_model)
        for entry in entries
    }
    nodes = _Nodes(entries, translated)
    layers = []
    for entry in entries:
        inbound = [nodes.inbound(entry, node) for node in entry["inbound_nodes"]]
        translation = translated[entry["name"]]
        layers.append({**translation, "name": entry["name"], "inbound_nodes": inbound})
    return {
        "name": config["name"],
        "trainable": config.get("trainable", True),
        "layers": layers,
        "input_layers": _as_list(nodes.ends(config["input_layers"])),
        "output_layers": _as_list(nodes.ends(config["output_layers"])),
    }


def _without_masks(
    config: Mapping[str, Any], masks: Mapping[str, list[set[str]]]
) -> list[dict[str, Any]]:
    """Returns the layers without implicit masks, and without operations that made only those."""
    entries = {}
    for entry in config["layers"]:
        calls = zip(entry["inbound_nodes"], masks.get(entry["name"], []), strict=True)
        kept = [
            {**node, "kwargs": {k: v for k, v in node["kwargs"].items() if k not in implicit}}
            for node, implicit in calls
        ]
        entries[entry["name"]] = {**entry, "inbound_nodes": kept}
    used: set[str] = set()
    pending = [leaf[0] for leaf in keras2_order.leaves(config["output_layers"])]
    while pending:
        name = pending.pop()
        if name not in used:
            used.add(name)
            pending += [n for node in entries[name]["inbound_nodes"] for n in _sources(node)]
    return [e for n, e in entries.items() if n in used or e["class_name"] == "InputLayer"]


def _sources(value: Any) -> Iterator[str]:
    """Yields the names of the layers whose outputs stand in the arguments of a call."""
    if _is_tensor(value):
        yield value["config"]["keras_history"][0]
    elif isinstance(value, Mapping):
        for member in value.values():
            yield from _sources(member)
    elif isinstance(value, (list, tuple)):
        for member in value:
            yield from _sources(member)


def _as_list(value: Any) -> Any:
    """Keras 2 writes a single tensor as a list of one."""
    return [value] if keras2_order.is_leaf(value) else value


class _Nodes:
    """Calls of layers in one functional model, with node indices as Keras 2 counts them.

    Keras 2 gives a nested model a first node of its own, for the inputs it was made with, so that
    its calls count from 1. Keras 3 counts them from 0 in inbound nodes, and the outputs of nested
    functional models, but not of sequential ones, from 1.
    """

    def __init__(self, entries: list[dict[str, Any]], translated: Mapping[str, dict[str, Any]]):
        self._functional = {e["name"] for e in entries if e["class_name"] == "Functional"}
        self._first = {
            name: int(entry["class_name"] == "Functional" or _starts_with_input(entry))
            for name, entry in translated.items()
        }

    def inbound(self, entry: Mapping[str, Any], node: Mapping[str, Any]) -> Any:
        """Returns one call: the layer's first argument, each tensor with the other arguments."""
        what = f"layer {entry['name']!r} ({entry['class_name']})"
        names = _call_arguments(entry["class_name"])
        arguments = dict(zip(names, node["args"], strict=False)) | node["kwargs"]
        if len(node["args"]) > len(names) or names[0] not in arguments:
            raise NotKeras2(f"{what}: its call's arguments have no names in Keras 2")
        first = arguments.pop(names[0])
        others = {}
        for name, value in arguments.items():
            if value is None:
                continue
            if name not in _CALL_ARGUMENTS:
                raise NotKeras2(f"{what}: Keras 2's call has not the argument {name!r}")
            others[name] = self._argument(value, what)
        return self._first_argument(first, others, what)

    def ends(self, value: Any) -> Any:
        """Returns the model's inputs or outputs."""
        if keras2_order.is_leaf(value):
            name, node, tensor = value
            return [name, node + (0 if name in self._functional else self._first[name]), tensor]
        if isinstance(value, Mapping):
            return {key: self.ends(member) for key, member in value.items()}
        return [self.ends(member) for member in value]

    def _first_argument(self, value: Any, others: dict[str, Any], what: str) -> Any:
        def tensors(value: Any) -> Any:
            if _is_tensor(value):
                return [*self._tensor(value), others]
            if isinstance(value, Mapping) and "class_name" not in value:
                return {key: tensors(member) for key, member in value.items()}
            if isinstance(value, (list, tuple)):
                return [tensors(member) for member in value]
            raise NotKeras2(f"{what}: one of its inputs is no tensor of the graph")

        return [tensors(value)] if _is_tensor(value) else tensors(value)

    def _argument(self, value: Any, what: str) -> Any:
        if _is_tensor(value):
            return self._tensor(value)
        if isinstance(value, (list, tuple)):
            return [self._argument(member, what) for member in value]
        return objects.value_of(value, what)

    def _tensor(self, value: Mapping[str, Any]) -> list[Any]:
        name, node, tensor = value["config"]["keras_history"]
        return [name, node + self._first[name], tensor]


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Mapping) and value.get("class_name") == "__keras_tensor__"


def _starts_with_input(entry: Mapping[str, Any]) -> bool:
    layers = entry["config"].get("layers") if entry["class_name"] == "Sequential" else None
    return bool(layers) and layers[0]["class_name"] == "InputLayer"


def _call_arguments(class_name: str) -> list[str]:
    cls = Functional if class_name == "Functional" else getattr(keras.layers, class_name, None)
    cls = keras.Sequential if class_name == "Sequential" else cls
    parameters: Iterable[str] = inspect.signature(cls.call).parameters
    return [name for name in parameters if name != "self"]
