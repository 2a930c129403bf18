"""The report of a check as tables for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from kbridge.parity.compare import GroupComparison, LayerComparison

if TYPE_CHECKING:
    from kbridge.parity.report import ParityReport

# Longer tables show the layers around the first divergence and at both ends.
_MOST_LAYERS = 40
_MOST_FINDINGS = 12


def render_table(report: ParityReport) -> RenderableType:
    """Returns the tables of a report."""
    parts: list[RenderableType] = [_headline(report), _outputs(report)]
    if report.layers:
        parts.append(_layers(report))
    parts.extend(_findings(report))
    return Group(*parts)


def describe_inputs(report: ParityReport) -> str:
    """Says what the model was run on, in a few words."""
    count = "1 run" if report.samples is None else f"{report.samples} samples"
    inputs = f"{count} of random inputs" if report.generated else f"{count} of the given inputs"
    full = report.precision == "float32"
    return inputs if full else f"{inputs}, products in {report.precision}"


def _headline(report: ParityReport) -> Text:
    verdict = ("EQUAL", "bold green") if report.ok else ("DIFFERENT", "bold red")
    tolerance = report.tolerance
    text = Text.assemble(
        verdict,
        f"  {report.model_name}: native Keras and the JVM on {describe_inputs(report)}\n",
        (f"tolerance: {tolerance}", "dim"),
    )
    first = report.first_divergence
    if first is not None:
        text.append("\nfirst layer that diverges: ")
        text.append(f"{first.label} ({first.class_name})", "bold red")
    return text


def _new_table(title: str, *leading: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", expand=False)
    for name in leading:
        table.add_column(name, overflow="fold")
    for name in ("max abs", "max rel", "of tolerance", "outside"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    return table


def _cells(group: GroupComparison) -> list[str | Text]:
    outside = f"{group.outside}/{group.size}" if group.outside else "0"
    mark = Text("ok", "green") if group.ok else Text("DIFFERS", "bold red")
    if group.rounded:
        mark = Text("rounding", "yellow")
    ratio = f"{group.max_ratio:.2g}" if group.max_ratio < 1e6 else f"{group.max_ratio:.0e}"
    return [
        *(f"{e:.1e}" if e else "0" for e in (group.max_abs, group.max_rel)),
        ratio,
        outside,
        mark,
    ]


def _outputs(report: ParityReport) -> Table:
    table = _new_table("Outputs", "output", "shape", "dtype")
    for array in (*report.outputs, *report.logits):
        cells = _cells(GroupComparison(arrays=[array]))
        table.add_row(escape(array.name), str(list(array.shape)), array.dtype, *cells)
    return table


def _layers(report: ParityReport) -> Table:
    failed = sum(not layer.ok for layer in report.layers)
    table = _new_table(f"Layers: {len(report.layers)}, of which {failed} differ", "layer", "class")
    previous = -1
    for index in _shown(report):
        if index != previous + 1:
            table.add_row(Text(f"... {index - previous - 1} layers", "dim"))
        _add_layer(table, report.layers[index])
        previous = index
    return table


def _add_layer(table: Table, layer: LayerComparison) -> None:
    table.add_row(escape(layer.label), layer.class_name, *_cells(layer))


def _shown(report: ParityReport) -> list[int]:
    layers = report.layers
    if len(layers) <= _MOST_LAYERS:
        return list(range(len(layers)))
    worst = sorted(range(len(layers)), key=lambda i: (layers[i].ok, -layers[i].max_ratio))
    first = report.first_divergence
    at = next((i for i, layer in enumerate(layers) if layer is first), 0)
    around = range(max(0, at - 3), min(len(layers), at + 4))
    ends = {0, 1, 2, *range(len(layers) - 5, len(layers))}
    chosen = ends.union(around)
    chosen.update(worst[: _MOST_LAYERS - len(chosen)])
    return sorted(chosen)


def _findings(report: ParityReport) -> list[Text]:
    findings = report.findings
    lines = [Text(f"- {finding.message}") for finding in findings[:_MOST_FINDINGS]]
    if len(findings) > len(lines):
        lines.append(Text(f"- ... and {len(findings) - len(lines)} more differences"))
    return lines
