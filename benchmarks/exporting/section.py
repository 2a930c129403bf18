"""Times the export of VGG16, in a process of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator

from benchmarks.context import Context
from benchmarks.harness import Cell, EngineFailedError, EngineSpec, run_module

NAME = "export"

ENGINES = {
    "kbridge": EngineSpec("kbridge.export", "kbridge", "export", "keras", ours=True),
    "h5py_fsync": EngineSpec("h5py, and fsync as kbridge does", "h5py", "fsync", "keras"),
    "h5py": EngineSpec("h5py", "h5py", "plain", "keras"),
}


def steps(context: Context) -> int:
    """Returns how many steps `run` takes, for the progress bar."""
    return int(context.all)


def run(context: Context) -> Iterator[Cell]:
    """Gives the cells as they are done."""
    if not context.all:
        return
    context.tell("VGG16: exporting")
    cells = {name: Cell(NAME, "VGG16", 0, engine) for name, engine in ENGINES.items()}
    try:
        printed = run_module("benchmarks.exporting.worker", context.timing.rounds)
        for name, times in json.loads(printed.splitlines()[-1]).items():
            cells[name].take([[nanoseconds] for nanoseconds in times])
    except EngineFailedError as e:
        for cell in cells.values():
            cell.failure = str(e)
    yield from cells.values()
    context.advance()
