"""Builds live Keras 3 models from configs of Keras 1, 2 and 3 found in HDF5 files.

Layers are made first, all of them, so that everything unsupported is known before anything is
wired. `Built` keeps what the file said about each layer: `weights` needs it.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import keras
from keras.src.saving import serialization_lib

# NB: imported for their registrations.
from kbridge.export.legacy import (  # noqa: F401
    layers_conv,
    layers_keras1,
    layers_keras2,
    layers_rnn,
    layers_tfnodes,
    layers_tfops,
)
from kbridge.export.legacy.context import Context
from kbridge.export.legacy.json_guard import operation_class
from kbridge.export.legacy.objects import convert_values, dtype_from, plain
from kbridge.export.legacy.registry import Config, Converted, Refused, layer_converter
from kbridge.export.legacy.wiring import wire

CONTAINERS = ("Sequential", "Model", "Functional", "Network", "Container", "Graph")
_INPUT_KEYS = ("batch_input_shape", "input_shape", "batch_size", "dynamic", "build_config")
_BASE = {"name", "trainable", "dtype", "activity_regularizer"}


@dataclass
class Built:
    """A layer of the file and what became of it.

    Attributes:
        name: The layer's name in the file.
        class_name: Its class in the file.
        config: Its config in the file.
        layer: The Keras 3 layer, or None where `apply` stands for it.
        apply: Function that makes graph nodes.
        before: Layers to call first.
        call_kwargs: Keywords of every call.
        children: What it contains, in the file's order.
        names: Names of its group's arrays in the file, once they are read.
        branches: Number of first children that are branches of a Keras 1 Merge.
    """

    name: str
    class_name: str
    config: Any
    layer: Any = None
    apply: Any = None
    before: list[Any] = field(default_factory=list)
    call_kwargs: Config = field(default_factory=dict)
    children: list[Built] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    branches: int = 0


@contextmanager
def _inside(context: Context, name: str, class_name: str) -> Iterator[None]:
    context.path.append(name)
    context.class_path.append(class_name)
    try:
        yield
    finally:
        context.path.pop()
        context.class_path.pop()


def build_model(data: Config, context: Context) -> Built:
    """Builds the model of a file.

    Args:
        data: ``{"class_name": ..., "config": ...}`` as stored.
        context: The reading; gets notes and problems.

    Returns:
        The model with its tree of layers. `layer` is None when there are problems.
    """
    if data.get("class_name") not in CONTAINERS:
        context.refuse(
            f"the model's class is '{data.get('class_name')}', whose code is not in the file",
            "build the model in Python, load its weights there and export the live model",
            str(data.get("class_name")),
        )
        return Built("model", str(data.get("class_name")), data.get("config"))
    return _container(data, context)


def build_layer(data: Config, context: Context) -> Built:
    """Builds one layer, wrapper or nested model from its stored data.

    Args:
        data: ``{"class_name": ..., "config": ..., "name": ...}`` as stored.
        context: The reading; gets notes and problems.

    Returns:
        The layer; empty when it was refused.
    """
    data = _normal_form(data)
    class_name, config = data["class_name"], data["config"]
    name = str(data.get("name") or (config.get("name") if isinstance(config, dict) else "") or "")
    with _inside(context, name or class_name, class_name):
        try:
            if class_name in context.custom_objects:
                made = context.custom_objects[class_name]
                return Built(name, class_name, config, made.from_config(dict(config)))
            if class_name in CONTAINERS:
                return _container(data, context)
            if class_name in ("TimeDistributed", "Bidirectional"):
                return _wrapper(name, class_name, config, context)
            return _leaf(name, class_name, config, context)
        except Refused as refused:
            context.refuse(refused.reason, refused.advice)
            return Built(name, class_name, config)


def _normal_form(data: Config) -> Config:
    """Keras 1.0 wrote ``{"name": class, "custom_name": name, ...}`` for layers of Sequential."""
    if "class_name" not in data and "name" in data:
        config = {**data, "name": data.get("custom_name")}
        data = {"class_name": data["name"], "config": config}
    class_name = str(data["class_name"]).split(">")[-1]
    return {**data, "class_name": class_name}


def safe_name(name: str, context: Context) -> str:
    """Returns a name Keras 3 accepts: it allows no slash."""
    if "/" in name:
        context.note("slashes in layer names became underscores, as Keras 3 wants")
    return name.replace("/", "_")


def translate(class_name: str, config: Config, context: Context) -> Converted:
    """Runs the converters from the file's dialect to Keras 3.

    Raises:
        Refused: If one of them cannot, or there is none.
    """
    for major in (1, 2):
        if major < context.major:
            continue
        found = layer_converter(major, class_name)
        if found is None:
            raise Refused(
                f"kbridge reads no layer class '{class_name}' from Keras {major} files",
                f"pass custom_objects={{'{class_name}': ...}} with the class",
            )
        context.class_path[-1] = class_name
        converted = found[1](dict(config), context)
        if converted.class_name is None:
            return converted
        class_name, config = converted.class_name, converted.config
    return converted


def _leaf(name: str, class_name: str, config: Config, context: Context) -> Built:
    stored_class = class_name
    if context.major >= 3:
        return _keras3_leaf(name, class_name, config, context)
    kept = {key: value for key, value in config.items() if key not in _INPUT_KEYS}
    if class_name == "InputLayer":
        kept["batch_input_shape"] = config.get("batch_input_shape", config.get("batch_shape"))
        kept.pop("batch_shape", None)
    if kept.get("name") or name:
        kept["name"] = safe_name(name or kept["name"], context)
    converted = translate(class_name, kept, context)
    layer = converted.layer
    if layer is None and converted.apply is None:
        layer = instantiate(converted.class_name, converted.config, context)
    return Built(
        name,
        stored_class,
        config,
        layer,
        converted.apply,
        converted.before,
        converted.call_kwargs,
    )


def _keras3_leaf(name: str, class_name: str, config: Config, context: Context) -> Built:
    cls = getattr(keras.layers, class_name, None)
    if inspect.isclass(cls) and issubclass(cls, keras.layers.Layer):
        with serialization_lib.SafeModeScope(not context.allow_lambda):
            return Built(name, class_name, config, cls.from_config(dict(config)))
    raise Refused(
        f"'{class_name}' is not a layer of Keras",
        f"pass custom_objects={{'{class_name}': ...}}, or save the model as .keras",
    )


def instantiate(class_name: str, config: Config, context: Context) -> Any:
    """Makes a Keras 3 layer from a config whose keys are already Keras 3's.

    Raises:
        Refused: If a key is unknown or a value impossible.
    """
    cls = getattr(keras.layers, class_name)
    accepted = _parameters(cls)
    config = convert_values(config, context)
    if "data_format" in accepted and config.get("data_format") is None:
        config["data_format"] = "channels_last"
    unknown = {k: v for k, v in config.items() if k not in accepted}
    settable = {"trainable", "activity_regularizer"}
    meaningful = sorted(k for k, v in unknown.items() if v is not None and k not in settable)
    if meaningful:
        raise Refused(
            f"Keras 3's {class_name} has no settings {meaningful}",
            "save the model again with a current Keras",
        )
    try:
        layer = cls(**{k: v for k, v in config.items() if k in accepted})
    except (TypeError, ValueError) as error:
        raise Refused(
            f"Keras 3's {class_name} does not accept the stored settings: {error}",
            "save the model again with a current Keras",
        ) from error
    if config.get("trainable") is False:
        layer.trainable = False
    return layer


def _parameters(cls: type) -> set[str]:
    """Returns what a layer's constructor takes, base classes included where it passes on."""
    names: set[str] = set()
    for base in cls.__mro__:
        if base is keras.layers.Layer:
            names |= _BASE
            break
        if "__init__" not in vars(base):
            continue
        parameters = inspect.signature(base.__init__).parameters
        names |= set(parameters)
        if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            break
    return names - {"self", "kwargs", "args", "weights"}


