"""Results of runs as JSON, and what a run keeps of those before it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import Cell, EngineSpec

# What has to be the same for rows of two runs to stand in one table.
_SAME = ("CPU", "memory", "Python", "Java", "ND4J build", "threads of each engine")


class OtherMachineError(Exception):
    """Rows of an earlier run come from another machine or other versions."""


def save(path: Path, machine: Mapping[str, str], cells: Sequence[Cell]) -> None:
    """Writes results; `kept` reads them again.

    Args:
        path: The file.
        machine: What they were measured on.
        cells: The results.
    """
    results = {"machine": dict(machine), "cells": [cell.as_dict() for cell in cells]}
    path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def kept(path: Path, machine: Mapping[str, str]) -> list[Cell]:
    """Returns the results of earlier runs.

    Args:
        path: A file that `save` wrote; without one there are none.
        machine: What this run measures on.

    Raises:
        OtherMachineError: They were measured elsewhere.
    """
    if not path.is_file():
        return []
    results = json.loads(path.read_text(encoding="utf-8"))
    there, here = (
        {key: found.get(key) for key in _SAME} for found in (results["machine"], machine)
    )
    if there != here:
        raise OtherMachineError(
            f"Expected earlier rows of this machine, {here}. Received: rows of {there} in "
            f"{path.name}. Run without --keep, or into another folder with --output."
        )
    return [Cell(**{**cell, "engine": EngineSpec(**cell["engine"])}) for cell in results["cells"]]


def merged(earlier: Sequence[Cell], now: Sequence[Cell], sections: Sequence[str]) -> list[Cell]:
    """Returns all results once, the newer where there are two, in the order of the sections."""
    cells = {_key(cell): cell for cell in earlier}
    cells.update((_key(cell), cell) for cell in now)
    order = {name: number for number, name in enumerate(sections)}
    workloads = list(dict.fromkeys((c.workload, c.batch) for c in cells.values()))
    place = {workload: number for number, workload in enumerate(workloads)}
    return sorted(cells.values(), key=lambda c: (order[c.section], place[c.workload, c.batch]))


def dates(cells: Sequence[Cell]) -> str:
    """Returns when how many rows were measured."""
    counts = Counter(cell.measured for cell in cells)
    return ", ".join(f"{date} ({count} rows)" for date, count in sorted(counts.items()))


def _key(cell: Cell) -> tuple[Any, ...]:
    return (cell.section, cell.workload, cell.batch, cell.engine.title, cell.engine.language)
