"""Writing bundles: an array at a time, to a file that appears when it is whole."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from kbridge import errors
from kbridge.bundle.form import SCHEMA_VERSION, digest_of, stored_array, to_json

# NB: 64 is a cache line and the widest vector register: mapped weights can be used where they lie.
_ALIGNMENT = 64


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

    def array(
        self,
        path: str,
        array: np.ndarray,
        entry: dict | None = None,
        digest: Future[str] | None = None,
    ) -> None:
        """Writes one array.

        Args:
            path: Dataset path; groups on the way are made.
            array: The values. No more than this array and the one before are held besides the
                caller's.
            entry: What a document says of the array: it is given `path`, and by
                `wait_for_digests` the `sha256` of the stored bytes.
            digest: The digest of the stored bytes, where somebody computes it already.
        """
        stored = stored_array(array)
        if entry is not None:
            entry["path"] = path
            if digest is None:
                self._wait_for_digests(all_but=1)
                # NB: hashing takes as long as writing and needs no lock, so both run at once.
                digest = self._hashing.submit(digest_of, stored)
            self._digests.append((entry, digest))
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
        old = _opened(self.path)
        os.replace(self._temporary, self.path)
        if old is not None:
            # NB: the last close frees an old file's pages, which takes as long as writing them.
            threading.Thread(target=os.close, args=(old,), name="kbridge-free").start()

    def _storage_error(self, e: Exception) -> errors.ExportError:
        free = shutil.disk_usage(self.path.parent).free
        full = getattr(e, "errno", None) == errno.ENOSPC or free < 1 << 20
        why = "the disk is full" if full else str(e)
        return errors.ExportError(
            f"Expected to write the bundle {str(self.path)!r}. Received: {why}. "
            "Nothing was changed at the target; free some space or write elsewhere."
        )


def _opened(path: Path) -> int | None:
    """A descriptor that keeps a file's content until it is closed; None if there is no file."""
    if os.name != "posix":
        # An open file cannot be replaced there.
        return None
    try:
        return os.open(path, os.O_RDONLY)
    except OSError:
        # Nothing there, or nothing that may be read: the system then frees it at once.
        return None


def _sync(path: Path) -> None:
    with open(path, "rb+") as f:
        os.fsync(f.fileno())
