#!/usr/bin/env python3
"""Checks every network of keras.applications at its default size; writes the table in parity.md.

Each network has a process of its own, so that memory is given back, and its row is appended to a
file of results at once: a run that was ended goes on where it was. Weights are random ones.

    python scripts/applications_table.py                  # all that have no row yet, then the table
    python scripts/applications_table.py --only VGG16 MobileNet --again
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

TARGET = ROOT / "docs" / "parity.md"
BEGIN, END = "<!-- table: scripts/applications_table.py -->", "<!-- end of the table -->"
RESULTS = ROOT / "out" / "applications.jsonl"
HEADER = """
| network | input | outputs | logits | agrees | check |
| --- | --- | --- | --- | --- | --- |
"""
# NB: all layers' outputs of all samples are held at once; beyond this width that takes too much.
_ONE_BY_ONE = 400


def check(name: str) -> dict[str, Any]:
    """Checks one network in this process and returns its row."""
    import keras

    import kbridge
    from tests.parity.test_applications import images, network

    model = network(name)
    x = images(model, 3)
    started = time.perf_counter()
    report = kbridge.check(model, x, batch_size=1 if x.shape[1] > _ONE_BY_ONE else 3)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    return {
        "network": name,
        "input": list(x.shape[1:]),
        "parameters": model.count_params(),
        "layer_calls": len(report.layers),
        "outputs": report.max_error,
        "logits": max((a.max_rel for a in report.logits), default=None),
        "ok": report.ok,
        "findings": [finding.message for finding in report.findings[:5]],
        "seconds": round(seconds, 1),
        "peak_gib": round(peak, 1),
        "keras": keras.version(),
        "cpu": _cpu(),
    }


def read(results: Path) -> dict[str, dict[str, Any]]:
    """The rows of a file of results by network; a later row replaces an earlier one."""
    if not results.is_file():
        return {}
    rows = [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]
    return {row["network"]: row for row in rows}


def run(names: list[str], results: Path) -> int:
    """Checks networks one after the other, each in a process of its own; returns how many fail."""
    failed = 0
    results.parent.mkdir(parents=True, exist_ok=True)
    for name in names:
        command = [sys.executable, __file__, "--child", name]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            # NB: no row, so the next run tries again.
            print(f"{name}: the process ended with {done.returncode}", file=sys.stderr)
            failed += 1
            continue
        row = json.loads(done.stdout.splitlines()[-1])
        with open(results, "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        print(_line(row), end="", flush=True)
        failed += not row["ok"]
    return failed


def table(rows: dict[str, dict[str, Any]]) -> str:
    """The text between the marks in docs/parity.md."""
    from tests.parity.test_applications import builders

    versions = sorted({f"Keras {row['keras']} on {row['cpu']}" for row in rows.values()})
    count = f"{len(rows)} of {len(builders())} networks, {'; '.join(versions)}."
    return f"\n{count}\n{HEADER}{''.join(_line(rows[name]) for name in sorted(rows))}"


def write(rows: dict[str, dict[str, Any]]) -> None:
    """Puts the table into docs/parity.md."""
    before, _, rest = TARGET.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    TARGET.write_text(before + BEGIN + table(rows) + END + after, encoding="utf-8")
    print(f"wrote {TARGET}")


def _line(row: dict[str, Any]) -> str:
    logits = "" if row["logits"] is None else f"{row['logits']:.1e}"
    cells = (
        row["network"],
        "x".join(map(str, row["input"])),
        f"{row['outputs']:.1e}",
        logits,
        "yes" if row["ok"] else "NO",
        f"{row['seconds']:.0f} s",
    )
    return f"| {' | '.join(map(str, cells))} |\n"


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{models[0] if models else platform.machine()}, {len(os.sched_getaffinity(0))} cores"


def main() -> int:
    """Does what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these networks; all by default")
    parser.add_argument("--again", action="store_true", help="also those that have a row")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the file of rows")
    parser.add_argument("--no-table", action="store_true", help="leave docs/parity.md as it is")
    parser.add_argument("--child", metavar="NAME", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(check(options.child)))
        return 0
    from tests.parity.test_applications import builders

    unknown = sorted(set(options.only or ()) - set(builders()))
    if unknown:
        parser.error(f"expected names of {sorted(builders())}; received {unknown}")
    there = {} if options.again else read(options.results)
    names = [name for name in options.only or sorted(builders()) if name not in there]
    failed = run(names, options.results)
    if not options.no_table:
        write(read(options.results))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
