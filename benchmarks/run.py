"""Runs the benchmarks and writes the report: ``python -m benchmarks.run`` (or ``make bench``)."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks import chart, machine, report
from benchmarks.bridge import section as bridge_section
from benchmarks.context import Context
from benchmarks.exporting import section as export_section
from benchmarks.harness import Cell, Timing
from benchmarks.inference import section as inference_section
from benchmarks.inference.workloads import WORKLOADS
from benchmarks.jvm import JavaLauncher
from benchmarks.starting import section as start_section
from benchmarks.training import section as training_section
from benchmarks.training.workloads import WORKLOADS as TRAINING_WORKLOADS

HERE = Path(__file__).resolve().parent
SECTIONS = (inference_section, training_section, bridge_section, start_section, export_section)
# Those whose workloads can be asked for by name.
_BY_NAME = (inference_section, training_section)
_NAMES = [workload.name for workload in (*WORKLOADS, *TRAINING_WORKLOADS)]
_QUICK = Timing(block_s=0.05, pause_s=0.02, rounds=1, warm_s=0.1)


def main(arguments: list[str] | None = None) -> None:
    """Runs what the command line asks for."""
    options = _options(arguments)
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with (
        tempfile.TemporaryDirectory() as folder,
        Progress(*columns, TimeElapsedColumn(), console=console) as bars,
    ):
        task = bars.add_task("starting", total=None)
        context = Context(
            quick=options.quick,
            all=options.all,
            only=tuple(options.only),
            engines=tuple(options.engines),
            threads=options.threads,
            timing=_QUICK if options.quick else replace(Timing(), rounds=options.rounds),
            java=JavaLauncher(Path(folder)),
            tell=lambda text: bars.update(task, description=text),
            advance=lambda: bars.advance(task),
        )
        sections = _BY_NAME if options.only else SECTIONS
        bars.update(task, total=sum(section.steps(context) for section in sections))
        described = machine.describe(context.threads)
        cells = []
        for section in sections:
            for cell in section.run(context):
                cells.append(cell)
                bars.console.print(report.line(cell), markup=False)
        described["load average at the end"] = machine.load_average()
    options.output.mkdir(parents=True, exist_ok=True)
    _write(options.output, described, cells, context.timing)
    console.print(f"Report: {options.output / 'REPORT.md'}")


def _write(folder: Path, described: dict[str, str], cells: list[Cell], timing: Timing) -> None:
    results: dict[str, Any] = {"machine": described, "cells": [cell.as_dict() for cell in cells]}
    text = json.dumps(results, indent=1)
    (folder / "results.json").write_text(text + "\n", encoding="utf-8")
    if any(cell.section == inference_section.NAME for cell in cells):
        chart.draw(cells, folder / "latency.svg")
    text = report.write(described, cells, timing)
    (folder / "REPORT.md").write_text(text, encoding="utf-8")


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one small model, for a smoke test")
    parser.add_argument("--all", action="store_true", help="all models, and the time of exports")
    parser.add_argument(
        "--only",
        nargs="+",
        default=[],
        choices=_NAMES,
        metavar="NAME",
        help=f"only these models: {', '.join(_NAMES)}",
    )
    parser.add_argument(
        "--engines",
        nargs="+",
        default=[],
        metavar="TEXT",
        help="only engines with one of these in their title, such as oneDNN",
    )
    parser.add_argument(
        "--threads",
        type=int,
        default=os.cpu_count(),
        help="CPU threads of each engine (default: %(default)s, the number of cores)",
    )
    parser.add_argument("--rounds", type=int, default=Timing().rounds, help="blocks per engine")
    parser.add_argument(
        "--output",
        type=Path,
        help="folder for the report (default: benchmarks/, with --quick or --only out/benchmarks/)",
    )
    options = parser.parse_args(arguments)
    if options.output is None:
        partial = options.quick or options.only or options.engines
        options.output = HERE.parent / "out" / "benchmarks" if partial else HERE
    return options


if __name__ == "__main__":
    main()
