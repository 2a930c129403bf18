"""Opens HDF5 model files of Keras 1, 2 and 3."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import IO, Any

import h5py
import numpy as np

from kbridge.errors import BundleFormatError
from kbridge.export.legacy import allocation
from kbridge.export.legacy.building import build_unallocated
from kbridge.export.legacy.channels_first import repair_biases
from kbridge.export.legacy.context import Context
from kbridge.export.legacy.graph import CONTAINERS, Built
from kbridge.export.legacy.hdf5_guard import check_hdf5
from kbridge.export.legacy.json_guard import check_config, check_strings, decode_json
from kbridge.export.legacy.training import restore_training
from kbridge.export.legacy.weights import assign, note_flips, slots_of
from kbridge.export.sources import Source

_BACKENDS = ("tensorflow", "theano", "cntk", "mxnet", "jax", "torch", "numpy", "openvino")


def open_hdf5(
    stream: IO[bytes],
    *,
    custom_objects: Mapping[str, Any],
    allow_lambda: bool,
    backend: str | None,
    data_format: str | None,
) -> Source:
    """Opens an HDF5 model file; arguments as in `open_source`."""
    try:
        file = h5py.File(stream, "r")
    except OSError as error:
        raise BundleFormatError(
            f"Expected a readable HDF5 file. Received: one that is damaged or cut off ({error}). "
            "Get the file again."
        ) from error
    with file:
        stored = check_hdf5(file)
        config = _model_config(file)
        context = _context(file, config, custom_objects, allow_lambda)
        context.backend = backend or context.backend
        context.data_format = data_format or context.data_format
        return _open(file, config, stored, context)


def _open(file: h5py.File, config: dict, stored: int, context: Context) -> Source:
    if context.major >= 3:
        check_config(config, context.custom_objects, context.allow_lambda)
    else:
        # NB: classes of Keras 1 and 2 are looked up in the registry of converters alone.
        context.problems += check_strings(config)
    built = build_unallocated(config, context, stored)
    _load_weights(file, built, context)
    allocation.allocate_rest()
    note_flips(context, built)
    repair_biases(built.layer, context)
    training = _json_attribute(file, "training_config")
    if training is not None:
        restore_training(built, training, _optimizer_arrays(file, context), context)
    return Source(
        built.layer,
        "hdf5",
        keras_version=context.version,
        backend=context.backend,
        notes=context.notes,
        training_config=training,
    )


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, np.ndarray):
        value = value.item() if value.size == 1 else value.tobytes()
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def _json_attribute(file: h5py.File, name: str) -> Any:
    value = file.attrs.get(name)
    if value is None or isinstance(value, h5py.Empty):
        return None
    return decode_json(_text(value), f"the attribute '{name}'")


def _model_config(file: h5py.File) -> dict:
    config = _json_attribute(file, "model_config")
    named = isinstance(config, dict) and "class_name" in config and "config" in config
    if named and isinstance(file.get("model_weights"), h5py.Group):
        return config
    if "layer_names" in file.attrs or "layers" in file or "_layer_checkpoint_dependencies" in file:
        raise BundleFormatError(
            "Expected an HDF5 file with a model and its weights. Received: one with weights alone. "
            "Build the model in Python, call model.load_weights(path), and export the live model."
        )
    raise BundleFormatError(
        "Expected an HDF5 file written by Keras's model.save(). Received: one without "
        f"'model_config' and 'model_weights', with {sorted(file)[:5]}. "
        "Save the model with model.save('model.keras')."
    )


def _context(
    file: h5py.File, config: dict, custom_objects: Mapping[str, Any], allow_lambda: bool
) -> Context:
    group = file["model_weights"]
    version = _text(file.attrs.get("keras_version", group.attrs.get("keras_version")))
    major = int(version.split(".")[0]) if version and version[0].isdigit() else 1
    if major not in (1, 2, 3):
        raise BundleFormatError(
            f"Expected a file of Keras 1, 2 or 3. Received: Keras {version}. Update kbridge."
        )
    backend = _text(file.attrs.get("backend", group.attrs.get("backend")))
    if backend is not None and backend not in _BACKENDS:
        raise BundleFormatError(
            f"Expected a backend of {list(_BACKENDS)}. Received: {backend!r}. The file is damaged."
        )
    context = Context(
        major, version, backend, custom_objects=custom_objects, allow_lambda=allow_lambda
    )
    if backend is None:
        context.backend = _guess_backend(group)
        if context.backend:
            context.note(f"the file's weight names are those of {context.backend}")
    if major == 1:
        context.data_format = _stated_data_format(config)
    return context


def _guess_backend(group: h5py.Group) -> str | None:
    """Keras 1 stored no backend; TensorFlow's variable names end in an output number."""
    names = [name for layer in group.values() for name in attribute_list(layer, "weight_names")]
    named = [name for name in names if not name.startswith("param_")]
    if not named:
        return None
    return "tensorflow" if all(":" in name for name in named) else "theano"


