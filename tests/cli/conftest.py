"""One small model as a file and as a bundle, for all tests of the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A model with a nested one in it: `.keras` file, bundle, and the live model."""
    import keras

    import kbridge

    folder = tmp_path_factory.mktemp("cli")
    keras.utils.set_random_seed(3)
    inner = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(4, activation="relu", name="d1")], name="inner"
    )
    inputs = keras.Input((4,), name="x")
    h = inner(inner(inputs)) * 2.0
    outputs = keras.layers.Dense(3, activation="softmax", name="top")(h)
    model = keras.Model(inputs, outputs, name="small")
    model.compile("adam", loss="categorical_crossentropy")
    paths = SimpleNamespace(
        folder=folder, keras=folder / "m.keras", bundle=folder / "m.h5", model=model
    )
    model.save(paths.keras)
    kbridge.export(model, paths.bundle)
    return paths


@pytest.fixture
def cli() -> Callable[..., Any]:
    """Gives a function that runs the command line in this process."""
    from typer.testing import CliRunner

    from kbridge.cli import app

    def run(*args: Any, code: int = 0) -> Any:
        # NB: pytest-xdist sets COLUMNS for its workers; what is tested is the width for files.
        runner = CliRunner(env={"COLUMNS": None})
        result = runner.invoke(app, [str(arg) for arg in args], prog_name="kbridge")
        assert result.exit_code == code, f"{result.output}\n{result.exception!r}"
        return result

    return run


@pytest.fixture
def program() -> Callable[..., Any]:
    """Gives a function that runs the command line as a process of its own."""

    def run(*args: Any, code: int = 0, **env: str) -> subprocess.CompletedProcess:
        inherited = env.pop("PYTHONPATH", os.environ.get("PYTHONPATH"))
        path = os.pathsep.join(filter(None, (str(ROOT), inherited)))
        done = subprocess.run(
            [sys.executable, "-m", "kbridge", *map(str, args)],
            env={**os.environ, "PYTHONPATH": path, **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == code, f"{done.stdout}\n{done.stderr}"
        return done

    return run


def parsed(text: str) -> Any:
    """Reads standard output that has to be JSON and nothing else."""
    return json.loads(text)
