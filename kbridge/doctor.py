"""What is on this machine: versions, Java, libraries, CPU, and what to do about what is missing."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import kbridge
from kbridge import errors
from kbridge.jvm import cpu, cuda, gpu, jars, java

if TYPE_CHECKING:
    from rich.console import RenderableType

OK, NOTE, MISSING = "ok", "note", "missing"

_BACKENDS = ("tensorflow", "jax", "torch")
_CHECKS: list[Callable[[], list[Finding]]] = []


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: What it is.
        status: ``"ok"``; ``"note"`` for something that not everybody needs; ``"missing"`` for
            something that kbridge does not run without.
        found: What was found.
        advice: What to do; empty where nothing has to be done.
    """

    name: str
    status: str
    found: str
    advice: str = ""


def _check(function: Callable[[], list[Finding]]) -> Callable[[], list[Finding]]:
    _CHECKS.append(function)
    return function


def examine() -> list[Finding]:
    """Looks at everything; starts no JVM, loads no backend, downloads nothing."""
    return [finding for check in _CHECKS for finding in check()]


def environment(provenance: Mapping[str, Any] | None = None) -> dict[str, str]:
    """Returns versions and machine, for reports.

    Args:
        provenance: A bundle's provenance; what wrote it is then told too.
    """
    found = {
        "kbridge": kbridge.__version__,
        "Python": platform.python_version(),
        "CPU": cpu_model(),
        "cores": str(os.cpu_count()),
        "system": platform.platform(),
    }
    found.update({name: version(name) for name in ("keras", *_BACKENDS) if version(name)})
    choice = _native_choice()
    found["ND4J build"] = choice if isinstance(choice, str) else choice.classifier
    if provenance:
        found["Keras backend"] = f"{provenance['backend']} {provenance['backend_version']}"
        found["exported"] = f"{provenance['created']} by kbridge {provenance['kbridge_version']}"
    return found


def version(package: str) -> str:
    """Returns the version of an installed package without importing it; empty if there is none."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def cpu_model(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Returns the processor's name, as the machine tells it."""
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


@_check
def _versions() -> list[Finding]:
    found = [
        Finding("kbridge", OK, kbridge.__version__),
        Finding("Python", OK, f"{platform.python_version()} on {platform.platform()}"),
    ]
    keras = version("keras")
    if not keras:
        advice = "To export models: pip install keras"
        return [*found, Finding("Keras", NOTE, "not installed", advice)]
    if int(keras.split(".")[0]) < 3:
        advice = "Exporting needs Keras 3 (it reads files of Keras 1 and 2): pip install -U keras"
        return [*found, Finding("Keras", NOTE, keras, advice)]
    return [*found, Finding("Keras", OK, keras), _backend()]


def _backend() -> Finding:
    installed = {name: version(name) for name in _BACKENDS}
    told = ", ".join(f"{name} {text}" for name, text in installed.items() if text) or "none"
    chosen = chosen_backend()
    name = f"Keras backend ({chosen})"
    if chosen not in _BACKENDS:
        advice = f"kbridge works with {', '.join(_BACKENDS)}: set KERAS_BACKEND to one of them"
        return Finding(name, NOTE, told, advice)
    if installed[chosen] or importlib.util.find_spec(chosen) is not None:
        return Finding(name, OK, told)
    advice = f"Install it (pip install {chosen}), or set KERAS_BACKEND to one that is there"
    return Finding(name, NOTE, told, advice)


def chosen_backend() -> str:
    """Returns the backend that Keras will use, without importing Keras."""
    if name := os.environ.get("KERAS_BACKEND"):
        return name
    config = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "keras.json"
    if config.is_file():
        try:
            return str(json.loads(config.read_text(encoding="utf-8")).get("backend", "tensorflow"))
        except ValueError:
            return f"unknown: {config} is not JSON"
    return "tensorflow"


@_check
def _java() -> list[Finding]:
    try:
        found = java.find_java()
    except errors.JavaNotFoundError as e:
        received, _, advice = str(e).partition("\nWhat to do")
        return [Finding("Java", MISSING, received, f"What to do{advice}")]
    return [Finding("Java", OK, f"{found.version} in {found.home} (from {found.source})")]


@_check
def _jars() -> list[Finding]:
    return [_own_jar(), _library_jars()]


def _own_jar() -> Finding:
    try:
        jar = jars.kbridge_jar()
    except errors.JarsNotFoundError as e:
        return Finding("kbridge's Java runtime", MISSING, "not built", str(e))
    return Finding("kbridge's Java runtime", OK, str(jar))


def _library_jars() -> Finding:
    try:
        wanted = jars.runtime_artifacts()
    except errors.KBridgeError as e:
        return Finding("Java libraries", MISSING, "none for this machine", str(e))
    repository = jars.local_repository()
    absent = jars.absent(wanted)
    if not absent:
        size = sum(a.size for a in wanted) / 1e6
        return Finding("Java libraries", OK, f"all {len(wanted)} in {repository} ({size:.0f} MB)")
    size = sum(a.size for a in absent) / 1e6
    found = f"{len(absent)} of {len(wanted)} are not in {repository}"
    advice = f"Run `kbridge jars` to download them ({size:.0f} MB); the first use does it too"
    return Finding("Java libraries", NOTE, found, advice)


