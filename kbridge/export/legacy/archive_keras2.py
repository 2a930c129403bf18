"""Opens `.keras` archives written by Keras 2.12 to 2.15 and by tf_keras.

Configs are those of Keras 2 with modules added; weights lie in a tree of attribute names, in which
the layers of a model are called by their class in snake case, with a number if there are several.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

import h5py
import numpy as np
from keras.src.utils.naming import to_snake_case

from kbridge.errors import BundleFormatError
from kbridge.export.legacy import allocation
from kbridge.export.legacy.building import build_unallocated
from kbridge.export.legacy.channels_first import repair_biases
from kbridge.export.legacy.context import Context
from kbridge.export.legacy.graph import CONTAINERS, Built
from kbridge.export.legacy.json_guard import check_strings
from kbridge.export.legacy.optimizers import UNNAMED
from kbridge.export.legacy.training import restore_training
from kbridge.export.legacy.weights import set_arrays, slots_of
from kbridge.export.sources import Source

_ATTENTION = ("_query_dense", "_key_dense", "_value_dense", "_output_dense")


def open_keras2_archive(
    archive: zipfile.ZipFile,
    config: dict,
    version: str,
    custom_objects: Mapping[str, Any],
    allow_lambda: bool,
    stored: int,
) -> Source:
    """Opens an archive that was checked already.

    Args:
        archive: The open archive.
        config: Its config.
        version: Version that wrote it.
        custom_objects: Classes and functions from the caller.
        allow_lambda: Whether code in the file may run.
        stored: Bytes of its weights.

    Returns:
        The model and its origin.
    """
    context = Context(
        2, version, "tensorflow", custom_objects=custom_objects, allow_lambda=allow_lambda
    )
    context.problems += check_strings(config)
    built = build_unallocated(config, context, stored)
    with h5py.File(io.BytesIO(archive.read("model.weights.h5")), "r") as file:
        _load_weights(file, built, context)
        state = _numbered(file.get("optimizer"))
    allocation.allocate_rest()
    repair_biases(built.layer, context)
    training = config.get("compile_config")
    if training:
        names = ["", UNNAMED]
        restore_training(built, _as_training_config(training), (names, state), context)
    return Source(
        built.layer,
        "keras",
        keras_version=version,
        backend="tensorflow",
        notes=context.notes,
        training_config=training,
    )


def _as_training_config(config: dict) -> dict:
    optimizer = config.get("optimizer")
    if isinstance(optimizer, str):
        optimizer = {"class_name": optimizer, "config": {}}
    return {**config, "optimizer_config": optimizer}


def _load_weights(file: h5py.File, built: Built, context: Context) -> None:
    slots = list(slots_of(built, context))
    paths = list(_paths(built, "", file))
    used = 0
    for slot, path in zip(slots, paths, strict=True):
        arrays = _leaf_arrays(file.get(path) if path else file, slot.layer)
        if arrays or slot.layer.weights:
            set_arrays(slot, arrays)
        used += len(arrays)
    root = next((file[name] for name in _roots(file)), None)
    total = _count(root) if root is not None else 0
    if used != total:
        raise BundleFormatError(
            f"Expected {total} arrays to belong to layers. Received: {used} that do. The layout of "
            f"Keras {context.version} is not known: load the file there and save it as HDF5."
        )


def _roots(group: h5py.Group) -> list[str]:
    return [name for name in ("layers", "_layer_checkpoint_dependencies") if name in group]


def _paths(built: Built, prefix: str, file: h5py.File) -> Iterator[str]:
    """Yields where the arrays of each innermost layer lie, in the order of `slots_of`."""
    if built.class_name in CONTAINERS:
        group = file.get(prefix) if prefix else file
        root = (_roots(group) or ["layers"])[0] if group is not None else "layers"
        for name, child in zip(_names(built.children), built.children, strict=True):
            yield from _paths(child, f"{prefix}/{root}/{name}".lstrip("/"), file)
    elif built.class_name == "Bidirectional":
        yield f"{prefix}/forward_layer"
        yield f"{prefix}/backward_layer"
    elif built.class_name == "TimeDistributed":
        yield from _paths(built.children[0], f"{prefix}/layer", file)
    elif built.layer is not None:
        yield prefix


def _names(children: list[Built]) -> list[str]:
    return _numbered_names([child.class_name for child in children])


def _numbered_names(classes: list[str]) -> list[str]:
    seen: dict[str, int] = {}
    names = []
    for class_name in classes:
        name = to_snake_case(class_name)
        names.append(f"{name}_{seen[name]}" if name in seen else name)
        seen[name] = seen.get(name, 0) + 1
    return names


def _numbered(group: Any) -> list[np.ndarray]:
    """Returns the arrays of a `vars` group, in the order of their numbers."""
    if not isinstance(group, h5py.Group) or not isinstance(group.get("vars"), h5py.Group):
        return []
    values = group["vars"]
    return [values[name][()] for name in sorted(values, key=int)]


def _leaf_arrays(group: Any, layer: Any) -> list[np.ndarray]:
    if not isinstance(group, h5py.Group):
        return []
    arrays = _numbered(group)
    for name in _ATTENTION:
        arrays += _numbered(group.get(name))
    cell = getattr(layer, "cell", None)
    if cell is None:
        return arrays
    cells = getattr(cell, "cells", None)
    if cells is None:
        return arrays + _numbered(group.get("cell"))
    for name in _numbered_names([type(c).__name__ for c in cells]):
        arrays += _numbered(group.get(f"cell/cells/{name}"))
    return arrays


def _count(group: h5py.Group) -> int:
    total = 0
    for item in group.values():
        total += _count(item) if isinstance(item, h5py.Group) else 1
    return total
