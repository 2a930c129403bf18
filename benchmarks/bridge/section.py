"""Times a model that does nothing, called from Python and from Java."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.context import Context
from benchmarks.harness import Cell, EngineSpec, measure, run_module

NAME = "bridge"

ENGINES = (
    EngineSpec("kbridge predict_on_batch", "kbridge", "auto", "bundle", ours=True),
    EngineSpec("kbridge, host='process'", "kbridge-process", "auto", "bundle", ours=True),
    EngineSpec("the same call", "java:HostEngine", "auto", "bundle", ours=True, language="Java"),
    EngineSpec("KBridgeModel.predict", "java:KBridgeEngine", "auto", "bundle", True, "Java"),
    EngineSpec("NumPy copy, new memory", "numpy", "new", "bundle"),
    EngineSpec("NumPy copy, kept memory", "numpy", "kept", "bundle"),
)
_COLUMNS = 250
# Rows of 1000 bytes: what goes in, and comes out.
SIZES = {"1 kB": 1, "40 MB": 40_000}


def steps(context: Context) -> int:
    """Returns how many steps `run` takes, for the progress bar."""
    return len(_sizes(context))


def run(context: Context) -> Iterator[Cell]:
    """Gives the cells as they are done."""
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder, "identity.h5")
        context.tell("identity model: preparing")
        run_module("benchmarks.bridge.prepare", _COLUMNS, bundle)
        for title, rows in _sizes(context).items():
            x = np.random.default_rng(3).random((rows, _COLUMNS), dtype="float32")
            cells = [Cell(NAME, title, rows, engine) for engine in ENGINES]
            timing = replace(context.timing, least_calls=10)
            measure(
                cells,
                {"bundle": bundle},
                x,
                x,
                context.threads,
                timing,
                context.java,
                lambda text, title=title: context.tell(f"identity model, {title}: {text}"),
            )
            yield from cells
            context.advance()


def _sizes(context: Context) -> dict[str, int]:
    return {"1 kB": SIZES["1 kB"]} if context.quick else SIZES
