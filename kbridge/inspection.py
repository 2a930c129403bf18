"""What is in a bundle, for people and programs; needs no JVM and no Keras."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kbridge.bundle import Bundle, read_bundle
from kbridge.jvm import arrays

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table


def describe(path: str | os.PathLike) -> dict[str, Any]:
    """Reads what a bundle holds.

    Args:
        path: The bundle.

    Returns:
        A description that JSON can hold.

    Raises:
        BundleNotFoundError: There is no such file.
        BundleFormatError: It is no bundle, or damaged.
    """
    with read_bundle(path) as bundle:
        spec = bundle.spec
        return {
            "file": os.fspath(path),
            "bytes": os.path.getsize(path),
            "model": spec["name"],
            "schema_version": spec["schema_version"],
            "inputs": spec["inputs"],
            "outputs": spec["outputs"],
            "layers": [_layer(layer, spec["weights"]) for layer in spec["layers"]],
            "ops": dict(Counter(_ops(spec)).most_common()),
            "weights": _weights(spec["weights"]),
            "training": _training(bundle.training),
            "golden_samples": _samples(bundle),
            "keras2_architecture": "model_config" in bundle.attributes(),
            "provenance": bundle.provenance,
        }


def _ops(spec: Mapping[str, Any]) -> list[str]:
    return [node["op"] for graph in spec["graphs"].values() for node in graph["nodes"]]


def _layer(layer: Mapping[str, Any], weights: Mapping[str, Any]) -> dict[str, Any]:
    mine = [weights[name] for name in layer["weights"]]
    return {
        "path": layer["path"],
        "class_name": layer["class_name"],
        "trainable": layer["trainable"],
        "dtype_policy": layer["dtype_policy"],
        "parameters": sum(math.prod(weight["shape"]) for weight in mine),
        "weights": {
            name: list(weight["shape"]) for name, weight in zip(layer["weights"], mine, strict=True)
        },
    }


def _weights(weights: Mapping[str, Any]) -> dict[str, Any]:
    sizes = {name: math.prod(weight["shape"]) for name, weight in weights.items()}
    stored = sum(sizes[n] * arrays.dtype(w["dtype"]).itemsize for n, w in weights.items())
    trainable = sum(sizes[name] for name, weight in weights.items() if weight["trainable"])
    return {
        "count": len(weights),
        "parameters": sum(sizes.values()),
        "trainable_parameters": trainable,
        "bytes": stored,
        "dtypes": dict(Counter(weight["dtype"] for weight in weights.values())),
    }


def _training(training: Mapping[str, Any]) -> dict[str, Any]:
    if not training.get("compiled"):
        return {"compiled": False}
    told = {key: value for key, value in training.items() if key != "optimizer"}
    optimizer = training.get("optimizer")
    if optimizer:
        told["optimizer"] = {
            "class_name": optimizer["class_name"],
            "config": optimizer["config"],
            "variables": len(optimizer.get("variables", [])),
        }
    return told


def _samples(bundle: Bundle) -> int | None:
    inputs, _ = bundle.golden()
    first = next(iter(inputs.values()), None)
    return None if first is None else int(first.shape[0]) if first.ndim else 1


def render(told: Mapping[str, Any]) -> RenderableType:
    """Returns tables of what `describe` read."""
    from rich.console import Group

    parts = [_headline(told), _tensors(told), _layers_table(told), _ops_table(told)]
    return Group(*parts, _facts(told))


def _headline(told: Mapping[str, Any]) -> RenderableType:
    from rich.text import Text

    weights = told["weights"]
    return Text.assemble(
        (told["model"], "bold"),
        f"  {told['file']}, {told['bytes'] / 1e6:.1f} MB, schema {told['schema_version']}\n"
        f"{len(told['layers'])} layers, {sum(told['ops'].values())} operations, "
        f"{weights['parameters']:,} parameters ({weights['trainable_parameters']:,} trainable) "
        f"in {weights['count']} weights",
    )


def _tensors(told: Mapping[str, Any]) -> Table:
    table = _table("Inputs and outputs", "", "name", "shape", "dtype")
    for kind in ("inputs", "outputs"):
        for tensor in told[kind]:
            table.add_row(kind[:-1], tensor["name"], shape_text(tensor["shape"]), tensor["dtype"])
    return table


def _layers_table(told: Mapping[str, Any]) -> Table:
    table = _table("Layers", "layer", "class", "weights", "parameters", "trainable")
    for layer in told["layers"]:
        shapes = ", ".join(
            f"{name.rsplit('/', 1)[-1]} {shape_text(shape)}"
            for name, shape in layer["weights"].items()
        )
        # NB: "trainable" says something only where there is something to train.
        trainable = ("yes" if layer["trainable"] else "no") if layer["weights"] else ""
        parameters = f"{layer['parameters']:,}" if layer["weights"] else ""
        table.add_row(layer["path"], layer["class_name"], shapes, parameters, trainable)
    return table


def _ops_table(told: Mapping[str, Any]) -> Table:
    table = _table("Operations", "operation", "count")
    for op, count in told["ops"].items():
        table.add_row(op, str(count))
    return table


def _facts(told: Mapping[str, Any]) -> Table:
    table = _table("Training and provenance", "", "")
    training = told["training"]
    table.add_row("compiled", "yes" if training["compiled"] else "no")
    optimizer = training.get("optimizer")
    if optimizer:
        config = {key: value for key, value in optimizer["config"].items() if value is not None}
        table.add_row("optimizer", f"{optimizer['class_name']} {_short(config)}")
        table.add_row("optimizer variables", str(optimizer["variables"]))
    for key in ("loss", "loss_weights", "metrics", "weighted_metrics"):
        if training.get(key):
            table.add_row(key, _short(training[key]))
    samples = told["golden_samples"]
    table.add_row("golden samples", "none" if samples is None else str(samples))
    table.add_row("Keras 2 architecture", "yes" if told["keras2_architecture"] else "no")
    for key, value in told["provenance"].items():
        table.add_row(key, _short(value))
    return table


def _table(title: str, *columns: str) -> Table:
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", show_header=any(columns))
    for column in columns:
        justify = "right" if column in ("count", "parameters") else "left"
        table.add_column(column, justify=justify, overflow="fold")
    return table


def _short(value: Any, most: int = 300) -> str:
    """A JSON value in one line; Keras's serialised objects by class name."""
    text = _compact(value)
    return text if len(text) <= most else f"{text[:most]}..."


def _compact(value: Any) -> str:
    if isinstance(value, Mapping):
        if "class_name" in value:
            inner = {k: v for k, v in (value.get("config") or {}).items() if v is not None}
            return f"{value['class_name']}({_pairs(inner, '=')})"
        return _pairs(value, ": ")
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_compact(item) for item in value)}]"
    return str(value)


def _pairs(value: Mapping[str, Any] | str, sign: str) -> str:
    if not isinstance(value, Mapping):
        return str(value)
    return ", ".join(f"{key}{sign}{_compact(item)}" for key, item in value.items())


def shape_text(shape: list[int | None]) -> str:
    """Returns a shape in brackets, with ``?`` for a size that is chosen at call time."""
    return f"[{', '.join('?' if size is None else str(size) for size in shape)}]"
