"""`kbridge.export`: a Keras model becomes a bundle."""

from __future__ import annotations

import dataclasses
import datetime
import importlib.metadata
import os
import platform
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import tree

from kbridge import bundle, errors
from kbridge.export import golden, keras2, keras2_order, metadata, rules, sizes, training
from kbridge.export.graph import Body, GraphBuilder, Node, Value
from kbridge.export.signature import (
    Signature,
    functional_of,
    signature_of,
    structure_json,
    unique_names,
)
from kbridge.export.sources import Source, open_source
from kbridge.export.tracing import Trace, trace_model

# The last Keras 2: its dialect is what `model_config` and `training_config` are written in.
KERAS2_DIALECT = "2.15.0"


@dataclasses.dataclass
class ExportReport:
    """What an export did.

    Attributes:
        path: The bundle.
        model_name: Name of the Keras model.
        nodes: Number of operations in the inference graph.
        weights: Number of weights, and `weight_bytes` their size.
        seconds: How long it took.
        notes: What was converted on the way (old files), for people to read.
        without_keras2: Why the file has no Keras 2 architecture, or None where it has one.
    """

    path: Path
    model_name: str
    nodes: int
    weights: int
    weight_bytes: int
    seconds: float
    notes: list[str]
    without_keras2: str | None

    def __str__(self) -> str:
        return (
            f"{self.path}: {self.model_name}, {self.nodes} operations, {self.weights} weights "
            f"({self.weight_bytes / 1e6:.1f} MB), {self.seconds:.1f} s"
        )


def export(
    model_or_path: Any,
    path: str | os.PathLike,
    sample: Any = None,
    *,
    custom_objects: dict[str, Any] | None = None,
    allow_lambda: bool = False,
) -> ExportReport:
    """Writes a Keras model as a bundle that a JVM can run.

    Args:
        model_or_path: A live Keras 3 model, or a file: `.keras`, or HDF5 of Keras 1, 2 or 3.
        path: The bundle to write. An existing file is replaced only by a whole new one.
        sample: Inputs in the structure the model takes, for the golden samples; random ones that
            suit the model by default. A subclassed model that does not tell its inputs needs it.
        custom_objects: Classes and functions by name, for a file that names them.
        allow_lambda: Whether code of `Lambda` layers in a file may be loaded. Only for files
            whose origin you trust.

    Returns:
        A report.

    Raises:
        UnsupportedModelError: Parts of the model cannot be expressed; all of them are listed.
        ExportError: The model is not built, or the target cannot be written.
        BundleNotFoundError: There is no such source file.
        BundleFormatError: The source file is no Keras model.

    Example:
        >>> kbridge.export(keras.applications.ResNet50(), "resnet50.h5")
    """
    started = time.perf_counter()
    source = open_source(model_or_path, custom_objects=custom_objects, allow_lambda=allow_lambda)
    model = source.model
    signature = signature_of(model, sample)
    names = metadata.weight_names(model)
    trace = trace_inference(model, signature, names)
    spec = _spec(model, signature, trace, names)
    layout = keras2.keras2_weight_layout(model)
    total = sum(_nbytes(v) for v in model.variables)
    with bundle.BundleWriter(path, expected_bytes=total) as writer:
        _write_keras2(writer, model, layout)
        _write_weights(writer, model, spec, names, layout)
        # NB: the disk works while native Keras answers the golden samples.
        writer.start_sync()
        inputs, outputs = _golden(model, signature, spec, sample)
        _write_constants(writer, trace, spec)
        _write_training(writer, model, names)
        _write_golden(writer, spec, inputs, outputs)
        writer.document(bundle.SPEC, spec)
        writer.document(bundle.PROVENANCE, _provenance(source))
    return ExportReport(
        path=Path(path),
        model_name=model.name,
        nodes=len(spec["graphs"]["inference"]["nodes"]),
        weights=len(spec["weights"]),
        weight_bytes=total,
        seconds=time.perf_counter() - started,
        notes=list(source.notes),
        without_keras2=keras2.keras2_refusal(model),
    )


def trace_inference(model: Any, signature: Signature, names: dict[int, str]) -> Trace:
    """Traces a model in inference mode.

    Raises:
        UnsupportedModelError: Parts of it cannot be expressed.
    """
    rules.load()

    def weight_name(variable: keras.Variable) -> str:
        if id(variable) not in names:
            raise errors.ExportError(
                f"Expected every variable the model reads to be tracked by a layer. Received: "
                f"{variable.path!r}. Assign it to an attribute of a layer (self.x = ...)."
            )
        return names[id(variable)]

    def run(shapes: list[tuple[int, ...]], symbolic_creations: frozenset[int]) -> Trace:
        return trace_model(
            lambda inputs: model(inputs, training=False),
            model,
            signature.inputs,
            signature.pack,
            shapes,
            weight_name,
            symbolic_creations,
        )

    trace = sizes.trace_sizes(run, signature.inputs)
    if trace.problems:
        raise errors.UnsupportedModelError(trace.problems)
    return trace