def _stated_data_format(config: Any) -> str | None:
    """Keras 1 had one ordering for all layers in practice; some of them stored it."""
    found = set()
    pending = [config]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            if value.get("dim_ordering") in ("th", "tf"):
                found.add(value["dim_ordering"])
            pending += value.values()
        elif isinstance(value, list):
            pending += value
    formats = {"th": "channels_first", "tf": "channels_last"}
    return formats[found.pop()] if len(found) == 1 else None


def attribute_list(group: h5py.Group, name: str) -> list[str]:
    """Returns a list of names, which Keras splits over attributes when it is long."""
    if name in group.attrs:
        return [_text(item) for item in group.attrs[name]]
    out: list[str] = []
    for part in range(len(group.attrs)):
        if f"{name}{part}" not in group.attrs:
            break
        out += [_text(item) for item in group.attrs[f"{name}{part}"]]
    return out


def _arrays(group: h5py.Group, names: list[str]) -> list[np.ndarray]:
    missing = [name for name in names if not isinstance(group.get(name), h5py.Dataset)]
    if missing:
        raise BundleFormatError(
            f"Expected the weights {missing} in '{group.name}'. Received: a group without them. "
            "The file is damaged: get it again."
        )
    return [group[name][()] for name in names]


def _load_weights(file: h5py.File, built: Built, context: Context) -> None:
    group = file["model_weights"]
    stored: dict[str, list[str]] = {}
    for name in attribute_list(group, "layer_names"):
        if not isinstance(group.get(name), h5py.Group):
            raise BundleFormatError(
                f"Expected the weights of layer '{name}'. Received: a file without them. "
                "The file is damaged: get it again."
            )
        if names := attribute_list(group[name], "weight_names"):
            stored[name] = names
    weighted = [b for b in _stored_layers(built) if _count(b, context)]
    by_name = {b.name: b for b in weighted}
    if set(stored) != set(by_name) or len(by_name) != len(weighted):
        if len(stored) != len(weighted):
            raise BundleFormatError(
                f"Expected weights for layers {[b.name for b in weighted]}. "
                f"Received: {list(stored)}. The file's weights do not belong to its configuration."
            )
        # NB: nested models of old files have no name of their own; Keras went by order too.
        by_name = dict(zip(stored, weighted, strict=True))
    for name, names in stored.items():
        by_name[name].names = names
        assign(by_name[name], _arrays(group[name], names), context)


def _count(built: Built, context: Context) -> int:
    return sum(slot.trainable + slot.others for slot in slots_of(built, context))


def _stored_layers(built: Built) -> Iterator[Built]:
    """Yields the layers that have a group; in branches of a Keras 1 Merge each layer has one."""
    for index, child in enumerate(built.children):
        if index < built.branches and child.class_name in CONTAINERS:
            yield from _stored_layers(child)
        else:
            yield child


def _optimizer_arrays(file: h5py.File, context: Context) -> tuple[list[str], list[np.ndarray]]:
    group = file.get("optimizer_weights")
    if not isinstance(group, h5py.Group):
        return [], []
    names = attribute_list(group, "weight_names")
    if len(group) and not names:
        context.note(
            "the optimizer starts anew: the file has its state without the names by which Keras 2 "
            "reads it (kbridge.import_model and kbridge.import_weights read that of a bundle)"
        )
    return names, _arrays(group, names)
