"""The lock file of Java libraries, and resolving it into the local Maven repository."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kbridge.errors import JarsNotFoundError
from kbridge.jvm import cpu, jars

ROOT = Path(__file__).resolve().parents[2]
# Small artifacts, so that tests of downloading take no time.
NAMES = ("javacpp", "slf4j-nop", "nd4j-native-api")


def small() -> list[jars.Artifact]:
    return [a for a in jars.artifacts() if a.name in NAMES and a.size < 100_000]


class _Server(http.server.SimpleHTTPRequestHandler):
    """Serves a folder as a Maven repository, and notes what was asked for."""

    def __init__(self, *args: object, asked: list[str], **options: object):
        self.asked = asked
        super().__init__(*args, **options)

    def do_GET(self) -> None:
        self.asked.append(self.path)
        super().do_GET()

    def log_message(self, *args: object) -> None:
        """Keeps the test's output clean."""


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, list[str]]]:
    """A repository on this machine with the small artifacts, in place of Maven Central."""
    folder, asked = tmp_path / "mirror", []
    for artifact, jar in zip(small(), jars.resolve(small()), strict=True):
        copy = artifact.path(folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(jar.read_bytes())
    handler = functools.partial(_Server, directory=str(folder), asked=asked)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("KBRIDGE_MAVEN_URL", f"http://127.0.0.1:{server.server_port}/")
        yield folder, asked
        server.shutdown()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty local repository, and an empty cache of what was verified."""
    monkeypatch.setenv("KBRIDGE_MAVEN_REPO", str(tmp_path / "repository"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "repository"


def files_in(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file())


def test_lock_file_lists_what_is_depended_on() -> None:
    """Fails when java/dependencies.txt was edited and scripts/lock_jars.py was not run."""
    locked = {(a.coordinate, a.set.partition(":")[0]) for a in jars.artifacts()}
    omitted = []
    for line in (ROOT / "java" / "dependencies.txt").read_text(encoding="utf-8").splitlines():
        fields = line.split("#")[0].split()
        if fields and fields[0] == "omit":
            omitted.append(fields[1])
        elif fields:
            assert (fields[1], fields[0]) in locked
    names = {":".join(filter(None, (a.group, a.name, a.classifier))) for a in jars.artifacts()}
    assert omitted
    assert not names & set(omitted)


def test_lock_file_has_every_artifact_once_and_one_build_per_classifier() -> None:
    keys = [(a.group, a.name, a.classifier) for a in jars.artifacts()]
    assert len(keys) == len(set(keys))
    natives = {a.classifier for a in jars.artifacts() if a.set.startswith("native:")}
    assert natives == {b.classifier for b in cpu.BUILDS}
    assert {a.classifier for a in jars.artifacts()} - natives == {"", "linux-x86_64"} - natives


def test_runtime_has_one_build_of_the_machine_code() -> None:
    found = [a for a in jars.runtime_artifacts() if a.set.startswith("native:")]
    assert [a.classifier for a in found] == [cpu.native_choice().classifier]


@pytest.mark.parametrize(("device", "backend"), [("cpu", "nd4j-native"), ("gpu", "nd4j-cuda")])
def test_a_device_has_one_backend(repository: Path, device: str, backend: str) -> None:
    backends = ("nd4j-native", "nd4j-cuda")
    found = {a.name for a in jars.runtime_artifacts(device) if a.name.startswith(backends)}
    found.discard("nd4j-native-api")  # what both are called through
    assert found
    assert all(name.startswith(backend) for name in found), found
    assert not repository.exists(), "something was downloaded to know what there is"


def test_downloads_what_is_missing_and_nothing_twice(
    mirror: tuple[Path, list[str]], repository: Path
) -> None:
    paths = jars.resolve(small(), progress=False)
    assert paths == [a.path(repository) for a in small()]
    assert [jars.sha256(p) for p in paths] == [a.sha256 for a in small()]
    assert files_in(repository) == sorted(paths), "something else was left behind"
    asked = len(mirror[1])
    assert jars.resolve(small(), offline=True) == paths
    assert len(mirror[1]) == asked


def test_verified_files_are_not_read_again(
    mirror: tuple[Path, list[str]], repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = jars.resolve(small(), progress=False)
    hashed: list[Path] = []
    real = jars.sha256

    def counting(path: Path) -> str:
        hashed.append(path)
        return real(path)

    monkeypatch.setattr(jars, "sha256", counting)
    jars.resolve(small(), offline=True)
    assert hashed == []
    paths[0].touch()
    jars.resolve(small(), offline=True)
    assert hashed == [paths[0]]


def test_a_damaged_file_is_found_and_replaced(
    mirror: tuple[Path, list[str]], repository: Path
) -> None:
    damaged = jars.resolve(small(), progress=False)[1]
    content = bytearray(damaged.read_bytes())
    content[50] ^= 0xFF
    damaged.write_bytes(content)
    with pytest.raises(JarsNotFoundError, match=f"{small()[1].coordinate}: damaged, and"):
        jars.resolve(small(), offline=True)
    jars.resolve(small(), progress=False)
    assert jars.sha256(damaged) == small()[1].sha256


def test_a_wrong_download_is_refused_and_not_kept(
    mirror: tuple[Path, list[str]], repository: Path
) -> None:
    wrong = small()[0]
    wrong.path(mirror[0]).write_bytes(b"no jar")
    with pytest.raises(JarsNotFoundError, match=r"the download has SHA-256 \w{64}, expected"):
        jars.resolve(small(), progress=False)
    assert not wrong.path(repository).exists()
    assert files_in(repository) == sorted(a.path(repository) for a in small()[1:])


def test_every_failure_is_listed_with_the_ways_out(
    mirror: tuple[Path, list[str]], repository: Path
) -> None:
    first, second, *_ = small()
    first.path(mirror[0]).unlink()
    second.path(mirror[0]).unlink()
    with pytest.raises(JarsNotFoundError) as caught:
        jars.resolve(small(), progress=False)
    message = str(caught.value)
    for part in (first.coordinate, second.coordinate, "2 Java libraries", str(repository)):
        assert part in message
    for way_out in ("kbridge jars", "KBRIDGE_MAVEN_REPO", "KBRIDGE_MAVEN_URL"):
        assert way_out in message


def test_offline_lists_all_missing_and_asks_for_nothing(
    mirror: tuple[Path, list[str]], repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KBRIDGE_OFFLINE", "1")
    with pytest.raises(JarsNotFoundError) as caught:
        jars.resolve(small())
    assert all(f"{a.coordinate}: missing, and" in str(caught.value) for a in small())
    assert mirror[1] == []


def test_an_unwritable_repository_is_said(mirror: tuple[Path, list[str]], repository: Path) -> None:
    repository.write_text("a file, where a folder should be")
    with pytest.raises(JarsNotFoundError, match="cannot write to the repository"):
        jars.resolve(small(), progress=False)


@pytest.mark.parametrize(
    ("environment", "settings", "expected"),
    [
        ({}, None, ".m2/repository"),
        ({}, "<settings><localRepository>{home}/x</localRepository></settings>", "x"),
        (
            {},
            '<settings xmlns="http://maven.apache.org/SETTINGS/1.2.0">'
            "<localRepository>${{user.home}}/y</localRepository></settings>",
            "y",
        ),
        ({"MAVEN_OPTS": "-Xmx1g -Dmaven.repo.local={home}/z"}, "<settings/>", "z"),
        (
            {"KBRIDGE_MAVEN_REPO": "{home}/w", "MAVEN_OPTS": "-Dmaven.repo.local={home}/z"},
            None,
            "w",
        ),
    ],
)
def test_where_the_local_repository_is(
    environment: dict[str, str],
    settings: str | None,
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KBRIDGE_MAVEN_REPO", raising=False)
    monkeypatch.delenv("MAVEN_OPTS", raising=False)
    for key, value in environment.items():
        monkeypatch.setenv(key, value.format(home=tmp_path))
    if settings:
        (tmp_path / ".m2").mkdir()
        (tmp_path / ".m2" / "settings.xml").write_text(settings.format(home=tmp_path))
    assert jars.local_repository() == tmp_path / expected
