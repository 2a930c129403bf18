"""Tables of the results, as Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import groupby

from benchmarks.harness import ATOL_OF_LARGEST, RTOL, Cell, Timing

_TITLES = {
    "inference": "Inference latency",
    "training": "Training steps",
    "bridge": "Bridge overhead: a model that does nothing",
    "start": "Start: from load to first prediction",
    "export": "Export time",
}
_NOTES = {
    "inference": (
        "One call from an array in to an array out. Python engines are called from Python, NumPy "
        "to NumPy; Java engines are called and timed inside Java, from native memory to native "
        "memory."
    ),
    "training": (
        "One step on one batch: forward, backward, Adam, and the loss as a metric. All begin with "
        "the same weights and have to give Keras's loss in the first step. Keras and kbridge in "
        "Python by `train_on_batch`; in Java kbridge's `Trainer.trainOnBatch` and the `fit` of "
        "Deeplearning4j's own `ComputationGraph` of the same model."
    ),
    "bridge": (
        "What goes in comes out. The first row is the JVM in Python's process (JPype), the second "
        "one in a process of its own (Py4J and shared memory, docs/hosts.md). The first row less "
        "the third is what it costs to cross from Python to Java and back, and for large arrays "
        "what fresh memory for the output costs: Python makes a new array for each call, as the "
        "first NumPy row does; the call in Java "
        "writes to memory it keeps, as the second does."
    ),
    "start": (
        "Each round is a new JVM that has run MobileNet before. The second row loads the bundle "
        "again when the clock has already decided which algorithms are the fastest here."
    ),
    "export": (
        "VGG16, from a live Keras model to a file, against the same arrays written with h5py."
    ),
}


def write(machine: dict[str, str], cells: Sequence[Cell], timing: Timing) -> str:
    """Returns the whole report.

    Args:
        machine: What it ran on.
        cells: All results.
        timing: How it was timed.
    """
    versions = sorted({cell.version for cell in cells if cell.version})
    rows = [*machine.items(), ("libraries", "; ".join(versions))]
    parts = ["# Benchmarks", "Written by `make bench`; [README.md](README.md) says how to read it."]
    parts += ["## Machine", _table(["what", "value"], rows), _method(timing, cells)]
    for section, group in groupby(cells, key=lambda cell: cell.section):
        found = list(group)
        parts += [f"## {_TITLES[section]}", _NOTES[section]]
        if section == "inference":
            parts += ["![latency of each engine](latency.svg)", *_summary(found), *_memory(found)]
        parts.append(_table(*_times(found)))
        parts += _failures(found)
    return "\n\n".join(parts) + "\n"


def line(cell: Cell) -> str:
    """Returns one result in one line, for the terminal."""
    name = f"{cell.workload}, batch {cell.batch}: {_name(cell)}"
    if cell.median is None:
        return f"{name}: {cell.failure}"
    return f"{name}: median {_ms(cell.median)} ms (min {_ms(cell.min)}, p90 {_ms(cell.p90)})"


def ratio(cell: Cell, cells: Iterable[Cell]) -> float | None:
    """Returns the best peer's median over this cell's; above 1, ours is faster.

    Args:
        cell: One of ours; for others there is no ratio.
        cells: Results that have the peers among them; those called from the same language count.
    """
    peers = [
        other.median
        for other in cells
        if (other.workload, other.batch) == (cell.workload, cell.batch)
        and other.engine.language == cell.engine.language
        and not other.engine.ours
        and other.median is not None
    ]
    if not cell.engine.ours or cell.median is None or not peers:
        return None
    return min(peers) / cell.median


def _method(timing: Timing, cells: Sequence[Cell]) -> str:
    counts = {len(cell.round_medians) for cell in cells if cell.round_medians} or {timing.rounds}
    rounds = " to ".join(str(count) for count in sorted({min(counts), max(counts)}))
    paragraphs = (
        f"""Each engine runs in a process of its own. Per model and batch size they take turns:
        {rounds} rounds, forwards and backwards, of blocks of {timing.block_s} s with
        {timing.pause_s} s of rest before each, after {timing.warm_s} s of warming up. Times are in
        milliseconds; the median is that of the rounds' medians, the rest is over all calls of all
        rounds. Before it is timed, an engine has to give the
        numbers that native Keras gives (within {RTOL:g} of each, plus {ATOL_OF_LARGEST:g} of the
        largest).""",
        """**Ratio**: the median of the fastest engine that is not kbridge and is called from the
        same language, over kbridge's; above 1, kbridge is faster. **Spread**: the slowest round's
        median over the fastest's; ratios closer to 1 than that say nothing. **Peak**: the largest
        resident set of the engine's process, its language and libraries included. **Load**: from
        the file to a model, with the libraries imported before in Python, loaded meanwhile in Java.
        **First**: the first prediction.""",
    )
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _summary(cells: Sequence[Cell]) -> list[str]:
    """Returns the ratios alone, one row per workload."""
    titles = list(dict.fromkeys(_name(c) for c in cells if c.engine.ours and c.median is not None))
    rows = []
    for (workload, batch), group in groupby(cells, key=lambda cell: (cell.workload, cell.batch)):
        found = list(group)
        ratios = {_name(cell): ratio(cell, found) for cell in found}
        best = [_fastest(found, language) for language in ("Python", "Java")]
        cols = [f"{ratios[t]:.2f}" if ratios.get(t) else "-" for t in titles]
        rows.append([workload, str(batch), *best, *cols])
    means = [geometric_mean(cells, title) for title in titles]
    means_cols = ["-" if mean is None else f"**{mean:.2f}**" for mean in means]
    rows.append(["**geometric mean**", "", "", "", *means_cols])
    heads = [f"ratio: {title}" for title in titles]
    return [_table(["model", "batch", "fastest peer in Python", "in Java", *heads], rows)]


def geometric_mean(cells: Sequence[Cell], name: str) -> float | None:
    """Returns the geometric mean of an engine's ratios, or None if it has none.

    Args:
        cells: Results of one section.
        name: The engine, as the tables name it.
    """
    ratios = [ratio(cell, cells) for cell in cells if _name(cell) == name]
    found = [value for value in ratios if value is not None]
    return math.exp(sum(map(math.log, found)) / len(found)) if found else None


def _memory(cells: Sequence[Cell]) -> list[str]:
    """Returns peak memory beside that of ONNX Runtime in the same language."""
    ours = [cell for cell in cells if cell.engine.ours and cell.peak_mb]
    rows = []
    for cell in ours:
        peers = [
            other.peak_mb
            for other in cells
            if (other.workload, other.batch) == (cell.workload, cell.batch)
            and other.engine.language == cell.engine.language
            and other.engine.title == "ONNX Runtime"
            and other.peak_mb
        ]
        if peers:
            more = cell.peak_mb / peers[0]
            numbers = (f"{cell.peak_mb:.0f}", f"{peers[0]:.0f}", f"{more:.2f}")
            rows.append([cell.workload, str(cell.batch), _name(cell), *numbers])
    if not rows:
        return []
    heads = ["model", "batch", "engine", "peak MB", "ONNX Runtime's", "times as much"]
    return ["### Peak memory of load and predictions", _table(heads, rows)]


def _fastest(cells: Sequence[Cell], language: str) -> str:
    peers = [
        (cell.median, cell.engine.title)
        for cell in cells
        if cell.median and not cell.engine.ours and cell.engine.language == language
    ]
    return min(peers)[1] if peers else "-"


def _times(cells: Sequence[Cell]) -> tuple[list[str], list[list[str]]]:
    heads = [
        "model",
        "batch",
        "engine",
        "min",
        "median",
        "p90",
        "p99",
        "spread",
        "ratio",
        "peak MB",
        "load s",
        "first s",
    ]
    rows = []
    for cell in cells:
        batch = str(cell.batch) if cell.batch else ""
        if cell.median is None:
            rows.append([cell.workload, batch, _name(cell), *["-"] * 9])
            continue
        found = None if cell.section in ("bridge", "start") else ratio(cell, cells)
        rows.append(
            [
                cell.workload,
                batch,
                _name(cell),
                _ms(cell.min),
                f"**{_ms(cell.median)}**",
                _ms(cell.p90),
                _ms(cell.p99),
                f"{max(cell.round_medians) / min(cell.round_medians):.2f}",
                f"{found:.2f}" if found else "",
                f"{cell.peak_mb:.0f}" if cell.peak_mb else "",
                f"{cell.load_s:.2f}" if cell.load_s is not None else "",
                f"{cell.first_s:.2f}" if cell.first_s is not None else "",
            ]
        )
    return heads, rows


def _failures(cells: Sequence[Cell]) -> list[str]:
    """Returns why cells are empty, each reason once."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for cell in cells:
        if cell.median is None:
            where = f"{cell.workload} {cell.batch}".removesuffix(" 0")
            reasons.setdefault((_name(cell), cell.failure or "not run"), []).append(where)
    if not reasons:
        return []
    items = [f"- {name}: {why} ({', '.join(where)})" for (name, why), where in reasons.items()]
    return ["Empty rows:", "\n".join(items)]


def _name(cell: Cell) -> str:
    return f"{cell.engine.title} ({cell.engine.language})"


def _ms(value: float) -> str:
    return f"{value:.4f}" if value < 0.1 else f"{value:.3f}" if value < 10 else f"{value:.1f}"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(c.replace("|", "\\|") for c in row) + " |" for row in lines)
