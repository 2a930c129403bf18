"""DL4J networks of bundles: equal answers, equal training, and back. See the folder checks."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("networks.py")


def names():
    """The checks that the program has; they are not imported here, where there is no DL4J."""
    files = sorted(PROGRAM.with_name("checks").glob("*.py"))
    found = []
    for node in [n for file in files for n in ast.parse(file.read_text(encoding="utf-8")).body]:
        if isinstance(node, ast.FunctionDef) and any(
            isinstance(d, ast.Name) and d.id == "check" for d in node.decorator_list
        ):
            found.append(node.name)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            prefix = {"OPTIMIZERS": "optimizer", "LOSSES": "loss"}.get(node.targets[0].id)
            if prefix:
                found += [f"{prefix}_{ast.literal_eval(key)}" for key in node.value.keys]
    return found


@pytest.fixture(scope="module")
def told():
    """What each check says; all run in one process, whose JVM has DL4J on its class path."""
    done = subprocess.run(
        [sys.executable, str(PROGRAM)],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "2"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", names())
def test_networks(told, name):
    assert told[name] is None, told[name]


def test_all_checks_were_run(told):
    assert set(told) == set(names()) and len(told) > 25


def test_without_dl4j_the_error_says_what_to_add(jvm, tmp_path):
    import jpype
    import keras

    import kbridge

    kbridge.export(keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]), tmp_path / "m.h5")
    path = jpype.JClass("java.nio.file.Paths").get(str(tmp_path / "m.h5"))
    with (
        jpype.JClass("io.kbridge.KBridge").load(path) as loaded,
        pytest.raises(jpype.JException, match="kbridge-dl4j"),
    ):
        loaded.toComputationGraph()
