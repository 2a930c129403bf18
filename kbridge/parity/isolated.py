"""A check whose two sides run in separate processes.

Their native libraries cannot get in each other's way, and a crash of one of them is told as one.
The JVM has a process of its own (`kbridge.jvm.process`). Native Keras runs before it in another,
which has ended by then and leaves what it found in files; of a live model, it stays in the calling
process.

The folder in which native Keras leaves it holds, besides the bundle::

    x.npz                 the user's inputs, if there are any
    native.json           what the native side is to do
    case.json             what it found: the bundle and how many batches
    inputs-B.npz          the inputs of batch B
    native-B.npz          the recording of batch B
    moved-B-R.npz         the same with inputs and results of layers changed a little; two runs R
    error.json            why it gave up
"""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import kbridge
from kbridge import errors
from kbridge.bundle import read_bundle
from kbridge.jvm.structures import Structure, pack
from kbridge.parity.case import Case, Flat
from kbridge.parity.check import Progress, Tolerances, make_report
from kbridge.parity.comparison import ModelComparison, compare_batch
from kbridge.parity.recording import Recording, load_arrays, save_arrays
from kbridge.parity.report import ParityReport
from kbridge.parity.rounding import calls_to_move, excuse_rounding
from kbridge.parity.sides import JvmSide, bundle_for, live_model, open_case
from kbridge.parity.tolerance import Tolerance

_TAIL_LINES = 15


def check_isolated(
    model_or_path: Any,
    bundle: str | os.PathLike | None,
    x: Any,
    options: Mapping[str, Any],
    tolerances: Tolerances,
    batch_size: int,
    seed: int,
    say: Progress,
) -> ParityReport:
    """Checks a model with each side in a process of its own; see `kbridge.check`.

    Raises:
        KBridgeError: What a side raised, or how it died.
    """
    with tempfile.TemporaryDirectory(prefix="kbridge-check-") as name:
        folder = Path(name)
        structure = _save_inputs(folder, x)
        request = {"x": structure, "batch_size": batch_size, "seed": seed}
        request["bundle"] = None if bundle is None else os.path.abspath(bundle)
        seconds = {}
        started = time.perf_counter()
        say("running native Keras")
        _native(folder, model_or_path, request)
        seconds["native"] = time.perf_counter() - started
        case = _read_case(folder)
        tolerance = tolerances(case.spec)
        started = time.perf_counter()
        say("running the JVM and comparing layers")
        with JvmSide(case, host="process", **options) as jvm:
            compared = _compare(folder, case, jvm, tolerance)
        seconds["jvm"] = time.perf_counter() - started
        if not all(batch.ok for batch in compared):
            say("asking native Keras how far rounding moves it")
            calls = [sorted(calls_to_move(batch, case.spec)) for batch in compared]
            _native(folder, model_or_path, {**request, "bundle": str(case.bundle), "moved": calls})
            _excuse(folder, case, compared)
        comparison = ModelComparison()
        for batch in compared:
            comparison.merge(batch)
        return make_report(case, comparison, options, tolerance, seconds)


def main(folder: Path) -> None:
    """Runs native Keras; what ``python -m kbridge.parity`` does.

    Args:
        folder: Where its orders are and where it leaves what it found.
    """
    try:
        request = json.loads((folder / "native.json").read_text(encoding="utf-8"))
        _run_native(folder, request["source"], request)
    except errors.KBridgeError as e:
        _write(folder / "error.json", _error_dict(e))
        raise SystemExit(1) from e


def _native(folder: Path, model_or_path: Any, request: dict[str, Any]) -> None:
    """Runs the native side: a file's in a process of its own, a live model's here."""
    if isinstance(model_or_path, (str, os.PathLike)):
        request["source"] = os.path.abspath(model_or_path)
        _write(folder / "native.json", request)
        _run_process(folder)
    else:
        _run_native(folder, model_or_path, request)


def _run_native(folder: Path, source: Any, request: Mapping[str, Any]) -> None:
    model = live_model(source)
    x = None
    if request["x"] is not None:
        x = pack(request["x"], list(load_arrays(folder / "x.npz")[0].values()))
    with bundle_for(model, request["bundle"], x) as bundle:
        if request["bundle"] is None:
            bundle = bundle.rename(folder / "model.h5")
        case, native = open_case(model, bundle, x, request["batch_size"], request["seed"])
    for number, batch in enumerate(case.batches):
        if request.get("moved"):
            if native.keeps_states:
                native.record(batch)
            calls = {(scope, call) for scope, call in request["moved"][number]}
            for run, recording in enumerate(native.record_moved(batch, calls)):
                recording.save(folder / f"moved-{number}-{run}.npz")
            continue
        given = {str(i): array for i, array in enumerate(batch) if array is not None}
        save_arrays(folder / f"inputs-{number}.npz", given)
        native.record(batch).save(folder / f"native-{number}.npz")
    told = {"bundle": str(bundle), "batches": len(case.batches), "samples": case.samples}
    _write(folder / "case.json", {**told, "generated": case.generated})


