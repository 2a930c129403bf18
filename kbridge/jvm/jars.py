"""The Java libraries: where they are, whether they are the right ones, and getting missing ones.

`coordinates.txt` lists every third-party jar with its digest. They live in the ordinary local Maven
repository, so that Maven, Gradle and kbridge share one copy. kbridge's own small runtime jar is in
the Python package.
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib import resources
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from kbridge.errors import JarsNotFoundError
from kbridge.jvm import cpu

_LOG = logging.getLogger(__name__)
_CHUNK_TIMEOUT_S = 60
_WORKERS = 4
_CPU_BACKEND = ("nd4j-native", "nd4j-native-preset")

ProgressCallback = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""Takes a file name and its size, gives a context with a function that takes each chunk's size."""


class Artifact(NamedTuple):
    """One line of ``coordinates.txt``.

    Attributes:
        group: Maven group id.
        name: Maven artifact id.
        version: Its version.
        classifier: Its classifier, or an empty string.
        sha256: Digest of the jar.
        size: Bytes of the jar.
        set: What it is for: ``runtime``, ``logging``, ``native:<classifier>``, ``test``.
    """

    group: str
    name: str
    version: str
    classifier: str
    sha256: str
    size: int
    set: str

    @property
    def coordinate(self) -> str:
        """``group:artifact:version[:classifier]``."""
        return ":".join(filter(None, (self.group, self.name, self.version, self.classifier)))

    def path(self, repository: Path) -> Path:
        """Returns the jar's place in a Maven repository."""
        file = "-".join(filter(None, (self.name, self.version, self.classifier))) + ".jar"
        return repository.joinpath(*self.group.split("."), self.name, self.version, file)


@functools.cache
def artifacts() -> tuple[Artifact, ...]:
    """Returns every artifact of ``coordinates.txt``, in class path order."""
    text = resources.files("kbridge.jvm").joinpath("coordinates.txt").read_text(encoding="utf-8")
    found = []
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        coordinate, sha256, size, name = line.split()
        group, artifact, version, *classifier = coordinate.split(":")
        found.append(
            Artifact(group, artifact, version, "".join(classifier), sha256, int(size), name)
        )
    return tuple(found)


def runtime_artifacts(device: str = "cpu") -> list[Artifact]:
    """Returns what running on a device needs, the machine code for this CPU included.

    Args:
        device: ``"cpu"`` or ``"gpu"``.

    Raises:
        DeviceUnavailableError: If there are no libraries for this platform.
    """
    native = cpu.native_choice().classifier  # NB: for a GPU too: it knows the platform
    wanted = {"runtime", "logging", "cuda" if device == "gpu" else f"native:{native}"}
    # NB: of two backends in one class path ND4J would choose by itself.
    others = _CPU_BACKEND if device == "gpu" else ()
    return [a for a in artifacts() if a.set in wanted and a.name not in others]


def local_repository() -> Path:
    """Returns the local Maven repository.

    In order: the environment variable ``KBRIDGE_MAVEN_REPO``, ``-Dmaven.repo.local`` in
    ``MAVEN_OPTS``, ``<localRepository>`` in Maven's ``settings.xml``, ``~/.m2/repository``.
    """
    if chosen := os.environ.get("KBRIDGE_MAVEN_REPO"):
        return Path(chosen).expanduser().absolute()
    option = re.search(r"-Dmaven\.repo\.local=(\S+)", os.environ.get("MAVEN_OPTS", ""))
    if option:
        return Path(option[1]).expanduser().absolute()
    settings = Path.home() / ".m2" / "settings.xml"
    if settings.is_file():
        for element in ElementTree.parse(settings).getroot():
            # NB: the file may or may not declare Maven's XML name space.
            if element.tag.rpartition("}")[2] == "localRepository" and element.text:
                text = element.text.strip().replace("${user.home}", str(Path.home()))
                return Path(text).expanduser()
    return Path.home() / ".m2" / "repository"


def kbridge_jar() -> Path:
    """Returns kbridge's own runtime jar.

    Raises:
        JarsNotFoundError: If this is a source checkout in which it has not been built.
    """
    jar = Path(str(resources.files("kbridge.jvm"))) / "jars" / "kbridge-runtime.jar"
    if not jar.is_file():
        raise JarsNotFoundError(
            f"Expected kbridge's own Java library at {jar}. Received: no such file. In a source "
            "checkout, build it with `make jar` (or `gradle jar`); in an installed package, "
            "install kbridge again."
        )
    return jar


