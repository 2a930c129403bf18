"""Masks in a functional model: which of them Keras 2 passes on by itself, and where it would not.

Keras 3 writes the mask that it hands from layer to layer into each call, as if it had been an
argument, with the operations that make it. Keras 2 hands masks on in the same way but does not
write them.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import keras
from keras import layers
from keras.src.backend import get_keras_mask
from keras.src.models.functional import Functional
from keras.src.ops.function import make_node_key

from kbridge.export.keras2_objects import NotKeras2

# Layers that do something else with a mask in Keras 2: the first three refuse it; merged masks are
# an AND there and an OR in Keras 3, which also leaves masked values out of some merges; Keras 3
# leaves masked steps out of batch statistics.
_OTHER_MASKS_IN_KERAS_2 = (
    layers.Identity,
    layers.Normalization,
    layers.Rescaling,
    layers.Add,
    layers.Average,
    layers.Concatenate,
    layers.Maximum,
    layers.Minimum,
    layers.Multiply,
    layers.Subtract,
    layers.BatchNormalization,
    layers.Softmax,
)


def implicit_masks(model: Functional) -> dict[str, list[set[str]]]:
    """Returns which arguments of each call are masks that travel by themselves.

    Args:
        model: A functional model.

    Returns:
        By layer name, for each call that the model's config has, the names of such arguments.

    Raises:
        NotKeras2: A mask reaches a layer that does not take one in Keras 2.
    """
    found: dict[str, list[set[str]]] = {}
    for operation, node in _calls(model):
        arguments = _arguments(operation, node)
        if isinstance(operation, keras.layers.Layer):
            _refuse_unmaskable(operation, arguments)
        names = {name for name in node.arguments.kwargs if _is_implicit(name, arguments)}
        found.setdefault(operation.name, []).append(names)
    return found


def check_sequential(model: keras.Sequential) -> None:
    """Refuses a sequential model in which a mask reaches a layer that takes none in Keras 2."""
    functional = model._functional
    if functional is not None:
        implicit_masks(functional)


def _calls(model: Functional) -> Iterator[tuple[Any, Any]]:
    """Yields the operations and nodes in the order of the model's config (Keras internals)."""
    for operation in model.operations:
        for index, node in enumerate(operation._inbound_nodes):
            if make_node_key(operation, index) in model._nodes and node.input_tensors:
                yield operation, node


def _arguments(operation: Any, node: Any) -> dict[str, Any]:
    signature = inspect.signature(operation.call)
    names = [name for name, p in signature.parameters.items() if p.kind != p.VAR_KEYWORD]
    given = dict(zip(names, node.arguments.args, strict=False))
    return given | dict(node.arguments.kwargs)


def _is_implicit(name: str, arguments: dict[str, Any]) -> bool:
    """Whether argument `name` is the mask that the argument it belongs to carries anyway."""
    if arguments[name] is None or not (name == "mask" or name.endswith("_mask")):
        return False
    masked = next(iter(arguments)) if name == "mask" else name.removesuffix("_mask")
    if masked not in arguments:
        return False
    carried = keras.tree.flatten(keras.tree.map_structure(get_keras_mask, arguments[masked]))
    given = keras.tree.flatten(arguments[name])
    return len(carried) == len(given) and all(map(_same_tensor, carried, given))


def _same_tensor(a: Any, b: Any) -> bool:
    """Whether two symbolic tensors have the same value: the same operations on the same tensors."""
    if a is b:
        return True
    if not (isinstance(a, keras.KerasTensor) and isinstance(b, keras.KerasTensor)):
        return not isinstance(a, keras.KerasTensor) and type(a) is type(b) and bool(a == b)
    (op_a, index_a, output_a), (op_b, index_b, output_b) = a._keras_history, b._keras_history
    if isinstance(op_a, keras.layers.Layer) or type(op_a) is not type(op_b):
        return False
    if output_a != output_b or _settings(op_a) != _settings(op_b):
        return False
    arguments = [op._inbound_nodes[i].arguments for op, i in ((op_a, index_a), (op_b, index_b))]
    flat_a, flat_b = (keras.tree.flatten((x.args, x.kwargs)) for x in arguments)
    return len(flat_a) == len(flat_b) and all(map(_same_tensor, flat_a, flat_b))


def _settings(operation: Any) -> dict[str, Any]:
    return {key: value for key, value in operation.get_config().items() if key != "name"}


def _refuse_unmaskable(layer: keras.layers.Layer, arguments: dict[str, Any]) -> None:
    first = next(iter(arguments.values()), None)
    masks = [m for m in map(_mask_of, keras.tree.flatten(first)) if m is not None]
    if not masks or isinstance(layer, keras.Model):
        return
    if isinstance(layer, keras.layers.TimeDistributed):
        takes = "mask" in inspect.signature(layer.layer.call).parameters
        refused = takes or any(len(mask.shape) != 2 for mask in masks)
    else:
        refused = isinstance(layer, _OTHER_MASKS_IN_KERAS_2) or not layer.supports_masking
    if refused:
        raise NotKeras2(
            f"layer {layer.name!r} ({type(layer).__name__}): a mask reaches it, which Keras 2 "
            "refuses or treats otherwise"
        )


def _mask_of(value: Any) -> Any:
    return get_keras_mask(value) if isinstance(value, keras.KerasTensor) else None