def _wrapper(name: str, class_name: str, config: Config, context: Context) -> Built:
    if context.major < 3:
        translate(class_name, config, context)
    inner = build_layer(config["layer"], context)
    built = Built(name, class_name, config, children=[inner])
    base = {"name": safe_name(name, context), "trainable": config.get("trainable", True)}
    if config.get("dtype") is not None:
        base["dtype"] = dtype_from(config["dtype"])
    if inner.layer is None or inner.before:
        if not context.problems:
            context.refuse(f"{class_name} cannot hold '{inner.class_name}'", "save it otherwise")
        return built
    if class_name == "TimeDistributed":
        built.layer = keras.layers.TimeDistributed(inner.layer, **base)
        return built
    backward = config.get("backward_layer")
    other = build_layer(backward, context).layer if backward else None
    built.layer = keras.layers.Bidirectional(
        inner.layer, merge_mode=config.get("merge_mode", "concat"), backward_layer=other, **base
    )
    return built


def _container(data: Config, context: Context) -> Built:
    config = data["config"]
    name = data.get("name") or (config.get("name") if isinstance(config, dict) else None)
    built = Built(str(name or ""), data["class_name"], config)
    if data["class_name"] == "Graph":
        raise Refused("the Graph model of Keras 0.3 is not supported", "convert it to Model first")
    if data["class_name"] == "Sequential":
        _sequential(built, config, context)
    else:
        _functional(built, config, context)
    if built.layer is not None and isinstance(config, dict) and config.get("trainable") is False:
        built.layer.trainable = False
    return built


