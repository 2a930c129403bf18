"""Refuses zip archives whose members reach outside or unpack to more than they should."""

from __future__ import annotations

import stat
import zipfile

from kbridge.errors import BundleFormatError, Problem, UnsupportedModelError

MAX_MEMBERS = 10_000
MAX_BYTES = 64 << 30
MAX_RATIO = 200
RATIO_FLOOR = 16 << 20
_ADVICE = "do not open this file; ask its author for one written by Keras's own save()"
NEEDED = ("config.json", "metadata.json", "model.weights.h5")


def check_zip(archive: zipfile.ZipFile) -> None:
    """Checks the members of a `.keras` archive without unpacking any.

    Args:
        archive: The open archive.

    Raises:
        UnsupportedModelError: With everything that is refused.
        BundleFormatError: If parts of a Keras archive are missing.
    """
    members = archive.infolist()
    problems: list[Problem] = []
    names: set[str] = set()

    def refuse(name: str, reason: str) -> None:
        problems.append(Problem(name, "zip member", reason, _ADVICE))

    if len(members) > MAX_MEMBERS:
        refuse("archive", f"it has {len(members)} members, more than {MAX_MEMBERS}")
    for member in members:
        name = member.filename
        if name in names:
            refuse(name, "the name is there twice")
        names.add(name)
        if _leaves(member.orig_filename) or _leaves(name):
            refuse(name, "the name leads out of the archive")
        if stat.S_ISLNK(member.external_attr >> 16):
            refuse(name, "it is a symbolic link")
        if member.flag_bits & 1:
            refuse(name, "it is encrypted")
        large = member.file_size > RATIO_FLOOR
        if large and member.file_size > MAX_RATIO * max(1, member.compress_size):
            refuse(name, f"{member.compress_size} bytes unpack to {member.file_size}")
    if sum(member.file_size for member in members) > MAX_BYTES:
        refuse("archive", f"it unpacks to more than {MAX_BYTES} bytes")
    if problems:
        raise UnsupportedModelError(problems)
    missing = [name for name in NEEDED if name not in names]
    if missing:
        raise BundleFormatError(
            f"Expected a Keras archive with {', '.join(NEEDED)}. "
            f"Received: a zip without {missing}, with "
            f"{sorted(names)[:5]}. Save the model with model.save('x.keras')."
        )


def _leaves(name: str) -> bool:
    parts = name.replace("\\", "/").split("/")
    return (
        name.startswith(("/", "\\"))
        or ".." in parts
        or "\\" in name
        or "\0" in name
        or ":" in parts[0]
    )