def _read_case(folder: Path) -> Case:
    told = json.loads((folder / "case.json").read_text(encoding="utf-8"))
    with read_bundle(told["bundle"]) as bundle:
        spec, provenance = bundle.spec, bundle.provenance
    batches = []
    for path in _numbered(folder, "inputs", told["batches"]):
        given = load_arrays(path)[0]
        batches.append([given.get(str(i)) for i in range(len(spec["inputs"]))])
    return Case(Path(told["bundle"]), spec, provenance, batches, told["samples"], told["generated"])


def _compare(folder: Path, case: Case, jvm: JvmSide, tolerance: Tolerance) -> list[ModelComparison]:
    compared = []
    for batch, path in zip(
        case.batches, _numbered(folder, "native", len(case.batches)), strict=True
    ):
        recording = Recording.load(path)
        values = functools.partial(jvm.values, batch)
        outputs = jvm.outputs(batch)
        compared.append(compare_batch(case.spec, recording, outputs, values, tolerance))
    return compared


def _excuse(folder: Path, case: Case, compared: list[ModelComparison]) -> None:
    """Excuses what native Keras's own rounding moves as far."""
    for number, batch in enumerate(compared):
        first, second = (Recording.load(folder / f"moved-{number}-{run}.npz") for run in (0, 1))
        excuse_rounding(batch, case.spec, (first, second))


def _run_process(folder: Path) -> None:
    """Runs native Keras in a new Python process and raises what it raised."""
    root = str(Path(kbridge.__file__).resolve().parent.parent)
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [sys.executable, "-m", "kbridge.parity", str(folder)],
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    told = folder / "error.json"
    if told.is_file():
        raise _error_of(json.loads(told.read_text(encoding="utf-8")))
    if done.returncode:
        raise errors.KBridgeError(_obituary(done.returncode, done.stdout))


def _obituary(status: int, output: str) -> str:
    how = f"ended with exit status {status}"
    if status < 0:
        how = f"was ended by the signal {signal.Signals(-status).name}"
        if -status == signal.SIGKILL:
            how += ", most often because memory ran out (a smaller batch_size needs less)"
    tail = "\n  ".join(output.strip().splitlines()[-_TAIL_LINES:]) or "nothing"
    return (
        f"Expected the process that runs native Keras to finish. Received: it {how}. "
        f"The last it said:\n  {tail}\nRun the check without isolation to look into it."
    )


def _error_dict(e: errors.KBridgeError) -> dict[str, Any]:
    problems = list(e.problems) if isinstance(e, errors.UnsupportedModelError) else None
    return {"class": type(e).__name__, "message": str(e), "problems": problems}


def _error_of(told: Mapping[str, Any]) -> errors.KBridgeError:
    if told["problems"] is not None:
        problems = [errors.Problem(*problem) for problem in told["problems"]]
        return errors.UnsupportedModelError(problems)
    kind = getattr(errors, told["class"], errors.KBridgeError)
    return kind(told["message"])


def _save_inputs(folder: Path, x: Any) -> Structure | None:
    """Writes the user's inputs and returns how they nest."""
    if x is None:
        return None
    flat: Flat = []
    structure = _nest(x, flat)
    save_arrays(folder / "x.npz", {str(i): array for i, array in enumerate(flat)})
    return structure


def _nest(x: Any, flat: Flat) -> Structure:
    if isinstance(x, Mapping):
        return {key: _nest(part, flat) for key, part in x.items()}
    if isinstance(x, (list, tuple)) and any(getattr(part, "ndim", 0) for part in x):
        return [_nest(part, flat) for part in x]
    from kbridge.jvm.arrays import as_numpy

    flat.append(as_numpy(x))
    return len(flat) - 1


def _numbered(folder: Path, name: str, count: int) -> list[Path]:
    return [folder / f"{name}-{number}.npz" for number in range(count)]


def _write(path: Path, document: Any) -> None:
    path.write_text(json.dumps(document), encoding="utf-8")
