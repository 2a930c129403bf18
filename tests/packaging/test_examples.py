"""examples/java and examples/scala, as a user builds and runs them: with Maven, and no Python."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from kbridge.jvm import jars

from .conftest import ROOT, run

BUNDLE = ROOT / "examples" / "data" / "digits.h5"
PUBLISHED = "io/kbridge/kbridge-runtime"


@pytest.mark.parametrize("language", ["java", "scala"])
def test_example(language: str, jvm: object, tmp_path: Path) -> None:
    """The example passes the self-test and predicts what Python gets from the same bundle."""
    import kbridge

    version = (ROOT / "VERSION").read_text(encoding="utf-8").strip()
    published = jars.local_repository() / PUBLISHED / version / f"kbridge-runtime-{version}.jar"
    assert published.read_bytes() == jars.kbridge_jar().read_bytes(), (
        "publish the runtime first: gradle publishToMavenLocal"
    )
    project = tmp_path / language
    shutil.copytree(ROOT / "examples" / language, project, ignore=shutil.ignore_patterns("target"))
    command = ["mvn", "-B", "-q", *_mode(), f"-Dmaven.repo.local={jars.local_repository()}"]
    command += ["compile", "exec:java", f"-Dexec.args={BUNDLE} cpu"]
    printed = run(command, cwd=project).stdout

    with kbridge.load(BUNDLE) as model:
        expected = model.predict(np.full((1, 8, 8, 1), 0.5, "float32"))
    (line,) = re.findall(r"^predict +digit \[(.*)\]$", printed, re.MULTILINE)
    np.testing.assert_allclose([[float(x) for x in line.split(",")]], expected, rtol=1e-6)
    assert "image: float32[?, 8, 8, 1]" in printed
    assert re.search(r"^selftest ", printed, re.MULTILINE)
    with h5py.File(BUNDLE) as file:
        assert len(file["kbridge/golden/outputs"]) == 1


def _mode() -> list[str]:
    """Returns ``-o`` once everything has been downloaded: offline then, and quicker."""
    plugins = ("org/codehaus/mojo/exec-maven-plugin", "net/alchim31/maven/scala-maven-plugin")
    there = all(any((jars.local_repository() / plugin).rglob("*.jar")) for plugin in plugins)
    return ["-o"] if there else []
