"""Times a training step of every engine on every workload."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.context import Context
from benchmarks.harness import Cell, EngineFailedError, EngineSpec, measure, run_module
from benchmarks.inference.workloads import Workload
from benchmarks.training.prepare import FILES
from benchmarks.training.workloads import WORKLOADS

NAME = "training"

ENGINES = (
    EngineSpec("kbridge train_on_batch", "kbridge-training", "auto", "bundle", ours=True),
    EngineSpec("kbridge Trainer", "java:KBridgeTrainer", "auto", "bundle", True, "Java"),
    EngineSpec("Keras train_on_batch", "keras-training", "-", "keras"),
    EngineSpec("stock DL4J fit", "java:StockTrainer", "", "bundle", language="Java"),
)


def plan(context: Context) -> list[Workload]:
    """Returns which workloads are timed."""
    if context.only:
        return [workload for workload in WORKLOADS if workload.name in context.only]
    return [*WORKLOADS[:1]] if context.quick else [*WORKLOADS]


def steps(context: Context) -> int:
    """Returns how many steps `run` takes, for the progress bar."""
    return len(plan(context))


def run(context: Context) -> Iterator[Cell]:
    """Gives the cells as they are done."""
    for workload in plan(context):
        (batch,) = workload.batches
        cells = [Cell(NAME, workload.title, batch, engine) for engine in context.wanted(ENGINES)]
        with tempfile.TemporaryDirectory() as folder:
            context.tell(f"{workload.title}, training: preparing")
            try:
                run_module("benchmarks.training.prepare", workload.name, folder, batch)
            except EngineFailedError as e:
                for cell in cells:
                    cell.failure = str(e)
            else:
                measure(
                    cells,
                    {kind: Path(folder, file) for kind, file in FILES.items()},
                    np.load(Path(folder, "input.npy")),
                    np.load(Path(folder, "answer.npy")),
                    context.threads,
                    context.timing,
                    context.java,
                    lambda text, title=workload.title: context.tell(f"{title}, training: {text}"),
                    labels=np.load(Path(folder, "labels.npy")),
                )
        yield from cells
        context.advance()
