"""Refuses HDF5 files that reach outside themselves or claim more than they hold.

Links are looked at before they are followed, and datasets before they are read.
"""

from __future__ import annotations

import math
from typing import Any

import h5py

from kbridge.errors import BundleFormatError, Problem, UnsupportedModelError

MAX_OBJECTS = 1_000_000
MAX_DEPTH = 64
MAX_BYTES = 64 << 30
MAX_ATTRIBUTE = 256 << 20
MAX_EXPANSION = 1000  # NB: gzip cannot shrink more than about 1030:1
SLACK = 1 << 16
_KINDS = "fiub"
_FILTERS = {1: "gzip", 2: "shuffle", 3: "fletcher32", 32000: "lzf"}
_ADVICE = "do not open this file; ask its author for one written by Keras's own save()"


def check_hdf5(file: h5py.Group) -> int:
    """Checks every object of an open file.

    Args:
        file: The file, or the group to check.

    Returns:
        Bytes of all datasets together.

    Raises:
        UnsupportedModelError: With everything that is refused.
        BundleFormatError: If the file is damaged.
    """
    walk = _Walk()
    try:
        walk.group(file, 0)
    except (OSError, RuntimeError, KeyError) as error:
        raise BundleFormatError(
            f"Expected a readable HDF5 file. Received: one that is damaged ({error}). Get it again."
        ) from error
    if walk.bytes > MAX_BYTES:
        walk.refuse("/", "Dataset", f"all datasets together claim {walk.bytes} bytes")
    if walk.problems:
        raise UnsupportedModelError(walk.problems)
    return walk.bytes


class _Walk:
    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.seen: set[Any] = set()
        self.bytes = 0

    def refuse(self, path: str, what: str, reason: str) -> None:
        self.problems.append(Problem(path, what, reason, _ADVICE))

    def group(self, group: h5py.Group, depth: int) -> None:
        if depth > MAX_DEPTH or len(self.seen) > MAX_OBJECTS:
            self.refuse(
                group.name, "Group", f"more than {MAX_DEPTH} levels or {MAX_OBJECTS} objects"
            )
            return
        self.attributes(group)
        for name in group:
            path = f"{group.name.rstrip('/')}/{name}"
            link = group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                self.refuse(path, type(link).__name__, _link_reason(link))
                continue
            if name in ("..", ".") or "\\" in name or "\0" in name:
                self.refuse(path, "Link", f"the name {name!r} is a path")
                continue
            self.entry(group, name, path, depth)

    def entry(self, group: h5py.Group, name: str, path: str, depth: int) -> None:
        info = h5py.h5o.get_info(group.id, name.encode("utf-8"))
        key = (info.fileno, info.addr)
        if key in self.seen:
            self.refuse(path, "HardLink", "the object is linked twice, which can make a cycle")
            return
        self.seen.add(key)
        item = group[name]
        if isinstance(item, h5py.Group):
            self.group(item, depth + 1)
        elif isinstance(item, h5py.Dataset):
            self.dataset(item, path)
        else:
            self.refuse(path, type(item).__name__, "only groups and datasets are expected")

    def attributes(self, item: Any) -> None:
        for name in item.attrs:
            attribute = item.attrs.get_id(name)
            kind = attribute.dtype
            # NB: a string of variable length, which is how h5py writes text, is a vlen to HDF5.
            listed = h5py.check_vlen_dtype(kind) and not h5py.check_string_dtype(kind)
            if h5py.check_ref_dtype(kind) or listed:
                self.refuse(
                    f"{item.name}@{name}", "Attribute", "references and lists are not expected"
                )
            elif math.prod(attribute.shape) * kind.itemsize > MAX_ATTRIBUTE:
                self.refuse(f"{item.name}@{name}", "Attribute", "the attribute is too large")

    def dataset(self, dataset: h5py.Dataset, path: str) -> None:
        self.attributes(dataset)
        plist = dataset.id.get_create_plist()
        if plist.get_external_count():
            self.refuse(path, "Dataset", "its data lies in another file (external storage)")
            return
        if dataset.is_virtual:
            self.refuse(path, "Dataset", "its data lies in other datasets (virtual dataset)")
            return
        filters = [plist.get_filter(i)[0] for i in range(plist.get_nfilters())]
        if unknown := [f for f in filters if f not in _FILTERS]:
            self.refuse(
                path, "Dataset", f"unknown HDF5 filters {unknown}, which would load plug-ins"
            )
        if not _is_plain(dataset.dtype):
            self.refuse(path, "Dataset", f"the element type {dataset.dtype} is not a number")
            return
        self.size(dataset, path)

    def size(self, dataset: h5py.Dataset, path: str) -> None:
        claimed = dataset.dtype.itemsize * math.prod(dataset.shape or ())
        stored = dataset.id.get_storage_size()
        self.bytes += claimed
        if claimed > stored * MAX_EXPANSION + SLACK:
            self.refuse(path, "Dataset", f"it claims {claimed} bytes and stores {stored}")


def _is_plain(dtype: Any) -> bool:
    if dtype.kind in _KINDS or dtype.name == "bfloat16":
        return True
    # NB: Keras stores bfloat16 as raw bytes of two, and bool as an enum h5py reads as bool.
    return dtype.kind == "V" and dtype.itemsize in (1, 2) and dtype.names is None


def _link_reason(link: Any) -> str:
    if isinstance(link, h5py.ExternalLink):
        return "it leads to another file (external link)"
    return "it leads to another place (soft link)"
