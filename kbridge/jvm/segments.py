"""Memory that this process shares with a JVM: never a file that somebody could find left over."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from kbridge import errors
from kbridge.jvm.bridge import JavaObject

_ALIGNMENT = 64
_PAGES = 1 << 16


class Segment:
    """A piece of memory without a name in any file system.

    Args:
        nbytes: Its size; rounded up to whole pages.

    Raises:
        JvmOutOfMemoryError: There is not as much.
    """

    def __init__(self, nbytes: int):
        self.size = -(-max(nbytes, 1) // _PAGES) * _PAGES
        self.base = 0
        """Where the JVM sees it."""
        self.java: JavaObject = None
        """The JVM's ``SharedSegment``."""
        free = available_memory()
        if self.size > free:
            raise _full(self.size, f"{free} available")
        self._file = os.memfd_create("kbridge", os.MFD_CLOEXEC)
        try:
            # NB: reserved now. A page that cannot be had later would be a bus error, not an error.
            os.posix_fallocate(self._file, 0, self.size)
            self._memory = mmap.mmap(self._file, self.size)
        except (OSError, ValueError) as e:
            os.close(self._file)
            raise _full(self.size, str(e)) from e

    @property
    def path(self) -> str:
        """By which another process of the same user opens it, until `seal`."""
        return f"/proc/{os.getpid()}/fd/{self._file}"

    def seal(self) -> None:
        """Ends the time in which it can be opened; it stays until both sides have let it go."""
        os.close(self._file)

    def array(self, offset: int, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """Returns an array over a part of it."""
        return np.ndarray(shape, dtype, self._memory, offset)


def offsets(sizes: Iterable[int]) -> tuple[list[int], int]:
    """Returns where arrays of so many bytes lie one after the other, and how much that takes."""
    found, at = [], 0
    for size in sizes:
        found.append(at)
        at += -(-size // _ALIGNMENT) * _ALIGNMENT
    return found, at


def available_memory() -> int:
    """Returns how many bytes this process can still get, from the machine and its container."""
    with open("/proc/meminfo", encoding="ascii") as lines:
        fields = dict(line.split(":", 1) for line in lines)
    machine = int(fields["MemAvailable"].split()[0]) << 10
    folder = Path("/sys/fs/cgroup")
    names = ("memory.max", "memory.current", "memory.stat")
    if not all((folder / name).is_file() for name in names):
        return machine
    limit, used, told = ((folder / name).read_text(encoding="ascii").strip() for name in names)
    if not limit.isdigit():
        return machine
    # NB: what is used counts cached files, which the system gives up for others.
    counts = dict(line.split() for line in told.splitlines())
    cached = sum(int(counts.get(name, 0)) for name in ("active_file", "inactive_file"))
    return min(machine, max(int(limit) - int(used) + cached, 0))


def _full(wanted: int, received: str) -> errors.JvmOutOfMemoryError:
    return errors.JvmOutOfMemoryError(
        f"Expected {wanted} bytes of memory to share with the JVM's process. Received: {received}. "
        "Use a smaller batch_size, or host='inprocess', which needs no copies."
    )
