"""The parts of a bundle, each written in the place docs/bundle-format.md gives it."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Self

import keras
import numpy as np

from kbridge import bundle
from kbridge.bundle.tolerances import TOLERANCES, coarsest
from kbridge.export import golden, keras2, keras2_order, metadata, training
from kbridge.export.steps import StepsDocument
from kbridge.export.trace import Trace

# The last Keras 2: its dialect is what `model_config` and `training_config` are written in.
KERAS2_DIALECT = "2.15.0"


def write_keras2(writer: bundle.BundleWriter, model: Any, layout: Any) -> None:
    """Writes what readers of Keras 2 files look for: versions, configurations, names."""
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


class WeightDigests:
    """Computes the digests of a model's variables beside what else an export does.

    A context manager: leaving it gives up what has not been computed. One variable at a time, so
    that no more than one is copied where a backend cannot share its memory.

    Args:
        model: The model.
    """

    def __init__(self, model: Any):
        self._thread = ThreadPoolExecutor(1, "kbridge-weights")
        self._digests = {id(v): self._thread.submit(_digest, v) for v in model.variables}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._thread.shutdown(cancel_futures=True)

    def of(self, variable: keras.Variable) -> Future[str]:
        """Returns the digest of a variable's stored bytes, as it will be."""
        return self._digests[id(variable)]


def _digest(variable: keras.Variable) -> str:
    return bundle.digest_of(bundle.stored_array(host_array(variable)))


def write_weights(
    writer: bundle.BundleWriter,
    model: Any,
    spec: dict[str, Any],
    names: dict[int, str],
    layout: Any,
    digests: WeightDigests,
) -> None:
    """Writes every variable of the model once."""
    paths = {
        id(variable): f"/model_weights/{layer}/{name}"
        for layer, weights in layout
        for name, variable in weights
    }
    for variable in model.variables:
        name = names[id(variable)]
        path = paths.get(id(variable), f"/kbridge/variables/{name}")
        writer.array(path, host_array(variable), spec["weights"][name], digests.of(variable))


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


def write_constants(writer: bundle.BundleWriter, trace: Trace, spec: dict[str, Any]) -> None:
    """Writes the arrays of the graph that are no weights."""
    for name, entry in spec["constants"].items():
        if "value" not in entry:
            path = f"{bundle.CONSTANTS}/{name}"
            writer.array(path, trace.builder.values[name].data, entry)


def write_states(
    writer: bundle.BundleWriter, states: list[metadata.State], spec: dict[str, Any]
) -> None:
    """Writes what states of layers start with, where one number does not say it."""
    for state in states:
        entry = spec["states"][state.name]
        if "value" not in entry:
            writer.array(f"{bundle.STATES}/{state.name}", state.array(), entry)


def write_training(writer: bundle.BundleWriter, model: Any, names: dict[int, str]) -> None:
    """Writes the training document and the optimizer's state."""
    document, variables = training.training_metadata(model, names)
    for path, variable in variables:
        writer.array(path, host_array(variable))
    order = keras2.keras2_optimizer_names(model, [path for path, _ in variables])
    if order is not None:
        writer.attribute("/optimizer_weights", "weight_names", order)
    writer.document(bundle.TRAINING, document)


def write_step_arrays(writer: bundle.BundleWriter, steps: StepsDocument | None) -> None:
    """Writes the arrays of the training and evaluation steps."""
    for i, (array, entry) in enumerate([] if steps is None else steps.arrays):
        writer.array(f"{bundle.STEP_ARRAYS}/{i}", array, entry)


def write_golden(
    writer: bundle.BundleWriter,
    spec: dict[str, Any],
    inputs: list[np.ndarray],
    outputs: list[np.ndarray],
) -> None:
    """Writes the golden samples and the tolerances a runtime is held to."""
    rtol, atol, scaled = TOLERANCES[coarsest(spec)]
    writer.attribute("/kbridge/golden", "rtol", rtol)
    writer.attribute("/kbridge/golden", "atol", atol)
    if scaled:
        writer.attribute("/kbridge/golden", "scaled", 1)
    writer.attribute("/kbridge/golden", "seed", golden.SEED)
    for root, entries, arrays in (
        (bundle.GOLDEN_INPUTS, spec["inputs"], inputs),
        (bundle.GOLDEN_OUTPUTS, spec["outputs"], outputs),
    ):
        for entry, array in zip(entries, arrays, strict=True):
            writer.array(f"{root}/{entry['name']}", array)


def stored_bytes(variable: keras.Variable) -> int:
    """Returns how much of the file a variable takes."""
    return int(np.prod(variable.shape)) * np.dtype(_storage(variable.dtype)).itemsize


def _storage(dtype: str) -> str:
    return {"bfloat16": "uint16", "bool": "uint8"}.get(dtype, dtype)