@_check
def _cpu() -> list[Finding]:
    flags = cpu.cpu_flags() if Path("/proc/cpuinfo").is_file() else frozenset()
    telling = ("sse4_2", "avx", "avx2", "fma", "avx512f", "avx512_vnni")
    vector = [flag for flag in telling if flag in flags]
    told = f"{cpu_model()}, {os.cpu_count()} cores, {' '.join(vector) or 'no known vector units'}"
    choice = _native_choice()
    if isinstance(choice, str):
        return [Finding("CPU", OK, told), Finding("ND4J build", MISSING, "none", choice)]
    build = Finding("ND4J build", OK, f"{choice.classifier}, because {choice.reason}")
    return [Finding("CPU", OK, told), build]


def _native_choice() -> Any:
    """The chosen build, or why there is none."""
    try:
        return cpu.native_choice()
    except errors.KBridgeError as e:
        return str(e)


@_check
def _gpu() -> list[Finding]:
    driver = gpu.probe()
    if not driver.gpus:
        advice = "Nothing to do: kbridge runs on the CPU"
        return [Finding("GPU", NOTE, f"none: {driver.detail}", advice)]
    found = [_one_gpu(driver, index) for index in range(len(driver.gpus))]
    if all(finding.status != OK for finding in found):
        return found
    return [*found, _cuda_libraries(), _cuda_jars()]


def _one_gpu(driver: gpu.Driver, index: int) -> Finding:
    told = f"{driver.gpus[index]}; {driver.detail}"
    reason = gpu.refusal(driver, index)
    if reason is not None:
        advice = f"It cannot be used: {reason}. Nothing to do: kbridge runs on the CPU"
        return Finding(f"GPU gpu:{index}", NOTE, told, advice)
    return Finding(f"GPU gpu:{index}", OK, f"{told}; ND4J's CUDA backend has machine code for it")


def _cuda_libraries() -> Finding:
    found = cuda.find()
    missing = [name for name in cuda.LIBRARIES if name not in found]
    if missing:
        advice = f"For device='gpu': pip install 'kbridge[cuda]' (about {cuda.WHEELS_MB} MB)"
        return Finding("CUDA libraries", NOTE, f"not found: {', '.join(missing)}", advice)
    folders = dict.fromkeys(str(path.parent) for path in found.values())
    return Finding("CUDA libraries", OK, ", ".join(folders))


def _cuda_jars() -> Finding:
    absent = jars.absent(jars.runtime_artifacts("gpu"))
    if absent:
        size = sum(a.size for a in absent) / 1e6
        advice = f"For device='gpu': kbridge jars --device gpu ({size:.0f} MB)"
        return Finding("CUDA backend", NOTE, f"{len(absent)} libraries are missing", advice)
    return Finding("CUDA backend", OK, f"all in {jars.local_repository()}")


@_check
def _memory() -> list[Finding]:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    meminfo = Path("/proc/meminfo")
    free = ""
    if meminfo.is_file():
        fields = dict(line.split(":", 1) for line in meminfo.read_text("utf-8").splitlines())
        free = f", {int(fields['MemAvailable'].split()[0]) / 1e6:.1f} GB available"
    return [Finding("memory", OK, f"{total:.1f} GB{free}")]


@_check
def _disk() -> list[Finding]:
    found = []
    for name, wanted in (("here", Path.cwd()), ("of the Java libraries", jars.local_repository())):
        folder = next(p for p in (wanted, *wanted.parents) if p.is_dir())
        free = shutil.disk_usage(folder).free / 1e9
        status, advice = (OK, "") if free > 1 else (NOTE, "Free some: bundles and jars need room")
        found.append(Finding(f"disk {name}", status, f"{free:.1f} GB free in {folder}", advice))
    return found


@_check
def _graphviz() -> list[Finding]:
    program = shutil.which("dot")
    if program is None:
        advice = "For `kbridge plot`: sudo apt-get install graphviz (or see https://graphviz.org)"
        return [Finding("GraphViz", NOTE, "no program named dot", advice)]
    done = subprocess.run([program, "-V"], capture_output=True, text=True, timeout=30, check=False)
    return [Finding("GraphViz", OK, (done.stderr or done.stdout).strip() or program)]


def healthy(findings: list[Finding]) -> bool:
    """Whether nothing is missing that kbridge does not run without."""
    return all(finding.status != MISSING for finding in findings)


def as_dicts(findings: list[Finding]) -> list[dict[str, str]]:
    """Returns the findings as JSON can hold them."""
    return [asdict(finding) for finding in findings]


def render(findings: list[Finding]) -> RenderableType:
    """Returns the findings as a table."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    styles = {OK: ("ok", "green"), NOTE: ("note", "yellow"), MISSING: ("MISSING", "bold red")}
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        told = Text(finding.found)
        if finding.advice:
            told.append(f"\n{finding.advice}", "italic")
        table.add_row(Text(*styles[finding.status]), finding.name, told)
    verdict = (
        Text("kbridge can run here.", "bold green")
        if healthy(findings)
        else Text("kbridge cannot run here yet: see what is MISSING above.", "bold red")
    )
    return Group(table, Text(), verdict)
