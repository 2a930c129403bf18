"""Built packages, and clean environments to install them into."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]


def run(
    command: list[str | Path], *, cwd: Path, check: bool = True, **environment: str | None
) -> subprocess.CompletedProcess:
    """Runs a program to its end; variables given as None are taken out of the environment."""
    merged = {**os.environ, **environment}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={k: v for k, v in merged.items() if v is not None},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if check and done.returncode != 0:
        pytest.fail(f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done


def build(source: Path, target: Path, kind: str, *, check: bool = True) -> str:
    """Builds a ``wheel`` or an ``sdist`` with the packages of this environment; returns the log."""
    command = [sys.executable, "-m", "build", "--no-isolation", f"--{kind}"]
    done = run([*command, "--outdir", target, source], cwd=source, check=check)
    return done.stdout + done.stderr


@pytest.fixture(scope="session")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source package, built from this checkout, in which the jar has been built."""
    folder = tmp_path_factory.mktemp("sdist")
    build(ROOT, folder, "sdist")
    (package,) = folder.iterdir()
    return package


@pytest.fixture(scope="session")
def unpack(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Gives a function that unpacks the source package into a new folder."""

    def unpacked() -> Path:
        folder = tmp_path_factory.mktemp("unpacked")
        with tarfile.open(sdist) as archive:
            # NB: Debian's Python 3.11.2 is older than extraction filters; the archive is our own.
            filtered = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
            archive.extractall(folder, **filtered)
        (root,) = folder.iterdir()
        return root

    return unpacked


@pytest.fixture(scope="session")
def wheel(unpack: Callable[[], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the source package."""
    folder = tmp_path_factory.mktemp("wheel")
    build(unpack(), folder, "wheel")
    (package,) = folder.iterdir()
    return package


class CleanEnvironment:
    """A virtual environment that has the wheel and what the wheel says it needs.

    The wheel's dependencies are copied from the environment the tests run in, so that nothing is
    downloaded; pip then checks that none is missing.
    """

    def __init__(self, folder: Path, wheel: Path, extras: tuple[str, ...] = ()):
        self.folder = folder
        self.python = folder / "bin" / "python"
        run([sys.executable, "-m", "venv", "--without-pip", folder], cwd=folder.parent)
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        site = folder / "lib" / version / "site-packages"
        for name in _closure(_requirements(wheel), extras):
            _copy(importlib.metadata.distribution(name), site)
        what = f"{wheel}[{','.join(extras)}]" if extras else str(wheel)
        pip = [sys.executable, "-m", "pip", "--python", self.python]
        run([*pip, "install", "--no-index", "-q", what], cwd=folder)

    def run(self, *command: str | Path, check: bool = True, **environment: str | None) -> str:
        """Runs a program of this environment, with nothing else on the path and no Java."""
        done = run(
            [self.folder / "bin" / command[0], *command[1:]],
            cwd=self.folder,
            check=check,
            PATH=str(self.folder / "bin"),
            PYTHONPATH=None,
            VIRTUAL_ENV=None,
            JAVA_HOME=None,
            **environment,
        )
        return done.stdout + done.stderr


def _requirements(wheel: Path) -> list[Requirement]:
    import zipfile

    with zipfile.ZipFile(wheel) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith(".dist-info/METADATA")]
        lines = archive.read(name).decode("utf-8").split("\n\n")[0].splitlines()
    return [Requirement(x.partition(": ")[2]) for x in lines if x.startswith("Requires-Dist: ")]


def _closure(requirements: list[Requirement], extras: tuple[str, ...]) -> set[str]:
    """Returns the names of all distributions that requirements need, directly or not."""
    found: set[str] = set()
    pending = [(r, extras) for r in requirements]
    while pending:
        requirement, active = pending.pop()
        marker = requirement.marker
        if marker and not any(marker.evaluate({"extra": extra}) for extra in ("", *active)):
            continue
        name = canonicalize_name(requirement.name)
        if name in found and not requirement.extras:
            continue
        found.add(name)
        needed = importlib.metadata.distribution(name).requires or []
        pending += [(Requirement(text), tuple(requirement.extras)) for text in needed]
    return found


def _copy(distribution: importlib.metadata.Distribution, site: Path) -> None:
    """Copies an installed distribution's files, but not what it put outside site-packages."""
    home = Path(sysconfig.get_paths()["purelib"])
    for file in distribution.files or []:
        source = Path(distribution.locate_file(file))
        if source.is_relative_to(home) and ".." not in file.parts and source.suffix != ".pyc":
            target = site / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)


@pytest.fixture(scope="session")
def clean(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> CleanEnvironment:
    """A clean environment with the wheel alone; there is no Java."""
    return CleanEnvironment(tmp_path_factory.mktemp("clean") / "venv", wheel)


@pytest.fixture(scope="session")
def clean_jre(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> CleanEnvironment:
    """A clean environment with the wheel and its ``jre`` extra."""
    return CleanEnvironment(tmp_path_factory.mktemp("clean-jre") / "venv", wheel, ("jre",))
