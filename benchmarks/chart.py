"""The picture of the report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness import Cell

_OURS = ("#0b6e4f", "#2fa37c", "#7cc8ad", "#b9e2d3", "#3f7cac", "#95afba")
_PEERS = ("#b4552d", "#d9a441", "#8a8fb5", "#5b6c8f", "#a0a0a0")


def draw(cells: Sequence[Cell], path: Path) -> None:
    """Draws the latency of each engine, a panel for each model and batch size.

    Args:
        cells: All results; those of inference are drawn.
        path: The SVG file.
    """
    # NB: not pyplot, which would look for a display.
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    matplotlib.rcParams["svg.hashsalt"] = "kbridge"
    timed = [cell for cell in cells if cell.section == "inference"]
    panels = list(dict.fromkeys((cell.workload, cell.batch) for cell in timed))
    engines = list(dict.fromkeys(cell.engine for cell in timed if cell.median is not None))
    colours = {engine: _OURS[i] for i, engine in enumerate(e for e in engines if e.ours)}
    colours |= {engine: _PEERS[i] for i, engine in enumerate(e for e in engines if not e.ours)}
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(5.5 * columns, 0.6 + (0.6 + 0.24 * len(engines)) * rows))
    FigureCanvasSVG(figure)
    axes = figure.subplots(rows, columns, squeeze=False).flat
    for axis in list(axes)[len(panels) :]:
        axis.remove()
    for axis, panel in zip(figure.axes, panels, strict=True):
        found = {cell.engine: cell for cell in timed if (cell.workload, cell.batch) == panel}
        for i, engine in enumerate(reversed(engines)):
            cell = found.get(engine)
            if cell is None or cell.median is None:
                continue
            tail = [[0], [max(0.0, cell.p90 - cell.median)]]
            axis.barh(i, cell.median, color=colours[engine], xerr=tail, ecolor="#404040")
            axis.annotate(
                f" {cell.median:.3g}", (max(cell.median, cell.p90), i), va="center", fontsize=7
            )
        names = [f"{engine.title} ({engine.language})" for engine in reversed(engines)]
        axis.set_yticks(range(len(engines)), names, fontsize=7)
        axis.set_xscale("log")
        axis.margins(x=0.15)
        axis.tick_params(axis="x", labelsize=7)
        axis.set_title(f"{panel[0]}, batch {panel[1]}", fontsize=9)
        axis.spines[["top", "right"]].set_visible(False)
    figure.suptitle("Milliseconds per call: median, with p90 (less is better)", fontsize=10)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
