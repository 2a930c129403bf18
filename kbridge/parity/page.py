"""The report of a check as one HTML page with a plot of the error per layer."""

from __future__ import annotations

import io
import math
import re
from typing import TYPE_CHECKING

import jinja2
import matplotlib as mpl
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kbridge.parity.table import describe_inputs

if TYPE_CHECKING:
    from kbridge.parity.report import ParityReport

# The plot's range, as multiples of the tolerance: what is outside is drawn at its edge.
_LOWEST, _HIGHEST = 1e-6, 1e6
_GOOD, _BAD, _INK, _FAINT = "#0f766e", "#dc2626", "#334155", "#cbd5e1"


def render_page(report: ParityReport) -> str:
    """Returns the page's text."""
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("kbridge.parity", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters.update(small=_small, width=_bar_width)
    return templates.get_template("report.html.j2").render(
        report=report,
        inputs=describe_inputs(report),
        plot=_svg(error_plot(report)) if report.layers else "",
    )


def error_plot(report: ParityReport) -> Figure:
    """Draws each layer's largest error, as a multiple of the tolerance, on a log scale.

    Args:
        report: A report with layers.

    Returns:
        A Matplotlib figure.
    """
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    axes = figure.add_subplot()
    positions = range(len(report.layers))
    heights = [_clipped(layer.max_ratio) for layer in report.layers]
    colors = [_GOOD if layer.ok else _BAD for layer in report.layers]
    size = 26 if len(heights) <= 120 else 10
    if len(heights) <= 200:  # more stems would run together
        axes.vlines(positions, _LOWEST, heights, colors=colors, linewidth=1, alpha=0.25)
    axes.scatter(positions, heights, s=size, c=colors, zorder=3, linewidths=0)
    axes.axhline(1, color=_BAD, linewidth=1.2, linestyle=(0, (5, 3)))
    axes.text(
        0.005, 1.35, "tolerance", color=_BAD, fontsize=9, transform=axes.get_yaxis_transform()
    )
    _mark_first(axes, report)
    _style(axes, report, heights)
    return figure


def _mark_first(axes: Axes, report: ParityReport) -> None:
    first = report.first_divergence
    if first is None:
        return
    at = next(i for i, layer in enumerate(report.layers) if layer is first)
    left = at < len(report.layers) / 2
    axes.axvline(at, color=_BAD, linewidth=0.8, alpha=0.5)
    axes.annotate(
        f"first divergence: {first.label}",
        (at, 1),
        xycoords=("data", "axes fraction"),
        xytext=(-3 if left else 3, 4),
        textcoords="offset points",
        ha="left" if left else "right",
        color=_BAD,
        fontsize=10,
        fontweight="bold",
    )


def _style(axes: Axes, report: ParityReport, heights: list[float]) -> None:
    axes.set_yscale("log")
    axes.minorticks_off()
    axes.set_ylim(_LOWEST, max(10.0, 10 * max(heights)))
    axes.set_xlim(-0.8, len(heights) - 0.2)
    axes.set_ylabel("largest error, in tolerances", color=_INK)
    if len(heights) <= 24:
        names = [layer.label for layer in report.layers]
        axes.set_xticks(range(len(names)), names, rotation=35, ha="right", rotation_mode="anchor")
    else:
        axes.set_xlabel("layer call, in execution order", color=_INK)
    axes.tick_params(colors=_INK, labelsize=9)
    axes.grid(axis="y", color=_FAINT, linewidth=0.5, alpha=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(_FAINT)


def _clipped(ratio: float) -> float:
    return min(max(ratio, _LOWEST), _HIGHEST)


def _svg(figure: Figure) -> Markup:
    """The figure as an SVG element to stand in a page, with its text as text."""
    stream = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    options = {
        "svg.fonttype": "none",
        "svg.hashsalt": "kbridge",
        "font.family": "sans-serif",
        "font.sans-serif": ["Helvetica", "Arial", "DejaVu Sans"],
    }
    with mpl.rc_context(options):
        figure.savefig(stream, format="svg", metadata=nothing, transparent=True)
    # NB: without the XML prolog; its document type is an address that a page must not name.
    return Markup(re.sub(r"^.*?(?=<svg)", "", stream.getvalue(), count=1, flags=re.DOTALL))


def _small(value: float) -> str:
    """A number in few characters."""
    if value == 0:
        return "0"
    if not math.isfinite(value):
        return "∞"
    return f"{value:.3g}" if 1e-3 <= abs(value) < 1e5 else f"{value:.1e}"


def _bar_width(ratio: float) -> int:
    """Percent of a bar that is full at the tolerance, on the plot's log scale."""
    if ratio <= _LOWEST:
        return 0
    return round(100 * min(1.0, math.log10(ratio / _LOWEST) / math.log10(1 / _LOWEST)))
