"""Fixtures that every test can use: the JVM, identity models, exported Keras models."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.hosts import add_option, other_jvms

__all__ = ["other_jvms"]

# NB: before any test imports them. The numbers are compared on the CPU, also where there is a GPU.
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

ROOT = Path(__file__).resolve().parent.parent
# The environment variable that names the folder of what all processes of a test run share.
SHARED_FOLDER = "KBRIDGE_TEST_SHARED_FOLDER"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Prints how many cases of each parity suite passed, by the property "suite" of the tests."""
    counts: dict[str, Counter[str]] = {}
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            suite = dict(report.user_properties).get("suite")
            if suite is not None:
                counts.setdefault(suite, Counter())[outcome] += 1
    for suite, count in sorted(counts.items()):
        rate = 100 * count["passed"] / count.total()
        terminalreporter.write_line(
            f"{suite}: {count['passed']} of {count.total()} cases pass ({rate:.1f} %)"
        )


def pytest_addoption(parser: pytest.Parser) -> None:
    add_option(parser)


@pytest.fixture(scope="session", autouse=True)
def _shared_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Makes the folder; pytest deletes it with its other temporary ones."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared"
    folder.mkdir(exist_ok=True)
    os.environ[SHARED_FOLDER] = str(folder)


@pytest.fixture(scope="session")
def jvm() -> Any:
    """Starts the JVM that all tests of this process share; gives what runs."""
    import jpype

    from kbridge.jvm import host

    started = host.start()
    # NB: before oneDNN is first used; its slow reference code is an error in all tests.
    system = jpype.JClass("java.lang.System")
    system.setProperty("io.kbridge.onednn.refuseReference", "true")
    return started


@pytest.fixture
def identity(jvm: Any, tmp_path: Path) -> Iterator[Callable]:
    """Gives a function that loads a model whose outputs are its inputs.

    The bundle is written by hand, so that this tests the bridge and not the exporter. The function
    takes inputs as ``(name, shape, dtype)`` and a structure, which is the outputs' too.
    """
    import kbridge

    loaded = []

    def load(inputs: Sequence[tuple], structure: Any = "*") -> Any:
        path = tmp_path / f"identity{len(loaded)}.h5"
        write_identity_bundle(path, inputs, structure)
        loaded.append(kbridge.load(path))
        return loaded[-1]

    yield load
    for model in loaded:
        model.close()


@pytest.fixture
def identity_bundle(tmp_path: Path) -> Callable:
    """Gives a function that writes the bundle of an identity model and returns its path."""

    def write(inputs: Sequence[tuple], structure: Any = "*") -> Path:
        path = tmp_path / "identity.h5"
        write_identity_bundle(path, inputs, structure)
        return path

    return write


@pytest.fixture
def exported(jvm: Any, tmp_path: Path) -> Iterator[Callable]:
    """Gives a function that exports a Keras model and loads the bundle."""
    import kbridge

    loaded = []

    def load(model: Any, **options: Any) -> Any:
        path = tmp_path / f"exported{len(loaded)}.h5"
        kbridge.export(model, path)
        loaded.append(kbridge.load(path, **options))
        return loaded[-1]

    yield load
    for model in loaded:
        model.close()


@pytest.fixture
def run_python(tmp_path: Path) -> Callable:
    """Gives a function that runs a script in a Python process of its own.

    It fails the test if the script does not end with status 0, and returns what was printed.
    """

    def run(
        script: str, *, timeout: float = 180, env: dict[str, str] | None = None, check: bool = True
    ) -> subprocess.CompletedProcess:
        # NB: a file, not -c: multiprocessing's spawn method imports the main module again.
        file = tmp_path / f"script{len(list(tmp_path.glob('script*.py')))}.py"
        file.write_text(script, encoding="utf-8")
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        process = subprocess.Popen(
            [sys.executable, str(file)],
            env={**os.environ, "PYTHONPATH": path, **(env or {})},
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            stdout, stderr = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            # NB: the whole group, because a script may hang in a process that it forked.
            os.killpg(process.pid, signal.SIGKILL)
            stdout, stderr = process.communicate()
            pytest.fail(f"the script did not end within {timeout} s:\n{stdout}\n{stderr}")
        if check and process.returncode != 0:
            pytest.fail(f"the script ended with {process.returncode}:\n{stdout}\n{stderr}")
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)

    return run


def write_identity_bundle(path: Path, inputs: Sequence[tuple], structure: Any = "*") -> None:
    """Writes a bundle of a graph without nodes: each output is the input at its place."""
    from kbridge.bundle import PROVENANCE, SCHEMA_VERSION, SPEC, TRAINING, BundleWriter

    described = [
        {"name": name, "shape": list(shape), "dtype": dtype, "optional": False}
        for name, shape, dtype in inputs
    ]
    names = [name for name, _, _ in inputs]
    spec = {
        "schema_version": SCHEMA_VERSION,
        "name": "identity",
        "inputs": described,
        "outputs": [
            {"name": d["name"], "shape": d["shape"], "dtype": d["dtype"], "value": d["name"]}
            for d in described
        ],
        "input_structure": structure,
        "output_structure": structure,
        "weights": {},
        "constants": {},
        "graphs": {"inference": {"nodes": [], "outputs": names}},
        "layer_outputs": [
            {"scope": name, "call": 0, "class_name": "InputLayer", "values": [name]}
            for name in names
        ],
        "layers": [],
    }
    with BundleWriter(path) as writer:
        writer.document(SPEC, spec)
        writer.document(TRAINING, {"compiled": False})
        writer.document(PROVENANCE, {"kbridge_version": "test"})
