"""The order in which Keras 2 numbers layers and weights when it loads a model.

Keras 2 reads weights by position: it sorts the layers of a functional model by their depth in the
graph, then by when a walk back from the outputs meets them, and takes each layer's weights,
trainable ones first. A wrong order would load weights of equal shapes into the wrong layers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import keras
from keras.src.models.functional import Functional

from kbridge.export import metadata

TOP_LEVEL = "top_level_model_weights"
_Node = tuple[str, int]


def is_leaf(value: Any) -> bool:
    """Whether `value` names a tensor: ``[layer, node, tensor]``, maybe with call arguments."""
    return isinstance(value, (list, tuple)) and len(value) in (3, 4) and isinstance(value[0], str)


def weights_by_layer(
    model: keras.Model, config: Mapping[str, Any] | None
) -> list[tuple[str, list[keras.Variable]]]:
    """Returns the groups of a Keras 2 file: layer names with the layers' weights, in order.

    Args:
        model: The model.
        config: Its `keras2_model_config`, or None where Keras 2 cannot say it.
    """
    weights = _Weights()
    groups = [
        (_group_name(layer.name), weights.legacy(layer, entry))
        for layer, entry in _children(model, config)
    ]
    own = _own(model, trainable=True) + _own(model, trainable=False)
    return [*groups, (TOP_LEVEL, own)] if own else groups


def _group_name(name: str) -> str:
    return f"_{name}" if name in (".", "..", TOP_LEVEL) else name.replace("\0", "_")


def _children(
    layer: keras.layers.Layer, config: Mapping[str, Any] | None
) -> list[tuple[keras.layers.Layer, Mapping[str, Any] | None]]:
    """Returns the layers inside `layer` in Keras 2's order, each with its own Keras 2 config."""
    children = metadata.sublayers(layer)
    if config is None:
        return [(child, None) for child in children]
    inner = config["config"]
    if isinstance(layer, (Functional, keras.Sequential)):
        entries = {entry["config"]["name"]: entry for entry in inner["layers"]}
        order = list(entries)
        if isinstance(layer, Functional):
            order = functional_order(inner)
        by_name = {child.name: child for child in children}
        return [(by_name[name], entries[name]) for name in order]
    nested = [inner[key] for key in ("layer", "cell") if isinstance(inner.get(key), Mapping)]
    known = {entry["config"]["name"]: entry for entry in nested}
    return [(child, known.get(child.name)) for child in children]


class _Weights:
    """Lists weights as Keras 2's properties of the same names do.

    NB: Keras 2 does not keep whether a model inside a model is frozen, only its layers: after
    loading, every model is trainable.
    """

    def legacy(
        self, layer: keras.layers.Layer, config: Mapping[str, Any] | None
    ) -> list[keras.Variable]:
        """Returns all weights of a layer, trainable ones first."""
        return _unique([*self.trainable(layer, config), *self.non_trainable(layer, config)])

    def trainable(self, layer: Any, config: Any) -> list[keras.Variable]:
        if isinstance(layer, keras.Model):
            return [*self._inside(layer, config, self.trainable), *_own(layer, trainable=True)]
        if not layer.trainable:
            return []
        return [*_own(layer, trainable=True), *self._inside(layer, config, self.trainable)]

    def non_trainable(self, layer: Any, config: Any) -> list[keras.Variable]:
        own = _own(layer, trainable=False)
        if isinstance(layer, keras.Model):
            return [*self._inside(layer, config, self.non_trainable), *own]
        if layer.trainable:
            return [*own, *self._inside(layer, config, self.non_trainable)]
        every = self._inside(layer, config, self.variables)
        return [*_own(layer, trainable=True), *own, *every]

    def variables(self, layer: Any, config: Any) -> list[keras.Variable]:
        if not isinstance(layer, keras.Model):
            return self.legacy(layer, config)
        own = _own(layer, trainable=True) + _own(layer, trainable=False)
        return _unique([*self._inside(layer, config, self.variables), *own])

    def _inside(self, layer: Any, config: Any, of: Any) -> Iterator[keras.Variable]:
        for child, entry in _children(layer, config):
            yield from of(child, entry)


