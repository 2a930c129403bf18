"""Runs the benchmarks and writes the report: ``python -m benchmarks.run`` (or ``make bench``)."""

from __future__ import annotations

import argparse
import os
import tempfile
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks import chart, machine, report, results
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
_RESULTS = "results.json"
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
        sections = [
            section
            for section in (_BY_NAME if options.only else SECTIONS)
            if not options.sections or section.NAME in options.sections
        ]
        bars.update(task, total=sum(section.steps(context) for section in sections))
        described = machine.describe(context.threads)
        options.output.mkdir(parents=True, exist_ok=True)
        try:
            kept = results.kept(options.output / _RESULTS, described) if options.keep else []
        except results.OtherMachineError as e:
            raise SystemExit(str(e)) from e
        names = [section.NAME for section in SECTIONS]
        cells: list[Cell] = []
        for section in sections:
            for cell in section.run(context):
                cell.measured = described["date"]
                cells.append(cell)
                bars.console.print(report.line(cell), markup=False)
                # NB: so that a run which is ended leaves what it has, for one with --keep.
                found = results.merged(kept, cells, names)
                results.save(options.output / _RESULTS, described, found)
            described["load average at the end"] = machine.load_average()
            _write(options.output, described, results.merged(kept, cells, names), context.timing)
    console.print(f"Report: {options.output / 'REPORT.md'}")


def _write(folder: Path, described: dict[str, str], cells: list[Cell], timing: Timing) -> None:
    described = {**described, "measured": results.dates(cells)}
    results.save(folder / _RESULTS, described, cells)
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
        "--sections",
        nargs="+",
        default=[],
        choices=[section.NAME for section in SECTIONS],
        help="only these parts (choices: %(choices)s)",
    )
    parser.add_argument(
        "--keep",
        action="store_true",
        help="keep the rows of earlier runs in the folder that this one does not time",
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
        chosen = options.only or options.engines or options.sections
        partial = options.quick or (chosen and not options.keep)
        options.output = HERE.parent / "out" / "benchmarks" if partial else HERE
    return options


if __name__ == "__main__":
    main()
