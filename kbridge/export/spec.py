"""The spec document of a bundle, from a traced model."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from keras import tree

from kbridge import bundle
from kbridge.export import metadata, sizes
from kbridge.export.graph import Body, GraphBuilder, Node, Value
from kbridge.export.signature import Signature, functional_of, structure_json, unique_names
from kbridge.export.trace import Trace


def bundle_spec(
    model: Any, signature: Signature, trace: Trace, states: list[metadata.State]
) -> dict[str, Any]:
    """Returns the spec document (docs/bundle-format.md, section 2), but for paths and digests."""
    values = tree.flatten(trace.output_structure)
    graphs = live_graphs(trace, values)
    used = {v.name for v in values}
    used |= {v.name for g in graphs.values() for n in g.nodes for v in n.inputs if v is not None}
    used |= {v.name for g in graphs.values() for v in g.outputs}
    used |= {v.name for _, v in trace.updates}
    builder = trace.builder
    config, reason = metadata.keras_model_config(model)
    return {
        "schema_version": bundle.SCHEMA_VERSION,
        "name": model.name,
        "inputs": [
            {
                "name": i.name,
                "shape": list(i.shape),
                "dtype": i.dtype,
                # NB: the graph is that of a call with all inputs; what it reads has to be given.
                "optional": i.optional and i.name not in used,
            }
            for i in signature.inputs
        ],
        "outputs": [
            {"name": name, "shape": list(v.shape), "dtype": v.dtype, "value": v.name}
            for name, v in zip(_output_names(model, trace), values, strict=True)
        ],
        "input_structure": signature.structure,
        "output_structure": structure_json(trace.output_structure),
        "weights": metadata.weights_metadata(model),
        "states": {s.name: start_entry(s.array()) | {"layer": s.layer} for s in states},
        "constants": {
            v.name: constant_entry(v)
            for v in builder.values.values()
            if v.kind == "constant" and v.name in used
        },
        "graphs": {name: _graph_of(name, graph, trace) for name, graph in graphs.items()},
        "layer_outputs": _layer_outputs(trace),
        "layers": metadata.layers_metadata(model),
        "keras_model": config,
        "keras_model_refusal": reason,
    }


def _graph_of(name: str, graph: Body, trace: Trace) -> dict[str, Any]:
    found = graph_json(graph)
    if name == "inference":
        found["updates"] = updates_json(trace.updates)
    return found


def live_graphs(trace: Trace, outputs: list[Value]) -> dict[str, Body]:
    """The graphs, without nodes nobody reads (masks that end nowhere, for one)."""
    live = {v.name for v in [*outputs, *(v for _, v in trace.updates)]}
    for layer_output in trace.layer_outputs:
        # NB: a layer's own answer is kept for parity even if the model does not use it all.
        live |= {v.name for v in layer_output.values}
    builder = trace.builder
    main = Body("inference", trace.inputs, live_nodes(builder, builder.nodes, live), outputs)
    graphs = {"inference": main}
    pending = [main]
    while pending:
        for node in pending.pop().nodes:
            for body in builder.bodies_of(node):
                graphs[body.name] = body
                pending.append(body)
    return graphs


def live_nodes(builder: GraphBuilder, nodes: list[Node], live: set[str]) -> list[Node]:
    """The nodes whose answers are read, by each other or as one of `live`, which grows."""
    kept = []
    for node in reversed(nodes):
        if any(v.name in live for v in node.outputs):
            kept.append(node)
            live |= {v.name for v in node.inputs if v is not None}
            live |= {v.name for v in sizes.referenced(node.attrs)}
            for body in builder.bodies_of(node):
                within = {v.name for v in body.outputs}
                body.nodes = live_nodes(builder, body.nodes, within)
                # NB: a body may ask for the shape of a value around it without reading it.
                live |= within
    return kept[::-1]


def graph_json(graph: Body) -> dict[str, Any]:
    """Returns a graph as docs/bundle-format.md, section 4, has it."""
    found: dict[str, Any] = {}
    if graph.name != "inference":
        found["inputs"] = [value_json(v) for v in graph.inputs]
    found["nodes"] = [_node_json(node) for node in graph.nodes]
    found["outputs"] = [v.name for v in graph.outputs]
    return found


def _node_json(node: Node) -> dict[str, Any]:
    return {
        "name": node.name,
        "op": node.op,
        "scope": node.scope,
        "inputs": [None if v is None else v.name for v in node.inputs],
        "attrs": _attrs_json(node.attrs),
        "outputs": [value_json(v) for v in node.outputs],
    }


def updates_json(updates: Iterable[tuple[str, Value]]) -> list[dict[str, str]]:
    """Returns what variables are given, in the order in which they are."""
    return [{"variable": name, "value": value.name} for name, value in updates]


def start_entry(array: np.ndarray) -> dict[str, Any]:
    """Returns what a document says of a variable's start: one `value` for all, where it can."""
    entry: dict[str, Any] = {"shape": list(array.shape), "dtype": array.dtype.name}
    first = array.reshape(-1)[0].item() if array.size else 0
    return {**entry, "value": first} if math.isfinite(first) and np.all(array == first) else entry


def value_json(value: Value) -> dict[str, Any]:
    """Returns name, shape and dtype of a value."""
    return {"name": value.name, "shape": list(value.shape), "dtype": value.dtype}


def _attrs_json(value: Any) -> Any:
    if isinstance(value, sizes.Dynamic):
        return value.to_json()
    if isinstance(value, dict):
        return {name: _attrs_json(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_attrs_json(item) for item in value]
    return _number_json(value)


def _number_json(value: Any) -> Any:
    if isinstance(value, float) and not np.isfinite(value):
        return "nan" if np.isnan(value) else "inf" if value > 0 else "-inf"
    return value


def constant_entry(value: Value) -> dict[str, Any]:
    """Returns what a document says of a constant; of an array, without its path and digest."""
    entry: dict[str, Any] = {"dtype": value.dtype, "shape": list(value.shape)}
    if not isinstance(value.data, np.ndarray):
        entry["value"] = _number_json(value.data)
    return entry


def _layer_outputs(trace: Trace) -> list[dict[str, Any]]:
    return [
        {
            "scope": o.scope,
            "call": o.call,
            "class_name": o.class_name,
            "values": [v.name for v in o.values],
        }
        for o in trace.layer_outputs
    ]


def _output_names(model: Any, trace: Trace) -> list[str]:
    count = len(tree.flatten(trace.output_structure))
    functional = functional_of(model)
    names = list(functional.output_names) if functional is not None else []
    if isinstance(trace.output_structure, dict):
        paths = tree.flatten_with_path(trace.output_structure)
        names = [".".join(map(str, path)) for path, _ in paths]
    if len(names) != count:
        names = ["output"] if count == 1 else [f"output_{i}" for i in range(count)]
    return unique_names(names)