def dl4j_jar() -> Path:
    """Returns the jar of DL4J networks, which `host.configure(classpath=...)` takes.

    It needs the jars of the set ``dl4j`` beside it.

    Raises:
        JarsNotFoundError: If it has not been built.
    """
    jar = kbridge_jar().with_name("kbridge-dl4j.jar")
    if not jar.is_file():
        raise JarsNotFoundError(
            f"Expected kbridge's library of DL4J networks at {jar}. Received: no such file. In a "
            "source checkout, build it with `make jar`; in an installed package, install kbridge "
            "again."
        )
    return jar


def resolve_classpath(
    device: str = "cpu", offline: bool = False, progress: bool | None = None
) -> list[Path]:
    """Returns the class path that runs kbridge in a JVM, downloading what is missing.

    Args:
        device: Device to run on.
        offline: Whether to refuse to download. The environment variable ``KBRIDGE_OFFLINE=1``
            does the same.
        progress: Whether to show downloads as they go; by default when there are any.

    Returns:
        kbridge's own jar, then the third-party ones.

    Raises:
        JarsNotFoundError: If jars are missing and cannot be had. All of them are listed.
        DeviceUnavailableError: If there are no libraries for the device or this platform.
    """
    own = kbridge_jar()
    # NB: those of a GPU are so large that only somebody who was asked has them downloaded.
    offline = offline or device == "gpu"
    return [own, *resolve(runtime_artifacts(device), offline, progress, device)]


def resolve(
    wanted: Iterable[Artifact],
    offline: bool = False,
    progress: bool | None = None,
    device: str = "cpu",
) -> list[Path]:
    """Returns the paths of artifacts in the local Maven repository, downloading missing ones.

    Args:
        wanted: The artifacts.
        offline: Whether to refuse to download.
        progress: Whether to show downloads as they go; by default when there are any.
        device: What they are for, to say how to get them.

    Returns:
        One verified jar per artifact, in the same order.

    Raises:
        JarsNotFoundError: If jars are missing and cannot be had. All of them are listed.
    """
    wanted = list(wanted)
    repository = local_repository()
    stamps = _Stamps()
    missing = [a for a in wanted if not stamps.verified(a, a.path(repository))]
    if missing:
        _LOG.info("to download to %s: %s", repository, [a.coordinate for a in missing])
        offline = offline or os.environ.get("KBRIDGE_OFFLINE", "") not in ("", "0")
        failed = (
            {a: f"{_state(a, repository)}, and downloading was not allowed" for a in missing}
            if offline
            else _download_all(missing, repository, progress is not False)
        )
        if failed:
            raise JarsNotFoundError(_missing_message(failed, repository, device))
        for artifact in missing:
            stamps.add(artifact, artifact.path(repository))
    stamps.save()
    return [a.path(repository) for a in wanted]


def _state(artifact: Artifact, repository: Path) -> str:
    return "damaged" if artifact.path(repository).is_file() else "missing"


def absent(wanted: Iterable[Artifact]) -> list[Artifact]:
    """Returns the artifacts that are not in the local Maven repository."""
    repository = local_repository()
    return [a for a in wanted if not a.path(repository).is_file()]


def _missing_message(failed: dict[Artifact, str], repository: Path, device: str) -> str:
    command = "kbridge jars" if device == "cpu" else f"kbridge jars --device {device}"
    lines = "\n".join(f"  {a.coordinate}: {reason}" for a, reason in failed.items())
    count = f"{len(failed)} Java librar{'y' if len(failed) == 1 else 'ies'}"
    megabytes = sum(a.size for a in failed) / 1e6
    return (
        f"Expected every Java library that kbridge needs in {repository}. "
        f"Received: {count} missing or damaged:\n{lines}\n"
        "What to do:\n"
        f"  - with a network: run `{command}`, which downloads them ({megabytes:.0f} MB);\n"
        f"  - without: run `{command}` on a machine that has one, copy its local Maven "
        "repository here,\n"
        "    and name the copy in the environment variable KBRIDGE_MAVEN_REPO;\n"
        "  - with a mirror of Maven Central: name its address in KBRIDGE_MAVEN_URL."
    )