def _unique(variables: list[keras.Variable]) -> list[keras.Variable]:
    return list({id(variable): variable for variable in variables}.values())


# Keras internals ---------------------------------------------------------------------------------


def _own(layer: keras.layers.Layer, *, trainable: bool) -> list[keras.Variable]:
    """Returns the weights a layer made itself, by what they were made as, frozen since or not."""
    return list(layer._trainable_variables if trainable else layer._non_trainable_variables)


# The graph ---------------------------------------------------------------------------------------


def functional_order(config: Mapping[str, Any]) -> list[str]:
    """Returns the layer names of a functional model as Keras 2 orders them after loading.

    Args:
        config: The model's config in the Keras 2 dialect.
    """
    graph = _Graph(config)
    depths: dict[_Node, int] = {}
    layer_depths: dict[str, int] = {}
    for node in reversed(graph.nodes):
        depth = max(depths.get(node, 0), layer_depths.get(node[0], 0))
        depths[node] = layer_depths[node[0]] = depth
        for parent in graph.parents(node):
            depths[parent] = max(depth + 1, depths.get(parent, 0))
    for name, _, _ in leaves(config["input_layers"]):
        if name not in layer_depths:
            layer_depths[name] = 0
            graph.met[name] = -1
    return sorted(layer_depths, key=lambda name: (-layer_depths[name], graph.met[name]))


class _Graph:
    """The calls in a functional model, walked back from its outputs.

    Attributes:
        nodes: Calls, each after those it reads.
        met: When the walk met a layer first.
    """

    def __init__(self, config: Mapping[str, Any]):
        self._inputs: dict[_Node, list[_Node]] = {}
        for entry in config["layers"]:
            first = _first_node(entry)
            for i, node in enumerate(entry["inbound_nodes"]):
                self._inputs[entry["name"], first + i] = [
                    (leaf[0], leaf[1]) for leaf in _call_leaves(node)
                ]
        self.nodes: list[_Node] = []
        self.met: dict[str, int] = {}
        finished: set[_Node] = set()
        for leaf in leaves(config["output_layers"]):
            self._walk((leaf[0], leaf[1]), finished)

    def parents(self, node: _Node) -> list[_Node]:
        return self._inputs.get(node, [])

    def _walk(self, end: _Node, finished: set[_Node]) -> None:
        """Visits depth first; without recursion, because models are deeper than Python's stack."""
        pending = [(end, False)]
        while pending:
            node, inputs_done = pending.pop()
            if inputs_done:
                self.nodes.append(node)
                continue
            if node in finished:
                continue
            finished.add(node)
            self.met.setdefault(node[0], len(self.met))
            pending.append((node, True))
            pending.extend((parent, False) for parent in reversed(self.parents(node)))


def _first_node(entry: Mapping[str, Any]) -> int:
    """Returns what Keras 2 numbers a layer's first call: a nested model has a node of its own."""
    if entry["class_name"] == "Sequential":
        return int(entry["config"]["layers"][0]["class_name"] == "InputLayer")
    return int(entry["class_name"] == "Functional")


def leaves(value: Any) -> Iterator[list[Any]]:
    """Yields tensors in the order TensorFlow flattens structures: dicts by sorted key."""
    if is_leaf(value):
        yield list(value)
    elif isinstance(value, Mapping):
        for key in sorted(value):
            yield from leaves(value[key])
    elif isinstance(value, (list, tuple)):
        for member in value:
            yield from leaves(member)


def _call_leaves(node: Any) -> Iterator[list[Any]]:
    """Yields the tensors of one call: the first argument's, then the others' as they stand."""
    first = list(leaves(node))
    yield from first
    if first and len(first[0]) == 4:
        for value in first[0][3].values():
            yield from leaves(value)