def _spec(model: Any, signature: Signature, trace: Trace, names: dict[int, str]) -> dict[str, Any]:
    values = tree.flatten(trace.output_structure)
    graphs = live_graphs(trace, values)
    used = {v.name for v in values}
    used |= {v.name for g in graphs.values() for n in g.nodes for v in n.inputs if v is not None}
    used |= {v.name for g in graphs.values() for v in g.outputs}
    builder = trace.builder
    config, reason = metadata.keras_model_config(model)
    return {
        "schema_version": bundle.SCHEMA_VERSION,
        "name": model.name,
        "inputs": [
            {"name": i.name, "shape": list(i.shape), "dtype": i.dtype, "optional": i.optional}
            for i in signature.inputs
        ],
        "outputs": [
            {"name": name, "shape": list(v.shape), "dtype": v.dtype, "value": v.name}
            for name, v in zip(_output_names(model, trace), values, strict=True)
        ],
        "input_structure": signature.structure,
        "output_structure": structure_json(trace.output_structure),
        "weights": metadata.weights_metadata(model),
        "constants": {
            v.name: _constant_entry(v)
            for v in builder.values.values()
            if v.kind == "constant" and v.name in used
        },
        "graphs": {name: _graph_json(graph) for name, graph in graphs.items()},
        "layer_outputs": _layer_outputs(trace),
        "layers": metadata.layers_metadata(model),
        "keras_model": config,
        "keras_model_refusal": reason,
    }


def live_graphs(trace: Trace, outputs: list[Value]) -> dict[str, Body]:
    """The graphs, without nodes nobody reads (masks that end nowhere, for one)."""
    live = {v.name for v in outputs}
    for layer_output in trace.layer_outputs:
        # NB: a layer's own answer is kept for parity even if the model does not use it all.
        live |= {v.name for v in layer_output.values}
    builder = trace.builder
    main = Body("inference", trace.inputs, _live_nodes(builder, builder.nodes, live), outputs)
    graphs = {"inference": main}
    pending = [main]
    while pending:
        for node in pending.pop().nodes:
            for body in builder.bodies_of(node):
                graphs[body.name] = body
                pending.append(body)
    return graphs


def _live_nodes(builder: GraphBuilder, nodes: list[Node], live: set[str]) -> list[Node]:
    kept = []
    for node in reversed(nodes):
        if any(v.name in live for v in node.outputs):
            kept.append(node)
            live |= {v.name for v in node.inputs if v is not None}
            live |= {v.name for v in sizes.referenced(node.attrs)}
            for body in builder.bodies_of(node):
                within = {v.name for v in body.outputs}
                body.nodes = _live_nodes(builder, body.nodes, within)
                # NB: a body may ask for the shape of a value around it without reading it.
                live |= within
    return kept[::-1]


def _graph_json(graph: Body) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if graph.name != "inference":
        found["inputs"] = [_value_json(v) for v in graph.inputs]
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
        "outputs": [_value_json(v) for v in node.outputs],
    }


def _value_json(value: Value) -> dict[str, Any]:
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


def _constant_entry(value: Value) -> dict[str, Any]:
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


