"""Compiles the Java engines and says how to start them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from kbridge.jvm import cpu, jars
from kbridge.jvm.java import find_java

_SOURCES = Path(__file__).resolve().parent / "java" / "bench"
_SETS = ("runtime", "logging", "dl4j", "stock", "ort")
_OTHERS = ("dl4j", "stock", "ort")


class JavaLauncher:
    """The Java side of the benchmarks, compiled into a folder.

    Args:
        folder: Where classes go, and a copy of kbridge's jar: another build meanwhile must not
            change what is measured.
    """

    def __init__(self, folder: Path):
        self.java = find_java()
        own = Path(shutil.copy(jars.kbridge_jar(), folder / "kbridge-runtime.jar"))
        networks = Path(shutil.copy(jars.dl4j_jar(), folder / "kbridge-dl4j.jar"))
        wanted = {*_SETS, f"native:{cpu.native_choice().classifier}"}
        found = [a for a in jars.artifacts() if a.set in wanted]
        paths = dict(zip(found, jars.resolve(found), strict=True))
        ours = [p for a, p in paths.items() if a.set not in _OTHERS]
        self.kbridge_classpath = os.pathsep.join(map(str, [own, *ours]))
        self._classes = folder / "classes"
        self._classpath = os.pathsep.join(map(str, [self._classes, own, networks, *paths.values()]))
        self._classes.mkdir(exist_ok=True)
        # NB: in a file, because ONNX Runtime 1.29 for Java crashes where the command line is long.
        self._arguments = folder / "arguments"
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        limits = (
            f"-Dorg.bytedeco.javacpp.maxbytes={memory}",
            "-Dorg.bytedeco.javacpp.maxphysicalbytes=0",
        )
        self._arguments.write_text("\n".join([*limits, "-cp", self._classpath]), encoding="utf-8")
        javac = self.java.home / "bin" / "javac"
        sources = sorted(map(str, _SOURCES.glob("*.java")))
        command = [str(javac), "--release", "11", "-Xlint:all,-path,-processing", "-Werror"]
        subprocess.run(
            [*command, "-cp", self._classpath, "-d", str(self._classes), *sources], check=True
        )

    def command(self) -> list[str]:
        """Returns the command line, up to the main class."""
        return [str(self.java.home / "bin" / "java"), f"@{self._arguments}"]
