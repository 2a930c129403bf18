"""Times ResNet-50 from load to first prediction, in new JVMs that have run another model."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.context import Context
from benchmarks.harness import Cell, EngineFailedError, EngineSpec, run_module, run_process

NAME = "start"

ENGINES = {
    "first": EngineSpec("KBridge.load, predict", "java", "-", "bundle", True, "Java"),
    "again": EngineSpec("the same, once more", "java", "-", "bundle", True, "Java"),
}


def steps(context: Context) -> int:
    """Returns how many steps `run` takes, for the progress bar."""
    return int(not context.quick)


def run(context: Context) -> Iterator[Cell]:
    """Gives the cells as they are done."""
    if context.quick:
        return
    cells = {name: Cell(NAME, "ResNet-50", 1, engine) for name, engine in ENGINES.items()}
    with tempfile.TemporaryDirectory() as folder:
        context.tell("start of ResNet-50")
        bundles = (Path(folder, "mobilenet.h5"), Path(folder, "resnet50.h5"))
        try:
            run_module("benchmarks.starting.prepare", *bundles)
            rounds = [_once(context, bundles) for _ in range(context.timing.rounds)]
            for name, cell in cells.items():
                cell.take([[times[name]] for times in rounds])
        except EngineFailedError as e:
            for cell in cells.values():
                cell.failure = str(e)
    yield from cells.values()
    context.advance()


def _once(context: Context, bundles: tuple[Path, Path]) -> dict[str, int]:
    """Starts a JVM; returns nanoseconds."""
    told = run_process(
        [*context.java.command(), "bench.Start", str(context.threads), *map(str, bundles)],
        {"OMP_NUM_THREADS": str(context.threads), "GOMP_SPINCOUNT": "2000"},
    )
    return json.loads(told.splitlines()[-1])