def _golden(
    model: Any, signature: Signature, spec: dict[str, Any], sample: Any
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    if sample is None:
        made = golden.sample_inputs(spec)
        inputs = [made[i.name] for i in signature.inputs]
    else:
        inputs = _checked_sample(sample, signature)
    return inputs, golden.native_outputs(model, signature.pack(list(inputs)))


def _checked_sample(sample: Any, signature: Signature) -> list[np.ndarray]:
    if isinstance(sample, dict):
        names = [i.name for i in signature.inputs]
        if set(sample) == set(names):
            sample = [sample[name] for name in names]
    flat = [np.asarray(array) for array in tree.flatten(sample)]
    expected = [f"{i.name} {list(i.shape)}" for i in signature.inputs]
    fits = len(flat) == len(signature.inputs) and all(
        array.ndim == len(i.shape)
        and all(s is None or s == n for s, n in zip(i.shape, array.shape, strict=True))
        for array, i in zip(flat, signature.inputs, strict=True)
    )
    if not fits:
        raise errors.InvalidInputError(
            f"Expected sample= to hold {', '.join(expected)} (null: any size). "
            f"Received: {[list(a.shape) for a in flat]}. Give one array per input, batch first."
        )
    return [a.astype(i.dtype) for a, i in zip(flat, signature.inputs, strict=True)]


def _nbytes(variable: keras.Variable) -> int:
    return int(np.prod(variable.shape)) * np.dtype(_storage(variable.dtype)).itemsize


def _storage(dtype: str) -> str:
    return {"bfloat16": "uint16", "bool": "uint8"}.get(dtype, dtype)


def _write_keras2(writer: bundle.BundleWriter, model: Any, layout: Any) -> None:
    config = keras2.keras2_model_config(model)
    # NB: readers of Keras 2 files tell the dialect of `model_config` by this version.
    version = keras.version() if config is None else KERAS2_DIALECT
    for path in ("/", "/model_weights"):
        writer.attribute(path, "keras_version", version)
        writer.attribute(path, "backend", keras.backend.backend())
    # NB: Keras 2 keeps a subclassed model's own weights beside the layers, not among them.
    layers = [layer for layer, _ in layout if layer != keras2_order.TOP_LEVEL]
    writer.attribute("/model_weights", "layer_names", layers)
    for layer, weights in layout:
        names = [name for name, _ in weights]
        writer.attribute(f"/model_weights/{layer}", "weight_names", names)
    for name, document in (
        ("model_config", config),
        ("training_config", keras2.keras2_training_config(model)),
    ):
        if document is not None:
            writer.attribute("/", name, bundle.to_json(document))


def _write_weights(
    writer: bundle.BundleWriter,
    model: Any,
    spec: dict[str, Any],
    names: dict[int, str],
    layout: Any,
) -> None:
    paths = {
        id(variable): f"/model_weights/{layer}/{name}"
        for layer, weights in layout
        for name, variable in weights
    }
    for variable in model.variables:
        name = names[id(variable)]
        path = paths.get(id(variable), f"/kbridge/variables/{name}")
        entry = spec["weights"][name]
        entry["path"] = path
        entry["sha256"] = writer.array(path, host_array(variable))


def host_array(variable: keras.Variable) -> np.ndarray:
    """Returns a variable's values, sharing its memory where the backend lets NumPy do that."""
    tensor = variable.value
    if keras.backend.backend() == "torch":
        tensor = tensor.detach()
    elif hasattr(tensor, "read_value"):
        tensor = tensor.read_value()
    try:
        return np.from_dlpack(tensor)
    except (AttributeError, BufferError, RuntimeError, TypeError):
        # Not in the CPU's memory, or of a dtype NumPy has no name for.
        return keras.ops.convert_to_numpy(variable)


def _write_constants(writer: bundle.BundleWriter, trace: Trace, spec: dict[str, Any]) -> None:
    for name, entry in spec["constants"].items():
        if "value" not in entry:
            entry["path"] = f"{bundle.CONSTANTS}/{name}"
            entry["sha256"] = writer.array(entry["path"], trace.builder.values[name].data)


def _write_training(writer: bundle.BundleWriter, model: Any, names: dict[int, str]) -> None:
    document, variables = training.training_metadata(model, names)
    for path, variable in variables:
        writer.array(path, host_array(variable))
    order = keras2.keras2_optimizer_names(model, [path for path, _ in variables])
    if order is not None:
        writer.attribute("/optimizer_weights", "weight_names", order)
    writer.document(bundle.TRAINING, document)


def _write_golden(
    writer: bundle.BundleWriter,
    spec: dict[str, Any],
    inputs: list[np.ndarray],
    outputs: list[np.ndarray],
) -> None:
    writer.attribute("/kbridge/golden", "rtol", golden.RTOL)
    writer.attribute("/kbridge/golden", "atol", golden.ATOL)
    writer.attribute("/kbridge/golden", "seed", golden.SEED)
    for root, entries, arrays in (
        (bundle.GOLDEN_INPUTS, spec["inputs"], inputs),
        (bundle.GOLDEN_OUTPUTS, spec["outputs"], outputs),
    ):
        for entry, array in zip(entries, arrays, strict=True):
            writer.array(f"{root}/{entry['name']}", array)


def _provenance(source: Source) -> dict[str, Any]:
    backend = keras.backend.backend()
    package = {"tensorflow": "tensorflow", "jax": "jax", "torch": "torch"}.get(backend, backend)
    try:
        backend_version = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        # tensorflow-cpu and other builds carry another distribution name.
        backend_version = None
    try:
        own = importlib.metadata.version("kbridge")
    except importlib.metadata.PackageNotFoundError:
        own = (Path(__file__).parents[2] / "VERSION").read_text().strip()
    return {
        "kbridge_version": own,
        "keras_version": keras.version(),
        "backend": backend,
        "backend_version": backend_version,
        "python_version": platform.python_version(),
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "source": {
            "kind": source.kind,
            "file": source.file,
            "sha256": source.sha256,
            "keras_version": source.keras_version,
            "backend": source.backend,
            "notes": list(source.notes),
        },
    }
