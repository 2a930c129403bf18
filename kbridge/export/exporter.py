"""`kbridge.export`: a Keras model becomes a bundle."""

from __future__ import annotations

import dataclasses
import datetime
import functools
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
from kbridge.export import golden, keras2, metadata, rules, sizes, writing
from kbridge.export.signature import Signature, signature_of
from kbridge.export.sources import Source, open_source
from kbridge.export.spec import bundle_spec
from kbridge.export.steps import steps_document
from kbridge.export.trace import Trace
from kbridge.export.tracing import Tracer, trace_model


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
    labels: Any = None,
    custom_objects: dict[str, Any] | None = None,
    allow_lambda: bool = False,
) -> ExportReport:
    """Writes a Keras model as a bundle that a JVM can run.

    Args:
        model_or_path: A live Keras 3 model, or a file: `.keras`, or HDF5 of Keras 1, 2 or 3.
        path: The bundle to write. An existing file is replaced only by a whole new one.
        sample: Inputs in the structure the model takes, for the golden samples; random ones that
            suit the model by default. A subclassed model that does not tell its inputs needs it.
        labels: A batch of labels in the structure `fit` takes; needed to train on where the loss
            does not tell what shape they have.
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
    with writing.WeightDigests(model) as digests:
        names = metadata.weight_names(model)
        states = metadata.layer_states(model)
        trace = trace_inference(model, signature, names, states)
        spec = bundle_spec(model, signature, trace, states)
        output_names = [output["name"] for output in spec["outputs"]]
        structure = trace.output_structure
        readable = names | {id(state.variable): state.name for state in states}
        steps = steps_document(model, signature, readable, structure, output_names, labels)
        layout = keras2.keras2_weight_layout(model)
        total = sum(writing.stored_bytes(v) for v in model.variables)
        with bundle.BundleWriter(path, expected_bytes=total) as writer:
            writing.write_keras2(writer, model, layout)
            writing.write_weights(writer, model, spec, names, layout, digests)
            # NB: the disk and the digests work while native Keras answers the golden samples.
            writer.start_sync()
            inputs, outputs = _golden(model, signature, spec, sample)
            writing.write_constants(writer, trace, spec)
            writing.write_states(writer, states, spec)
            writing.write_training(writer, model, names)
            writing.write_step_arrays(writer, steps)
            writing.write_golden(writer, spec, inputs, outputs)
            writer.wait_for_digests()
            writer.document(bundle.SPEC, spec)
            if steps is not None:
                writer.document(bundle.STEPS, steps.json)
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


def trace_inference(
    model: Any, signature: Signature, names: dict[int, str], states: list[metadata.State]
) -> Trace:
    """Traces a model in inference mode.

    Args:
        model: The model.
        signature: What it takes.
        names: Bundle names of its variables by `id`.
        states: The states that its layers keep from call to call.

    Raises:
        UnsupportedModelError: Parts of it cannot be expressed.
    """
    rules.load()
    of_layers = {id(state.variable): state.name for state in states}
    names = names | of_layers

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
            functools.partial(Tracer, states=frozenset(of_layers)),
        )

    trace = sizes.trace_sizes(run, signature.inputs)
    if trace.problems:
        raise errors.UnsupportedModelError(trace.problems)
    return trace


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