def sha256(path: Path) -> str:
    """Returns the SHA-256 of a file, as hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class _Stamps:
    """Remembers which jars were verified, by size and time, so that a start hashes nothing."""

    def __init__(self) -> None:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        self._file = cache / "kbridge" / "verified-jars.json"
        self._known: dict[str, list[object]] = {}
        self._changed = False
        if self._file.is_file():
            try:
                self._known = json.loads(self._file.read_text(encoding="utf-8"))
            except ValueError:
                _LOG.warning("%s is damaged; verifying all jars again", self._file)

    def verified(self, artifact: Artifact, path: Path) -> bool:
        """Tells whether the file is there and is the artifact."""
        if not path.is_file() or path.stat().st_size != artifact.size:
            return False
        if self._known.get(str(path)) == self._stamp(artifact, path):
            return True
        if sha256(path) != artifact.sha256:
            return False
        self.add(artifact, path)
        return True

    def add(self, artifact: Artifact, path: Path) -> None:
        """Notes a file that has been verified."""
        self._known[str(path)] = self._stamp(artifact, path)
        self._changed = True

    def save(self) -> None:
        """Writes the notes, if there are new ones."""
        if not self._changed:
            return
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(
                "w", dir=self._file.parent, delete=False, encoding="utf-8"
            ) as stream:
                json.dump(self._known, stream)
            os.replace(stream.name, self._file)
        except OSError as error:
            # A read-only home costs a fraction of a second per start, and nothing else.
            _LOG.info("cannot remember verified jars: %s", error)

    @staticmethod
    def _stamp(artifact: Artifact, path: Path) -> list[object]:
        status = path.stat()
        return [status.st_size, status.st_mtime_ns, artifact.sha256]


def _download_all(missing: list[Artifact], repository: Path, show: bool) -> dict[Artifact, str]:
    """Downloads artifacts, a few at a time; returns the failed ones with the reasons."""
    failed = {}
    with _rich_progress(missing) if show else nullcontext() as callback:
        # NB: a folder inside the repository, so that the move into place is atomic.
        try:
            repository.mkdir(parents=True, exist_ok=True)
            scratch = tempfile.TemporaryDirectory(prefix=".kbridge-", dir=repository)
        except OSError as error:
            return dict.fromkeys(missing, f"cannot write to the repository: {error}")
        with scratch as folder, ThreadPoolExecutor(_WORKERS) as pool:
            fetch = functools.partial(
                _download, repository=repository, scratch=Path(folder), callback=callback
            )
            for artifact, reason in zip(missing, pool.map(fetch, missing), strict=True):
                if reason:
                    failed[artifact] = reason
    return failed


def _download(
    artifact: Artifact, repository: Path, scratch: Path, callback: ProgressCallback | None
) -> str | None:
    """Downloads one artifact, checks it, moves it into place; returns what went wrong."""
    # Imported late: only needed when something is missing.
    from jgo.maven import MavenContext, PythonResolver

    mirror = os.environ.get("KBRIDGE_MAVEN_URL")
    context = MavenContext(
        resolver=PythonResolver(progress_callback=callback),
        repo_cache=scratch,
        remote_repos={"mirror": mirror.rstrip("/")} if mirror else None,
        timeout=_CHUNK_TIMEOUT_S,
    )
    component = context.project(artifact.group, artifact.name).at_version(artifact.version)
    try:
        jar = component.artifact(classifier=artifact.classifier).resolve()
        found = sha256(jar)
        if found != artifact.sha256:
            return f"the download has SHA-256 {found}, expected {artifact.sha256}"
        target = artifact.path(repository)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(jar, target)
    except (RuntimeError, OSError) as error:
        # jgo reports an absent artifact as RuntimeError; network errors are OSErrors.
        return f"{type(error).__name__}: {error}"
    return None


@contextmanager
def _rich_progress(missing: list[Artifact]) -> Iterator[ProgressCallback]:
    """Shows one bar for all downloads on stderr; yields a callback for jgo."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        what = f"Downloading {len(missing)} Java librar{'y' if len(missing) == 1 else 'ies'}"
        task = bars.add_task(what, total=sum(a.size for a in missing))

        @contextmanager
        def callback(_file: str, _size: int) -> Iterator[Callable[[int], None]]:
            yield lambda count: bars.advance(task, count)

        yield callback


def main() -> None:
    """Resolves named sets and prints one path a line (``python -m kbridge.jvm.jars SET...``).

    For the build: Gradle compiles and tests against the same files.
    """
    names = sys.argv[1:] or ["runtime"]
    wanted = [a for a in artifacts() if a.set in names]
    if "native" in names:
        native = f"native:{cpu.native_choice().classifier}"
        wanted += [a for a in artifacts() if a.set == native]
    try:
        paths = resolve(wanted)
    except JarsNotFoundError as error:
        raise SystemExit(str(error)) from error
    print("\n".join(map(str, paths)))


if __name__ == "__main__":
    main()
