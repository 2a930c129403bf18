"""Build hook: a package is only built when kbridge's runtime jar is there, of this version."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

JAR = Path("kbridge", "jvm", "jars", "kbridge-runtime.jar")


class RuntimeJarHook(BuildHookInterface):
    """Checks the jar. Gradle builds it; ``[tool.hatch.build] artifacts`` puts it into packages."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Raises if the jar is absent or of another version.

        Args:
            version: ``standard`` or ``editable``.
            build_data: Unused.

        Raises:
            RuntimeError: With the command that builds the jar.
        """
        # NB: an editable install comes before the first build, and looks for the jar at run time.
        if version == "editable":
            return
        jar = Path(self.root, JAR)
        if not jar.is_file():
            raise RuntimeError(
                f"Expected kbridge's Java library at {jar}. Received: no such file. "
                "Build it with `make jar` (needs JDK 17 and Gradle), then try again."
            )
        found = _implementation_version(jar)
        expected = Path(self.root, "VERSION").read_text(encoding="utf-8").strip()
        if found != expected:
            raise RuntimeError(
                f"Expected {jar} to be of version {expected}. Received: {found}. "
                "Build it again with `make jar`."
            )


def _implementation_version(jar: Path) -> str | None:
    """Returns ``Implementation-Version`` of a jar's manifest."""
    with zipfile.ZipFile(jar) as archive:
        manifest = archive.read("META-INF/MANIFEST.MF").decode("utf-8")
    for line in manifest.splitlines():
        key, _, value = line.partition(": ")
        if key == "Implementation-Version":
            return value
    return None
