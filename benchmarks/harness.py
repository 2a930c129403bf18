"""Engines in processes of their own, timed in turns.

Every engine of a cell is loaded first and waits; then they take turns in blocks of about half a
second with a pause before each, forwards and backwards. Call by call alternation, or no pause,
would let one library's spinning threads slow down the next.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.jvm import JavaLauncher
from benchmarks.worker import MARK

ROOT = Path(__file__).resolve().parent.parent
RTOL = 1e-4
ATOL_OF_LARGEST = 1e-5
_PATIENCE_S = 240
_REASON_CHARACTERS = 300


class EngineFailedError(Exception):
    """An engine could not do what it was asked; the message says why."""


@dataclass(frozen=True)
class EngineSpec:
    """An engine as a column of the report.

    Attributes:
        title: Its name in tables.
        runner: Class in `benchmarks.engines`, or ``java:`` and a class of java/bench.
        variant: What the class is told.
        model: Which prepared file it takes: ``bundle``, ``keras`` or ``onnx``.
        ours: Whether it is kbridge.
        language: Who calls it.
        share: What its numbers may differ by, as a share of each and of the largest; None for what
            float32 allows.
    """

    title: str
    runner: str
    variant: str
    model: str
    ours: bool = False
    language: str = "Python"
    share: float | None = None


@dataclass(frozen=True)
class Timing:
    """How blocks are run: seconds per block, pause before each, rounds, seconds of warming up."""

    block_s: float = 0.5
    pause_s: float = 0.3
    rounds: int = 6
    warm_s: float = 2.0
    least_calls: int = 1


@dataclass
class Cell:
    """One engine on one input. Times are in milliseconds; without them, `failure` says why."""

    section: str
    workload: str
    batch: int
    engine: EngineSpec
    failure: str | None = None
    version: str | None = None
    load_s: float | None = None
    first_s: float | None = None
    peak_mb: float | None = None
    worst: float | None = None
    round_medians: list[float] = field(default_factory=list)
    calls: int = 0
    min: float | None = None
    median: float | None = None
    p90: float | None = None
    p99: float | None = None
    measured: str = ""

    def take(self, rounds: Sequence[Sequence[int]]) -> None:
        """Sets the times from those of all rounds, in nanoseconds."""
        pooled = np.concatenate([np.asarray(times) for times in rounds]) / 1e6
        self.round_medians = [float(np.median(times)) / 1e6 for times in rounds]
        self.calls = len(pooled)
        # NB: each round counts once. A block has twice as many calls while the machine is twice as
        # fast, so over all calls two slow rounds of three would be half, and a median either.
        self.min, self.median = float(pooled.min()), float(np.median(self.round_medians))
        self.p90, self.p99 = (float(q) for q in np.quantile(pooled, (0.9, 0.99)))

    def as_dict(self) -> dict[str, Any]:
        """Returns everything, for JSON."""
        return asdict(self)


class Worker:
    """A process that runs one engine."""

    def __init__(self, spec: EngineSpec, model: Path, threads: int, java: JavaLauncher):
        environment = {
            **os.environ,
            "CUDA_VISIBLE_DEVICES": "-1",
            "OMP_NUM_THREADS": str(threads),
            "OPENBLAS_NUM_THREADS": str(threads),
            "TF_CPP_MIN_LOG_LEVEL": "2",
        }
        arguments = [spec.variant or "-", str(model), str(threads)]
        if spec.runner.startswith("java:"):
            command = [*java.command(), "bench.Worker", spec.runner.removeprefix("java:")]
            # NB: the setting that kbridge's Python side makes; docs of the Java side advise it.
            if spec.ours:
                environment["GOMP_SPINCOUNT"] = "2000"
        else:
            command = [sys.executable, "-m", "benchmarks.worker", spec.runner]
            environment["KBRIDGE_CLASSPATH"] = java.kbridge_classpath
        # NB: a file, since a pipe that nobody reads fills up and then stops the process.
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        self._process = subprocess.Popen(
            [*command, *arguments],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self._replies: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()
        try:
            self.started = self._await(_PATIENCE_S)
        except EngineFailedError:
            self.close()
            raise

    def ask(self, *command: object, timeout: float = _PATIENCE_S) -> dict[str, Any]:
        """Sends a command and returns the reply.

        Raises:
            EngineFailedError: The engine failed, or did not answer in time.
        """
        try:
            self._process.stdin.write("\t".join(map(str, command)) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError as e:
            raise EngineFailedError(self._reason()) from e
        return self._await(timeout)

    def peak_mb(self) -> float:
        """Returns the largest resident set that the process has had, in MB."""
        status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii")
        return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) * 1024 / 1e6

    def close(self) -> None:
        """Ends the process."""
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._errors.close()

    def _listen(self) -> None:
        with contextlib.suppress(ValueError):  # closed while it reads
            for line in self._process.stdout:
                if line.startswith(MARK):
                    self._replies.put(line.removeprefix(MARK))
        self._replies.put(None)

    def _await(self, timeout: float) -> dict[str, Any]:
        try:
            reply = self._replies.get(timeout=timeout)
        except queue.Empty:
            self._process.kill()
            self._process.wait()
            raise EngineFailedError(f"no answer within {timeout:.0f} s") from None
        if reply is None:
            raise EngineFailedError(self._reason())
        return json.loads(reply)

    def _reason(self) -> str:
        status = self._process.wait()
        self._errors.seek(0)
        return failure_reason(self._errors.read(), status)


def run_module(module: str, *arguments: object) -> str:
    """Runs a module in a Python process of its own, with Keras on TensorFlow, on the CPU.

    Args:
        module: Name of a module of the benchmarks.
        *arguments: Its command line.

    Returns:
        What it printed.

    Raises:
        EngineFailedError: It failed; the message says why.
    """
    environment = {"KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": "-1"}
    command = [sys.executable, "-m", module, *map(str, arguments)]
    return run_process(command, {**environment, "TF_CPP_MIN_LOG_LEVEL": "2"})


def run_process(command: list[str], environment: dict[str, str]) -> str:
    """Runs a command with more environment variables; returns what it printed.

    Raises:
        EngineFailedError: It failed; the message says why.
    """
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        raise EngineFailedError(failure_reason(done.stderr, done.returncode))
    return done.stdout


def failure_reason(errors: str, status: int) -> str:
    """Returns the line of a program's error output that says best why it ended.

    Args:
        errors: What it wrote to stderr.
        status: Its exit status.
    """
    if status < 0:
        return f"ended by signal {-status}"
    lines = [line.strip() for line in errors.splitlines()]
    java = [
        line
        for line in lines
        if re.match(r"(Caused by: )?[\w.$]+\.[\w$]+(Exception|Error)\b", line)
    ]
    python = [line for line in lines if re.match(r"[\w.]+(Error|Exception|Fail\w*)\b.*:", line)]
    found = (java or python or [line for line in lines if line] or [f"exit status {status}"])[-1]
    found = found.removeprefix("Caused by: ").removeprefix('Exception in thread "main" ')
    short = " ".join(found.split())
    return short if len(short) <= _REASON_CHARACTERS else short[:_REASON_CHARACTERS] + " ..."


def measure(
    cells: Sequence[Cell],
    models: dict[str, Path | str],
    x: np.ndarray,
    expected: np.ndarray,
    threads: int,
    timing: Timing,
    java: JavaLauncher,
    tell: Callable[[str], None] = lambda _: None,
    labels: np.ndarray | None = None,
) -> None:
    """Times engines on one input, in turns; fills the cells in.

    Args:
        cells: One per engine.
        models: For each kind of model file the file, or why there is none.
        x: The input.
        expected: What the model has to answer.
        threads: CPU threads of each engine.
        timing: Blocks and rounds.
        java: Starts JVMs.
        tell: Takes what is being done, for people.
        labels: What engines that train are given beside the input.
    """
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        data = Path(folder, "input")
        np.ascontiguousarray(x, "float32").tofile(data)
        if labels is not None:
            np.ascontiguousarray(labels, "float32").tofile(Path(folder, "labels"))
        running: list[tuple[Cell, Worker]] = []
        for cell in cells:
            tell(f"loading {cell.engine.title}")
            try:
                worker = _start(cell, models, threads, java, stack)
                worker.ask("input", data, ",".join(map(str, x.shape)))
                if labels is not None:
                    shape = ",".join(map(str, labels.shape))
                    worker.ask("labels", Path(folder, "labels"), shape)
                _verify(cell, worker, Path(folder, "output"), expected)
                worker.ask("block", timing.warm_s, timing.least_calls)
            except EngineFailedError as e:
                cell.failure = str(e)
                continue
            running.append((cell, worker))
        for cell, rounds in _in_turns(running, timing, tell):
            cell.take(rounds)
        for cell, worker in running:
            if cell.failure is None:
                cell.peak_mb = worker.peak_mb()


def _start(
    cell: Cell,
    models: dict[str, Path | str],
    threads: int,
    java: JavaLauncher,
    stack: contextlib.ExitStack,
) -> Worker:
    model = models[cell.engine.model]
    if isinstance(model, str):
        raise EngineFailedError(model)
    worker = Worker(cell.engine, model, threads, java)
    stack.callback(worker.close)
    cell.version = worker.started["version"]
    cell.load_s = worker.started["load_s"]
    return worker


def _verify(cell: Cell, worker: Worker, file: Path, expected: np.ndarray) -> None:
    """Compares the engine's answer with what it should be: a wrong answer is not timed."""
    file.unlink(missing_ok=True)
    reply = worker.ask("output", file)
    cell.first_s = reply["first_s"]
    if reply["shape"] != list(expected.shape):
        raise EngineFailedError(f"answers with shape {reply['shape']}, not {list(expected.shape)}")
    answer = np.fromfile(file, "float32").reshape(expected.shape)
    share = cell.engine.share
    rtol, atol = (RTOL, ATOL_OF_LARGEST) if share is None else (share, share)
    allowed = rtol * np.abs(expected) + atol * np.abs(expected).max()
    # NB: not a comparison that NaN would pass.
    if not (np.abs(answer - expected) <= allowed).all():
        wrong = int((~(np.abs(answer - expected) <= allowed)).sum())
        raise EngineFailedError(f"gives wrong numbers: {wrong} of {expected.size} values differ")
    cell.worst = float((np.abs(answer - expected) / np.abs(expected).max()).max())


def _in_turns(
    running: list[tuple[Cell, Worker]], timing: Timing, tell: Callable[[str], None]
) -> Iterator[tuple[Cell, list[list[int]]]]:
    rounds: dict[int, list[list[int]]] = {id(cell): [] for cell, _ in running}
    for number in range(timing.rounds):
        order: Iterable[tuple[Cell, Worker]] = running if number % 2 == 0 else reversed(running)
        for cell, worker in order:
            if cell.failure is not None:
                continue
            tell(f"round {number + 1} of {timing.rounds}: {cell.engine.title}")
            time.sleep(timing.pause_s)
            try:
                reply = worker.ask("block", timing.block_s, timing.least_calls)
            except EngineFailedError as e:
                cell.failure = str(e)
                continue
            rounds[id(cell)].append(reply["ns"])
    for cell, _ in running:
        if cell.failure is None:
            yield cell, rounds[id(cell)]
