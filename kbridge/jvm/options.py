"""How a JVM is started, in this process or in one of its own: options, class path, arguments.

Developers can set the environment variable ``KBRIDGE_CLASSPATH`` (separated as in ``PATH``) to the
jars and folders to use; it replaces the resolved class path, and nothing is then downloaded.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from kbridge import errors

CLASSPATH_VARIABLE = "KBRIDGE_CLASSPATH"


@dataclass(frozen=True)
class JvmOptions:
    """Options of a JVM.

    Attributes:
        heap: Largest Java heap, as ``-Xmx`` takes it (``"2g"``). None: the JVM's own choice, a
            quarter of the memory. Weights and activations do not live in it.
        offheap: Largest native memory of JavaCPP buffers (``"8g"``). None: all of the machine's.
        jvm_args: More arguments for the JVM, as on the command line of ``java``.
        offline: Use only Java libraries that are on this machine.
        classpath: Jars and folders of the user's own, put behind kbridge's: operations in Java.
    """

    heap: str | None = None
    offheap: str | None = None
    jvm_args: tuple[str, ...] = ()
    offline: bool = False
    classpath: tuple[str, ...] = ()

    def changed(
        self,
        heap: str | None = None,
        offheap: str | None = None,
        jvm_args: Sequence[str] | None = None,
        offline: bool | None = None,
        classpath: Sequence[str | os.PathLike] | None = None,
    ) -> Self:
        """Returns these options with those replaced that are not None.

        Raises:
            JarsNotFoundError: A jar or folder of `classpath` is not there.
        """
        given: dict[str, Any] = {"heap": heap, "offheap": offheap, "offline": offline}
        given["jvm_args"] = None if jvm_args is None else tuple(jvm_args)
        given["classpath"] = None if classpath is None else _existing(classpath, "classpath=")
        return replace(self, **{name: value for name, value in given.items() if value is not None})


def class_path(options: JvmOptions, device: str, progress: bool | None = None) -> list[str]:
    """Returns the class path, downloading what is missing.

    Args:
        options: The JVM's options.
        device: Device to run on.
        progress: Whether to show downloads as they go; None: when there are any.

    Raises:
        JarsNotFoundError: Java libraries are missing and could not be fetched.
    """
    override = os.environ.get(CLASSPATH_VARIABLE)
    if override:
        entries = [entry for entry in override.split(os.pathsep) if entry]
        return [*_existing(entries, CLASSPATH_VARIABLE), *options.classpath]
    from kbridge.jvm.jars import resolve_classpath

    jars = resolve_classpath(device=device, offline=options.offline, progress=progress)
    return [*(str(jar) for jar in jars), *options.classpath]


def arguments(options: JvmOptions, version: str) -> list[str]:
    """Returns the JVM's arguments.

    Args:
        options: The JVM's options.
        version: The Java version that it is.
    """
    # NB: -Xrs keeps the JVM away from Python's signals, and PerfData would leave a file in the
    # temporary folder. JavaCPP's "physical" limit counts the whole process, Python's own arrays
    # included, so it must not be in force in a process that is mostly Python's.
    found = [
        "-Xrs",
        "-XX:-UsePerfData",
        "-Djava.awt.headless=true",
        f"-Dorg.bytedeco.javacpp.maxbytes={options.offheap or memory_limit()}",
        "-Dorg.bytedeco.javacpp.maxphysicalbytes=0",
    ]
    if options.heap is not None:
        found.append(f"-Xmx{options.heap}")
    major = int(version.split(".")[0].split("-")[0])
    if major >= 22:
        found.append("--enable-native-access=ALL-UNNAMED")
    if major >= 23:
        found.append("--sun-misc-unsafe-memory-access=allow")
    return [*found, *options.jvm_args]


def memory_limit() -> int:
    """Returns the bytes of memory this process may use: the machine's, or its container's."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for name in ("memory.max", "memory/memory.limit_in_bytes"):  # cgroup version 2 and 1
        path = Path("/sys/fs/cgroup") / name
        if path.is_file():
            text = path.read_text(encoding="ascii").strip()
            if text.isdigit():
                limits.append(int(text))
    return min(limits)


def openmp_environment() -> dict[str, str]:
    """Returns the environment variables that libgomp reads when a JVM loads it."""
    # NB: libgomp's threads spin while they wait; if anything else wants their core, each parallel
    # loop then stalls for a scheduler tick. A few spins are enough for what threads wait for each
    # other on a quiet machine. A user's own choice stands.
    if "OMP_WAIT_POLICY" in os.environ or "GOMP_SPINCOUNT" in os.environ:
        return {}
    return {"GOMP_SPINCOUNT": "2000"}


def _existing(entries: Sequence[str | os.PathLike], where: str) -> tuple[str, ...]:
    missing = [str(entry) for entry in entries if not Path(entry).exists()]
    if missing:
        raise errors.JarsNotFoundError(
            f"Expected existing jars and folders in {where}. "
            f"Received, but not there: {', '.join(missing)}. Correct it, or leave it out."
        )
    return tuple(str(entry) for entry in entries)
