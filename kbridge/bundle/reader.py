"""Reading bundles, after a check that nothing in them points outside of the file."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from kbridge import errors
from kbridge.bundle.form import (
    GOLDEN_INPUTS,
    GOLDEN_OUTPUTS,
    PROVENANCE,
    SCHEMA_VERSION,
    SPEC,
    STEPS,
    TRAINING,
    digest_of,
    dtype_of,
)


class Bundle:
    """An open bundle; use it as a context manager.

    Attributes:
        path: The file.
        spec: The spec document (docs/bundle-format.md, section 2).
        training: The training document (section 6).
        provenance: The provenance document (section 7).
    """

    def __init__(self, path: Path, file: h5py.File):
        self.path = path
        self._file = file
        self.spec = self._document(SPEC)
        self.training = self._document(TRAINING)
        self.provenance = self._document(PROVENANCE)

    def __enter__(self) -> Bundle:
        return self

    def __exit__(self, *exc) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file. May be called again."""
        self._file.close()

    def weight(self, name: str) -> np.ndarray:
        """Returns a weight's values, checked against its digest.

        Args:
            name: A key of ``spec["weights"]``.
        """
        return self._entry(name, self.spec["weights"])

    def state(self, name: str) -> np.ndarray:
        """Returns what a state starts with; `name` is a key of ``spec["states"]``."""
        entry = self.spec["states"].get(name, {})
        if "value" in entry:
            return np.full(entry["shape"], entry["value"], dtype_of(entry["dtype"]))
        return self._entry(name, self.spec["states"])

    def constant(self, name: str) -> np.ndarray:
        """Returns a constant's values; `name` is a key of ``spec["constants"]``."""
        entry = self.spec["constants"].get(name, {})
        if "value" in entry:
            return np.asarray(entry["value"], dtype=dtype_of(entry["dtype"]))
        return self._entry(name, self.spec["constants"])

    def steps(self) -> dict[str, Any] | None:
        """Returns the document of the steps (section 9), or None if there is none."""
        return self._document(STEPS) if STEPS in self._file else None

    def golden(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Returns the golden inputs and outputs by name."""
        sides = []
        for root, described in ((GOLDEN_INPUTS, "inputs"), (GOLDEN_OUTPUTS, "outputs")):
            sides.append(
                {
                    d["name"]: self.dataset(f"{root}/{d['name']}", d["dtype"])
                    for d in self.spec[described]
                    if f"{root}/{d['name']}" in self._file
                }
            )
        return sides[0], sides[1]

    def dataset(self, path: str, dtype: str | None = None) -> np.ndarray:
        """Returns the array at `path`; `dtype` tells its true type where storage differs."""
        if path not in self._file or not isinstance(self._file[path], h5py.Dataset):
            raise errors.BundleFormatError(
                f"Expected a dataset at {path!r} in {self.path.name!r}. Received: nothing there. "
                "The file is damaged: export the model again."
            )
        stored = self._file[path][()]
        return stored if dtype is None else np.asarray(stored).view(dtype_of(dtype))

    def attributes(self, path: str = "/") -> dict[str, Any]:
        """Returns the attributes of a group as a dict."""
        return dict(self._file[path].attrs)

    def _entry(self, name: str, table: dict) -> np.ndarray:
        if name not in table:
            raise errors.BundleFormatError(
                f"Expected one of {sorted(table)}. Received: {name!r}, which the bundle has not."
            )
        entry = table[name]
        stored = np.asarray(self.dataset(entry["path"]))
        if list(stored.shape) != list(entry["shape"]):
            raise errors.BundleFormatError(
                f"Expected {name!r} to have the shape {entry['shape']} its spec gives. "
                f"Received: {list(stored.shape)}. The file is damaged: export the model again."
            )
        if digest_of(stored) != entry["sha256"]:
            raise errors.DigestMismatchError(
                f"Expected {name!r} to have SHA-256 {entry['sha256']}. "
                f"Received: {digest_of(stored)}. The file is damaged: export the model again."
            )
        return stored.view(dtype_of(entry["dtype"]))

    def _document(self, path: str) -> Any:
        data = np.asarray(self.dataset(path))
        wanted = self._file[path].attrs.get("sha256")
        if digest_of(data) != wanted:
            raise errors.DigestMismatchError(
                f"Expected {path!r} to have SHA-256 {wanted}. Received: {digest_of(data)}. "
                "The file is damaged: export the model again."
            )
        try:
            return json.loads(data.tobytes().decode("utf-8"))
        except ValueError as e:
            raise errors.BundleFormatError(
                f"Expected JSON at {path!r}. Received: {e}. Export the model again."
            ) from e


def read_bundle(path: str | os.PathLike) -> Bundle:
    """Opens a bundle for reading.

    Args:
        path: A file written by `kbridge.export`.

    Returns:
        The open bundle.

    Raises:
        BundleNotFoundError: There is no such file.
        BundleFormatError: It is no bundle, or it holds links that a bundle must not have.
        SchemaVersionError: It was written by a newer, incompatible version.
        DigestMismatchError: A document was changed after it was written.
    """
    path = Path(path)
    if not path.is_file():
        raise errors.BundleNotFoundError(
            f"Expected a bundle file. Received: {str(path)!r}, which does not exist. "
            "Make one with kbridge.export(model, path)."
        )
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(_open_hdf5(path))
        _check_schema(file, path)
        _refuse_links(file, path)
        bundle = Bundle(path, file)
        stack.pop_all()
        return bundle


def _open_hdf5(path: Path) -> h5py.File:
    try:
        return h5py.File(path, "r")
    except OSError as e:
        raise errors.BundleFormatError(
            f"Expected an HDF5 file. Received: {str(path)!r}, which HDF5 cannot open ({e}). "
            "It is truncated or of another kind: export the model again."
        ) from e


def _check_schema(file: h5py.File, path: Path) -> None:
    link = file.get("kbridge", getlink=True) if "kbridge" in file else None
    group = file["kbridge"] if isinstance(link, h5py.HardLink) else None
    version = group.attrs.get("schema_version") if isinstance(group, h5py.Group) else None
    if version is None:
        raise errors.BundleFormatError(
            f"Expected a kbridge bundle. Received: {str(path)!r}, an HDF5 file without the group "
            "'/kbridge'. If it is a Keras model, make a bundle of it: "
            f"kbridge export {path.name} bundle.h5"
        )
    version = version.decode() if isinstance(version, bytes) else str(version)
    if version.split(".")[0] != SCHEMA_VERSION.split(".")[0]:
        raise errors.SchemaVersionError(
            f"Expected bundle schema version {SCHEMA_VERSION.split('.')[0]}.x. "
            f"Received: {version}. Use a kbridge version that reads it, or export again with this."
        )


def _refuse_links(file: h5py.File, path: Path) -> None:
    for where, what in _forbidden(file):
        raise errors.BundleFormatError(
            f"Expected a self-contained bundle. Received: {what} at {where!r} in {str(path)!r}. "
            "Do not use this file; export the model again from its source."
        )


def _forbidden(group: h5py.Group) -> Iterator[tuple[str, str]]:
    """Yields every member that points out of the file, without following it."""
    for name in group:
        where = f"{group.name.rstrip('/')}/{name}"
        link = group.get(name, getlink=True)
        if not isinstance(link, h5py.HardLink):
            yield where, type(link).__name__
            continue
        member = group[name]
        if isinstance(member, h5py.Group):
            yield from _forbidden(member)
        elif member.external or member.is_virtual:
            yield where, "external or virtual storage"
