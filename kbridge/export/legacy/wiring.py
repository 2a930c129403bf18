"""Calls the layers of a functional model in the order their nodes allow."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import keras
from keras import tree

from kbridge.errors import BundleFormatError
from kbridge.export.legacy.context import Context
from kbridge.export.legacy.objects import plain
from kbridge.export.legacy.registry import Config, Refused

_CONSTANT = "_CONSTANT_VALUE"
_RECURRENT = ("RNN", "SimpleRNN", "LSTM", "GRU", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D")


class _NotYet(Exception):
    """A node needs a tensor that has not been made yet."""


class _Ref(tuple):
    """``(layer name, node index, tensor index)`` as a leaf that `keras.tree` does not enter."""


def wire(config: Config, entries: list[Config], layers: list[Any], context: Context) -> tuple:
    """Makes the graph of a functional model.

    Args:
        config: The model's config, with `input_layers` and `output_layers`.
        entries: Stored data of its layers.
        layers: What was built of them, in the same order.
        context: The reading; gets problems of operations.

    Returns:
        Inputs and outputs for `keras.Model`, nested as stored.

    Raises:
        BundleFormatError: If nodes are missing or the graph has a loop.
    """
    return _Wiring(config, entries, layers, context).run()


class _Wiring:
    def __init__(self, config: Config, entries: list, layers: list, context: Context):
        self.config, self.context = config, context
        self.names = {_entry_name(entry) for entry in entries}
        self.work = [
            (_entry_name(entry), layer, entry.get("inbound_nodes") or [])
            for entry, layer in zip(entries, layers, strict=True)
        ]
        self.offsets = self._offsets()
        self.tensors: dict[tuple[str, int], list[Any]] = {}

    def run(self) -> tuple:
        done: dict[str, int] = defaultdict(int)
        for name, built, nodes in self.work:
            if isinstance(built.layer, keras.layers.InputLayer) and not nodes:
                self.tensors[name, 0] = tree.flatten(built.layer.output)
        progress = True
        while progress:
            progress = False
            for name, built, nodes in self.work:
                while done[name] < len(nodes) and self._call(name, built, nodes, done[name]):
                    done[name] += 1
                    progress = True
        missing = [name for name, _, nodes in self.work if done[name] < len(nodes)]
        if self.context.problems:
            return None, None
        if missing:
            raise BundleFormatError(
                "Expected a graph in which every layer's inputs are made before it. Received: a "
                f"config with a loop or missing layers around {missing}. The file is damaged."
            )
        return self._ends("input_layers"), self._ends("output_layers")

    def _offsets(self) -> dict[str, int]:
        """A nested model's own graph may or may not count as its node 0; its last index tells."""
        highest: dict[str, int] = defaultdict(int)

        def see(ref: _Ref) -> None:
            highest[ref[0]] = max(highest[ref[0]], ref[1])

        everything = [nodes for _, _, nodes in self.work]
        everything += [self.config["input_layers"], self.config["output_layers"]]
        _walk(self._refs(everything), see)
        return {
            name: max(0, highest[name] - len(nodes) + 1) for name, _, nodes in self.work if nodes
        }

    def _refs(self, value: Any) -> Any:
        """Returns a copy of stored data with tensor references marked."""
        if isinstance(value, dict):
            if value.get("class_name") == "__keras_tensor__":
                return _Ref(value["config"]["keras_history"])
            return {key: self._refs(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            if self._is_ref(value):
                kwargs = self._refs(value[3]) if len(value) == 4 else {}
                return _Ref((value[0], value[1], value[2], kwargs))
            return [self._refs(item) for item in value]
        return value

    def _is_ref(self, value: Any) -> bool:
        if len(value) not in (3, 4) or not isinstance(value[0], str):
            return False
        if value[0] == _CONSTANT:
            return len(value) == 4
        return value[0] in self.names and isinstance(value[1], int) and isinstance(value[2], int)

    def _tensor(self, ref: _Ref) -> Any:
        if ref[0] == _CONSTANT:
            return plain(ref[2])
        key = (ref[0], ref[1] - self.offsets.get(ref[0], 0))
        if key not in self.tensors:
            raise _NotYet
        outputs = self.tensors[key]
        if ref[2] >= len(outputs):
            raise BundleFormatError(
                f"Expected layer '{ref[0]}' to have output {ref[2]}. Received: one with "
                f"{len(outputs)} outputs. The file is damaged, or Keras 3 changed the layer."
            )
        return outputs[ref[2]]

    def _resolve(self, value: Any) -> Any:
        if isinstance(value, _Ref):
            return self._tensor(value)
        if isinstance(value, dict):
            if value.get("class_name") == "__tuple__":
                return tuple(self._resolve(item) for item in value["items"])
            if "class_name" in value and "items" not in value:
                return _special(value)
            return {key: self._resolve(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._resolve(item) for item in value]
        return value

    def _call(self, name: str, built: Any, nodes: list, index: int) -> bool:
        try:
            args, kwargs = self._arguments(nodes[index], built)
        except _NotYet:
            return False
        try:
            outputs = call_layer(built, args, kwargs)
        except Refused as refused:
            self.context.path.append(name)
            self.context.refuse(refused.reason, refused.advice, built.class_name)
            self.context.path.pop()
            return False
        except (ValueError, TypeError) as error:
            raise BundleFormatError(
                f"Expected inputs that layer '{name}' ({built.class_name}) can take. "
                f"Received: {[getattr(x, 'shape', x) for x in tree.flatten(args)]}, of which Keras "
                f"says: {error}"
            ) from error
        self.tensors[name, index] = tree.flatten(outputs)
        return True

    def _arguments(self, node: Any, built: Any) -> tuple[list[Any], Config]:
        if isinstance(node, dict) and "args" in node:  # Keras 3
            refs = self._refs(node)
            return self._resolve(refs["args"]), self._resolve(refs["kwargs"])
        refs = self._refs(node)
        leaves: list[_Ref] = []
        _walk(refs, leaves.append, deep=False)
        kwargs = self._resolve(leaves[-1][3]) if leaves else {}
        inputs = self._resolve(refs)
        if isinstance(inputs, list) and len(inputs) == 1:
            inputs = inputs[0]
        return [inputs], kwargs

    def _ends(self, key: str) -> Any:
        ends = self._resolve(self._refs(self.config[key]))
        # NB: before Keras 3 a list of one tensor and a tensor were the same thing.
        if self.context.major < 3 and isinstance(ends, list) and len(ends) == 1:
            return ends[0]
        return ends


def _entry_name(entry: Config) -> str:
    config = entry["config"]
    return str(entry.get("name") or (config.get("name") if isinstance(config, dict) else ""))


def _special(value: Config) -> Any:
    decoded = plain(value)
    if isinstance(decoded, dict) and decoded.get("class_name") == "__slice__":
        parts = decoded["config"]
        return slice(parts["start"], parts["stop"], parts["step"])
    return decoded


def _walk(value: Any, visit: Any, deep: bool = True) -> None:
    """Visits references; with `deep` also those inside a reference's keywords."""
    if isinstance(value, _Ref):
        visit(value)
        if deep:
            _walk(list(value[3:]), visit)
    elif isinstance(value, dict):
        for item in value.values():
            _walk(item, visit, deep)
    elif isinstance(value, list):
        for item in value:
            _walk(item, visit, deep)


def call_layer(built: Any, args: list[Any], kwargs: Config) -> Any:
    """Calls a built layer or operation as its old version was called.

    Args:
        built: What `graph` made of the layer.
        args: Positional arguments, in Keras 2 style: the inputs, nested.
        kwargs: Keywords of the call.

    Returns:
        The output tensors.
    """
    for layer in built.before:
        args = [layer(args[0]), *args[1:]]
    if built.layer is None:
        return built.apply(*args, **kwargs)
    kwargs = {k: v for k, v in {**kwargs, **built.call_kwargs}.items() if v is not None}
    recurrent = type(built.layer).__name__ in (*_RECURRENT, "Bidirectional")
    if recurrent and isinstance(args[0], list) and len(args[0]) > 1:
        # NB: Keras 1 and 2 passed the initial state as further inputs.
        sequence, *state = args[0]
        return built.layer(sequence, initial_state=state, **kwargs)
    return built.layer(*args, **kwargs)
