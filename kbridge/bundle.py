"""Reading and writing bundles: the HDF5 files specified in docs/bundle-format.md.

`BundleWriter` writes arrays one at a time into a temporary file beside the target and renames it at
the end, so a target is either the old file or a whole new one. `read_bundle` opens a bundle after
checking that nothing in it points outside the file.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from kbridge import errors

SCHEMA_VERSION = "1.0"
SPEC, TRAINING, PROVENANCE = "/kbridge/spec", "/kbridge/training", "/kbridge/provenance"
STEPS = "/kbridge/steps"
GOLDEN_INPUTS, GOLDEN_OUTPUTS = "/kbridge/golden/inputs", "/kbridge/golden/outputs"
CONSTANTS, STEP_ARRAYS = "/kbridge/constants", "/kbridge/step_arrays"

# NB: 64 is a cache line and the widest vector register: mapped weights can be used where they lie.
_ALIGNMENT = 64

_STORED_AS = {"bool": np.dtype("uint8"), "bfloat16": np.dtype("uint16")}


def stored_array(array: np.ndarray) -> np.ndarray:
    """Returns `array` as it is stored: contiguous, little-endian, bool and bfloat16 as integers.

    Args:
        array: Any array of a dtype that docs/bundle-format.md lists.

    Returns:
        A view of `array` where possible, a copy where its memory order or byte order differ.
    """
    array = np.asarray(array)
    if not array.flags.c_contiguous:
        array = np.ascontiguousarray(array)
    storage = _STORED_AS.get(array.dtype.name)
    if storage is not None:
        return array.view(storage)
    return array.astype(array.dtype.newbyteorder("<"), copy=False)


def to_json(document: Any) -> str:
    """Returns a document as compact JSON; NaN and infinities are refused, JSON has none."""
    return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def digest_of(array: np.ndarray) -> str:
    """Returns the SHA-256 hex digest of the bytes of a stored array (see `stored_array`)."""
    return hashlib.sha256(array.reshape(-1).view(np.uint8)).hexdigest()


class BundleWriter:
    """Writes one bundle; use it as a context manager.

    The file appears at `path` only when the block ends without an error; otherwise what was at
    `path` before stays as it was and the temporary file is removed.

    Args:
        path: Target file; its folder has to exist.
        expected_bytes: About how much will be written; a full disk is then told before the work.

    Raises:
        ExportError: The folder does not exist or is not writable, or the disk is full.
    """

    def __init__(self, path: str | os.PathLike, expected_bytes: int = 0):
        self.path = Path(path)
        folder = self.path.parent
        if not folder.is_dir():
            raise errors.ExportError(
                f"Expected an existing folder to write the bundle into. Received: {str(path)!r}, "
                f"but there is no folder {str(folder)!r}. Create it first."
            )
        if self.path.is_dir():
            raise errors.ExportError(
                f"Expected a file name for the bundle. Received: {str(path)!r}, which is a folder. "
                "Name a file in it, such as 'model.h5'."
            )
        free = shutil.disk_usage(folder).free
        if expected_bytes > free:
            raise errors.ExportError(
                f"Expected at least {expected_bytes:,} bytes of free disk space for the bundle. "
                f"Received: {free:,} bytes in {str(folder)!r}. Free some, or write elsewhere."
            )
        self._temporary: Path | None = None
        self._file: h5py.File | None = None
        self._hashing = ThreadPoolExecutor(1, "kbridge-digest")
        self._syncing = ThreadPoolExecutor(1, "kbridge-sync")
        self._digests: list[tuple[dict, Future[str]]] = []
        self._syncs: list[Future[None]] = []

    def __enter__(self) -> BundleWriter:
        try:
            handle, name = tempfile.mkstemp(
                prefix=f".{self.path.name}.", suffix=".tmp", dir=self.path.parent
            )
        except OSError as e:
            raise errors.ExportError(
                f"Expected a writable folder for the bundle. Received: {str(self.path.parent)!r} "
                f"({e.strerror}). Choose another folder or change its permissions."
            ) from e
        os.close(handle)
        self._temporary = Path(name)
        self._file = h5py.File(
            name, "w", alignment_threshold=_ALIGNMENT, alignment_interval=_ALIGNMENT
        )
        self._file.require_group("kbridge").attrs["schema_version"] = SCHEMA_VERSION
        return self

    def __exit__(self, kind, error, traceback) -> None:
        for thread in (self._hashing, self._syncing):
            thread.shutdown()
        try:
            self._file.close()
            if error is None:
                self._publish()
        # NB: h5py raises RuntimeError where closing a file has to write and the disk is full.
        except (OSError, RuntimeError) as e:
            raise self._storage_error(e) from (error or e)
        finally:
            self._temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and not isinstance(error, errors.KBridgeError):
            raise self._storage_error(error) from error

    def array(self, path: str, array: np.ndarray, entry: dict | None = None) -> None:
        """Writes one array.

        Args:
            path: Dataset path; groups on the way are made.
            array: The values. No more than this array and the one before are held besides the
                caller's.
            entry: What a document says of the array: it is given `path`, and by
                `wait_for_digests` the `sha256` of the stored bytes.
        """
        stored = stored_array(array)
        if entry is not None:
            entry["path"] = path
            self._wait_for_digests(all_but=1)
            # NB: hashing takes as long as writing and needs no lock, so both run at once.
            self._digests.append((entry, self._hashing.submit(digest_of, stored)))
        self._file.create_dataset(path, data=stored, track_times=False)

    def wait_for_digests(self) -> None:
        """Completes the entries of all arrays written so far."""
        self._wait_for_digests()

    def _wait_for_digests(self, all_but: int = 0) -> None:
        while len(self._digests) > all_but:
            entry, digest = self._digests.pop(0)
            entry["sha256"] = digest.result()

    def start_sync(self) -> None:
        """Lets the disk begin with what has been written, beside what the caller does next.

        NB: not before everything large is written: writing to a file that is being synced is slow.
        """
        self._file.flush()
        self._syncs.append(self._syncing.submit(_sync, self._temporary))

    def document(self, path: str, document: Any) -> None:
        """Writes a JSON document as UTF-8 bytes with its digest."""
        data = np.frombuffer(to_json(document).encode("utf-8"), np.uint8)
        self._file.create_dataset(path, data=data, track_times=False)
        self._file[path].attrs["sha256"] = digest_of(data)

    def attribute(self, path: str, name: str, value: Any) -> None:
        """Sets an attribute of a group (made if needed); lists of strings are stored as such.

        HDF5 holds at most 64 kB in one attribute: a longer list is split into `name0`, `name1`...,
        as Keras 2 does and every reader of Keras files understands.
        """
        group = self._file.require_group(path)
        if not isinstance(value, list):
            group.attrs[name] = value
            return
        encoded = np.asarray([text.encode("utf-8") for text in value])
        pieces = max(1, -(-encoded.nbytes // 64000))
        if pieces == 1:
            group.attrs[name] = encoded
        else:
            for i, piece in enumerate(np.array_split(encoded, pieces)):
                group.attrs[f"{name}{i}"] = piece

    def _publish(self) -> None:
        # NB: the system tells a failed write to the first who asks only.
        for earlier in self._syncs:
            earlier.result()
        _sync(self._temporary)
        # NB: mkstemp makes private files; a bundle gets the permissions any new file would have.
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(self._temporary, 0o666 & ~mask)
        os.replace(self._temporary, self.path)

    def _storage_error(self, e: Exception) -> errors.ExportError:
        free = shutil.disk_usage(self.path.parent).free
        full = getattr(e, "errno", None) == errno.ENOSPC or free < 1 << 20
        why = "the disk is full" if full else str(e)
        return errors.ExportError(
            f"Expected to write the bundle {str(self.path)!r}. Received: {why}. "
            "Nothing was changed at the target; free some space or write elsewhere."
        )


def _sync(path: Path) -> None:
    with open(path, "rb+") as f:
        os.fsync(f.fileno())


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

    def constant(self, name: str) -> np.ndarray:
        """Returns a constant's values; `name` is a key of ``spec["constants"]``."""
        entry = self.spec["constants"].get(name, {})
        if "value" in entry:
            return np.asarray(entry["value"], dtype=_dtype(entry["dtype"]))
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
        return stored if dtype is None else np.asarray(stored).view(_dtype(dtype))

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
        return stored.view(_dtype(entry["dtype"]))

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


def _dtype(name: str) -> np.dtype:
    if name == "bfloat16":
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(name)
