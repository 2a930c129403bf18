"""What the tests of JVMs in their own processes share."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


def gone(pid: int, within: float = 10.0) -> bool:
    """Tells whether a process ends in time; one that is ended but not waited for counts."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        try:
            state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2]
        except OSError:
            return True
        if state.split()[0] in "ZX":
            return True
        time.sleep(0.02)
    return False


def children(pid: int | None = None) -> set[int]:
    """The processes that a process, by default this one, has started and that still run."""
    mine = str(os.getpid() if pid is None else pid)
    found = set()
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text(encoding="ascii").rpartition(")")[2].split()
            except OSError:
                continue
            if fields[1] == mine and fields[0] not in "ZX":
                found.add(int(folder.name))
    return found


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """Fails a test that leaves a process, a file in shared memory, or a JVM's crash report."""
    places = (Path("/dev/shm"), Path.cwd())
    before = {place: set(place.iterdir()) for place in places}
    running = children()
    yield
    end = time.monotonic() + 10
    while (left := children() - running) and time.monotonic() < end:
        time.sleep(0.05)
    assert left == set()
    for place, files in before.items():
        new = {f.name for f in set(place.iterdir()) - files}
        assert not [name for name in new if "kbridge" in name or "hs_err" in name or "core" in name]


@pytest.fixture
def fake_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Gives a function that makes ``JAVA_HOME`` one whose `java` is a shell script."""

    def make(script: str) -> None:
        home = tmp_path / "java"
        for folder in ("bin", "lib/server"):
            (home / folder).mkdir(parents=True)
        (home / "release").write_text('JAVA_VERSION="17.0.1"\n', encoding="utf-8")
        (home / "lib/server/libjvm.so").write_bytes(b"")
        program = home / "bin/java"
        program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        program.chmod(0o755)
        monkeypatch.setenv("JAVA_HOME", str(home))

    return make
