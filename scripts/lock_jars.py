#!/usr/bin/env python3
"""Writes kbridge/jvm/coordinates.txt from java/dependencies.txt, by a real Maven resolution.

Run it after editing java/dependencies.txt. It needs `mvn` and a network, and downloads every native
build of ND4J (half a gigabyte) into the local Maven repository, to take their digests.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "java" / "dependencies.txt"
TARGET = ROOT / "kbridge" / "jvm" / "coordinates.txt"
HEADER = """\
# DO NOT EDIT: written by scripts/lock_jars.py from java/dependencies.txt.
# group:artifact:version[:classifier] sha256 bytes set
"""


def read_source() -> tuple[dict[str, list[str]], set[str]]:
    """Returns the direct coordinates by set, and what is to be left out."""
    direct: dict[str, list[str]] = {}
    omitted: set[str] = set()
    for line in SOURCE.read_text(encoding="utf-8").splitlines():
        fields = line.split("#")[0].split()
        if not fields:
            continue
        if len(fields) != 2:
            raise SystemExit(f"{SOURCE}: expected `set coordinate`. Received: {line!r}.")
        if fields[0] == "omit":
            omitted.add(fields[1])
        else:
            direct.setdefault(fields[0], []).append(fields[1])
    return direct, omitted


def pom(coordinates: list[str]) -> str:
    """Returns a throw-away POM that depends on the coordinates."""
    names = ("groupId", "artifactId", "version", "classifier")
    dependencies = "".join(
        "<dependency>"
        + "".join(f"<{n}>{escape(v)}</{n}>" for n, v in zip(names, c.split(":"), strict=False))
        + "</dependency>"
        for c in coordinates
    )
    return (
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        "<groupId>lock</groupId><artifactId>lock</artifactId><version>1</version>"
        f"<dependencies>{dependencies}</dependencies></project>"
    )


def resolve(coordinates: list[str]) -> list[Path]:
    """Resolves coordinates with everything they need; returns the jars in class path order."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "pom.xml").write_text(pom(coordinates), encoding="utf-8")
        output = Path(folder, "classpath")
        command = ["mvn", "-B", "-q", "dependency:build-classpath", f"-Dmdep.outputFile={output}"]
        # NB: without it, JavaCPP's `-platform` artifacts bring the machine code of every platform.
        command.append("-Djavacpp.platform=linux-x86_64")
        repository = os.environ.get("KBRIDGE_MAVEN_REPO")
        if repository:
            command.append(f"-Dmaven.repo.local={repository}")
        subprocess.run(command, cwd=folder, check=True, stdin=subprocess.DEVNULL)
        return [Path(jar) for jar in output.read_text(encoding="utf-8").strip().split(":")]


def coordinate(jar: Path) -> str:
    """Reads a coordinate back from a jar's place: .../group/artifact/version/file.jar."""
    version, artifact = jar.parent.name, jar.parent.parent.name
    # NB: where the repository starts is not known here; the POM beside the jar names the group.
    pom_file = jar.parent / f"{artifact}-{version}.pom"
    group = read_group(pom_file, jar)
    classifier = jar.stem.removeprefix(f"{artifact}-{version}").removeprefix("-")
    return ":".join(filter(None, (group, artifact, version, classifier)))


def read_group(pom_file: Path, jar: Path) -> str:
    """Returns the group id in a POM, or in its `<parent>`, checked against the jar's folder."""
    space = "{http://maven.apache.org/POM/4.0.0}"
    root = ElementTree.parse(pom_file).getroot()
    for name in ("groupId", f"parent/{space}groupId", "parent/groupId"):
        group = root.findtext(f"{space}{name}") or root.findtext(name)
        if group and jar.parent.parent.parent.as_posix().endswith("/" + group.replace(".", "/")):
            return group
    raise SystemExit(f"Expected a groupId that fits the folder. Received: {pom_file}.")


def digest(jar: Path) -> str:
    """Returns the SHA-256 of a file."""
    with jar.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def lock(direct: dict[str, list[str]], omitted: set[str]) -> list[str]:
    """Returns the lines of the lock file."""
    lines: list[str] = []
    seen: set[str] = set()
    natives = set(direct["native"])
    for name, coordinates in direct.items():
        shared = direct["runtime"] if name in ("logging", "cuda", "native", "dl4j", "stock") else []
        for jar in resolve(shared + coordinates):
            found = coordinate(jar)
            parts = found.split(":")
            key = ":".join(parts[:2] + parts[3:])
            # What an earlier set has is not listed again.
            if key in omitted or found in seen:
                continue
            # NB: nd4j-native's POM brings the plain build; which build is used is our choice.
            if found in natives and name != "native":
                continue
            seen.add(found)
            label = f"native:{parts[3]}" if name == "native" else name
            lines.append(f"{found} {digest(jar)} {jar.stat().st_size} {label}")
    return lines


def main() -> None:
    """Resolves and writes the lock file."""
    lines = lock(*read_source())
    TARGET.write_text(HEADER + "".join(f"{line}\n" for line in lines), encoding="utf-8")
    print(f"{len(lines)} artifacts written to {TARGET.relative_to(ROOT)}", file=sys.stderr)


if __name__ == "__main__":
    main()
