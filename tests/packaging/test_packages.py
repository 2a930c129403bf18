"""What is in the wheel and in the source package, and that the wheel works on its own."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import ROOT, CleanEnvironment, build

JAR = "kbridge/jvm/jars/kbridge-runtime.jar"
BUNDLE = ROOT / "examples" / "data" / "digits.h5"

PREDICT = """
import sys
from pathlib import Path
import h5py, numpy as np
import kbridge

assert Path(kbridge.__file__).is_relative_to(sys.prefix), kbridge.__file__
with h5py.File(sys.argv[1]) as file:
    golden = file["kbridge/golden"]
    (x,) = [array[()] for array in golden["inputs"].values()]
    (y,) = [array[()] for array in golden["outputs"].values()]
with kbridge.load(sys.argv[1]) as model:
    np.testing.assert_allclose(model.predict(x), y, rtol=1e-4, atol=1e-6)
assert not {"keras", "tensorflow", "jax", "torch"} & set(sys.modules)
print("predicted", y.shape)
"""


def test_the_wheel_has_the_jar_and_no_more_than_it_should(wheel: Path) -> None:
    assert wheel.name.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        with archive.open(JAR) as stream, zipfile.ZipFile(stream) as jar:
            classes = jar.namelist()
    assert "io/kbridge/KBridge.class" in classes
    assert "META-INF/services/io.kbridge.plan.OpMappings" in classes
    assert "kbridge/jvm/coordinates.txt" in names
    assert [n for n in names if n.endswith(".dist-info/licenses/LICENSE")]
    outside = [n for n in names if not n.startswith(("kbridge/", "kbridge-"))]
    assert outside == []
    # Every file of the package that is under version control, and the jar: nothing is forgotten.
    package = {
        str(p.relative_to(ROOT))
        for p in (ROOT / "kbridge").rglob("*")
        if p.is_file() and p.suffix != ".pyc"
    }
    assert {n for n in names if n.startswith("kbridge/")} == package


def test_the_source_package_can_build_everything(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {n.partition("/")[2] for n in archive.getnames()}
    for name in (
        JAR,
        "LICENSE",
        "Makefile",
        "VERSION",
        "build.gradle",
        "hatch_build.py",
        "java/dependencies.txt",
        "java/runtime/src/main/java/io/kbridge/KBridge.java",
        "kbridge/jvm/coordinates.txt",
        "pyproject.toml",
        "settings.gradle",
        "tests/conftest.py",
    ):
        assert name in names


def test_without_the_jar_no_package_is_built(unpack: Callable[[], Path], tmp_path: Path) -> None:
    source = unpack()
    (source / JAR).unlink()
    log = build(source, tmp_path / "out", "wheel", check=False)
    assert "Expected kbridge's Java library at" in log
    assert "make jar" in log
    assert list(tmp_path.rglob("*.whl")) == []


def test_a_jar_of_another_version_is_refused(unpack: Callable[[], Path], tmp_path: Path) -> None:
    source = unpack()
    (source / "VERSION").write_text("99.0\n")
    log = build(source, tmp_path / "out", "wheel", check=False)
    assert "to be of version 99.0. Received: 0.1.0" in log
    assert list(tmp_path.rglob("*.whl")) == []


def test_predicts_in_a_clean_environment(clean_jre: CleanEnvironment) -> None:
    """The wheel, its dependencies and its ``jre`` extra: no JDK, no Keras backend, no source."""
    printed = clean_jre.run("python", "-I", "-c", PREDICT, BUNDLE, KBRIDGE_OFFLINE="1")
    assert "predicted (" in printed


def test_the_command_is_installed(clean_jre: CleanEnvironment) -> None:
    assert "export" in clean_jre.run("kbridge", "--help")


def test_without_java_the_ways_out_are_named(clean: CleanEnvironment) -> None:
    script = "import sys, kbridge; kbridge.load(sys.argv[1])"
    printed = clean.run("python", "-I", "-c", script, BUNDLE, check=False, KBRIDGE_OFFLINE="1")
    assert "JavaNotFoundError: Expected a Java runtime" in printed
    for way_out in ("pip install 'kbridge[jre]'", "openjdk-17-jre-headless", "JAVA_HOME"):
        assert way_out in printed


def test_without_the_java_libraries_they_are_listed(
    clean_jre: CleanEnvironment, tmp_path: Path
) -> None:
    script = "import sys, kbridge; kbridge.load(sys.argv[1])"
    printed = clean_jre.run(
        *("python", "-I", "-c", script, BUNDLE),
        check=False,
        KBRIDGE_OFFLINE="1",
        KBRIDGE_MAVEN_REPO=str(tmp_path),
    )
    assert "JarsNotFoundError" in printed
    assert "org.nd4j:nd4j-api:1.0.0-M2.1: missing" in printed
    assert "kbridge jars" in printed


@pytest.mark.parametrize("name", ["keras", "jpype", "h5py", "numpy", "rich", "jgo"])
def test_importing_loads_nothing_heavy(name: str, clean: CleanEnvironment) -> None:
    script = (
        f"import sys, kbridge, kbridge.jvm.jars, kbridge.jvm.java; print({name!r} in sys.modules)"
    )
    assert clean.run("python", "-I", "-c", script).strip() == "False"


def test_importing_starts_and_makes_nothing(clean: CleanEnvironment, tmp_path: Path) -> None:
    script = (
        "import os, threading, kbridge\n"
        "print(kbridge.__version__, threading.active_count(), len(os.listdir('/proc/self/task')))"
    )
    printed = clean.run(
        *("python", "-I", "-c", script), HOME=str(tmp_path), XDG_CACHE_HOME=str(tmp_path)
    )
    version = (ROOT / "VERSION").read_text(encoding="utf-8").strip()
    assert printed.split() == [version, "1", "1"]
    assert list(tmp_path.iterdir()) == []


def test_a_jar_in_the_package_is_what_the_checkout_built(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extract(JAR, tmp_path)
    assert (tmp_path / JAR).read_bytes() == (ROOT / JAR).read_bytes()