def _sequential(built: Built, config: Any, context: Context) -> None:
    entries = config if isinstance(config, list) else config["layers"]
    entries = [_normal_form(entry) for entry in entries]
    name = safe_name(built.name, context) or None
    if entries and entries[0]["class_name"] == "Merge" and entries[0]["config"].get("layers"):
        _merged_sequential(built, entries, name, context)
        return
    built.children = [build_layer(entry, context) for entry in entries]
    if context.problems:
        return
    layers: list[Any] = []
    for child in built.children:
        layers += [*child.before, child.layer]
    shape = _stored_shape(entries, config)
    if shape is not None and not isinstance(layers[0], keras.layers.InputLayer):
        layers.insert(0, keras.layers.InputLayer(batch_shape=shape, dtype=_input_dtype(entries[0])))
    built.layer = keras.Sequential(layers, name=name)


def _stored_shape(entries: list[Config], config: Any) -> Any:
    first = entries[0]["config"] if entries else {}
    while isinstance(first, (list, dict)):
        inner = first if isinstance(first, list) else first.get("layers")
        if isinstance(first, dict) and (shape := _shape_of(first)) is not None:
            return shape
        if isinstance(first, dict) and isinstance(first.get("layer"), dict):
            first = first["layer"]["config"]
        elif inner:
            first = inner[0]["config"]
        else:
            break
    stored = config.get("build_input_shape") if isinstance(config, dict) else None
    return tuple(plain(stored)) if stored else None


def _shape_of(config: Config) -> Any:
    for key in ("batch_input_shape", "batch_shape"):
        if plain(config.get(key)) is not None:
            return tuple(plain(config[key]))
    if config.get("input_dim") is not None and "output_dim" in config and "input_length" in config:
        # NB: Keras 1 recurrent layers and convolutions store width and length on their own.
        return (None, config["input_length"], config["input_dim"])
    if config.get("input_dim") is not None and "output_dim" in config and "init" in config:
        return (None, config["input_dim"])
    return None


def _input_dtype(entry: Config) -> str:
    config = entry["config"] if isinstance(entry["config"], dict) else {}
    dtype = config.get("input_dtype") or dtype_from(config.get("dtype")) or "float32"
    return "float32" if dtype.startswith("mixed_") else dtype


def _merged_sequential(built: Built, entries: list[Config], name: Any, context: Context) -> None:
    """Keras 1: a Sequential whose first layer merges other Sequential models."""
    branches = [build_layer(branch, context) for branch in entries[0]["config"]["layers"]]
    merge = {k: v for k, v in entries[0]["config"].items() if k != "layers"}
    head = build_layer({"class_name": "Merge", "config": merge}, context)
    rest = [build_layer(entry, context) for entry in entries[1:]]
    built.children, built.branches = [*branches, head, *rest], len(branches)
    if context.problems:
        return
    context.note("a Sequential that starts with Merge is a functional model in Keras 3")
    inputs, tensors = [], []
    for branch in branches:
        inputs += branch.layer.inputs
        tensors.append(branch.layer.outputs[0])
    out = head.layer(tensors)
    for child in rest:
        for layer in [*child.before, child.layer]:
            out = layer(out)
    built.layer = keras.Model(inputs, out, name=name)


def _functional(built: Built, config: Config, context: Context) -> None:
    if not isinstance(config, dict) or "layers" not in config or "input_layers" not in config:
        raise Refused(
            "the model stores no graph: it is a subclass of Model, whose code is not in the file",
            "build the model in Python, load its weights there and export the live model",
        )
    entries = [_normal_form(entry) for entry in config["layers"]]
    built.children = [_graph_node(entry, context) for entry in entries]
    if context.problems:
        return
    inputs, outputs = wire(config, entries, built.children, context)
    if context.problems:
        return
    built.layer = keras.Model(inputs, outputs, name=safe_name(built.name, context) or None)


def _graph_node(entry: Config, context: Context) -> Built:
    if context.major >= 3 and (operation := _operation(entry)) is not None:
        return Built(entry["name"], entry["class_name"], entry["config"], apply=operation)
    return build_layer(entry, context)


def _operation(entry: Config) -> Any:
    """Returns a `keras.ops` operation of a Keras 3 HDF5 file.

    NB: these files store operations by class name alone, and `Add` is a layer too. The layer takes
    one list, the operation several arguments.
    """
    name = entry["class_name"]
    nodes = entry.get("inbound_nodes") or []
    is_layer = hasattr(keras.layers, name)
    takes_list = any(node["args"] and isinstance(node["args"][0], list) for node in nodes)
    if is_layer and (takes_list or all(len(node["args"]) == 1 for node in nodes)):
        return None
    cls = operation_class(name)
    if cls is None:
        return None
    config = {k: plain(v) for k, v in entry["config"].items()}
    return cls(**config)
