"""What a prediction does, step by step, for `kbridge inspect --plan`."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from kbridge.inspection import shape_text

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

RUNS = 20
"""How often a plan is run to be timed."""

FALLBACK = "ND4J"
"""What the implementations start with that the oneDNN engine left to ND4J."""


def describe_plan(
    path: str | os.PathLike,
    x: Any = None,
    *,
    batch: int = 1,
    runs: int = 0,
    **options: Any,
) -> dict[str, Any]:
    """Compiles a bundle's plan for one batch and tells its steps.

    Args:
        path: The bundle.
        x: The batch; by default random inputs.
        batch: Samples in a batch of random inputs.
        runs: How often to run it, to find out how long each step takes.
        **options: How to load it; see `kbridge.load`.

    Returns:
        A description that JSON can hold.

    Raises:
        InvalidInputError: The inputs do not fit the model.
    """
    from kbridge.bundle import read_bundle
    from kbridge.jvm.loading import load
    from kbridge.jvm.structures import flatten, pack
    from kbridge.parity.samples import sample_inputs

    with read_bundle(path) as bundle:
        structure = bundle.spec["input_structure"]
        if x is None:
            # NB: sizes that the spec leaves open are those of the golden samples, which work.
            known = {name: array.shape for name, array in bundle.golden()[0].items()}
            x = pack(structure, sample_inputs(bundle.spec, known, batch))
    with load(path, **options) as model:
        names = [spec.name for spec in model.inputs]
        steps = model.plan_steps(x, runs)
    arrays = flatten(structure, x, names)
    total = sum(step["microseconds"] for step in steps) if runs else None
    for step in steps:
        if total is not None:
            step["share"] = step["microseconds"] / total if total else 0.0
    return {
        "file": os.fspath(path),
        "model": model.name,
        **{
            key: options[key]
            for key in options
            if key != "calibration" and options[key] is not None
        },
        "inputs": {
            name: list(np.shape(array))
            for name, array in zip(names, arrays, strict=True)
            if array is not None
        },
        "steps": steps,
        "nodes": sum(len(step["members"]) for step in steps),
        "implementations": dict(Counter(step["implementation"] for step in steps).most_common()),
        "nd4j_steps": [s["node"] for s in steps if _fell_back(s)],
        "total_microseconds": total,
    }


def render_plan(told: Mapping[str, Any]) -> RenderableType:
    """Returns tables of what `describe_plan` found."""
    from rich.console import Group

    parts: list[RenderableType] = [_headline(told), _steps(told)]
    if told["total_microseconds"] is not None:
        parts.append(_kinds(told))
    return Group(*parts, _fallbacks(told))


def _headline(told: Mapping[str, Any]) -> RenderableType:
    from rich.text import Text

    given = ", ".join(f"{name} {shape_text(shape)}" for name, shape in told["inputs"].items())
    total = told["total_microseconds"]
    timed = "" if total is None else f", {_time(total)} in all"
    return Text.assemble(
        (told["model"], "bold"),
        f"  {told['file']}, engine {told.get('engine', 'auto')}, for {given}\n"
        f"{len(told['steps'])} steps of {told['nodes']} operations{timed}",
    )


def _steps(told: Mapping[str, Any]) -> Table:
    timed = told["total_microseconds"] is not None
    table = _table("Steps", *(("time", "share") if timed else ()))
    for number, step in enumerate(told["steps"], 1):
        row = [str(number), step["scope"], step["ops"].replace("+", " + "), step["implementation"]]
        if timed:
            row += [_time(step["microseconds"]), f"{step['share']:.1%}"]
        style = "yellow" if told.get("engine") != "nd4j" and _fell_back(step) else None
        table.add_row(*row, style=style)
    return table


def _kinds(told: Mapping[str, Any]) -> Table:
    """Where the time goes, by what is computed at the head of a step and by what."""
    times: Counter[tuple[str, str]] = Counter()
    counts: Counter[tuple[str, str]] = Counter()
    for step in told["steps"]:
        head = next((op for op in step["ops"].split("+") if op != "Pad"), step["ops"])
        kind = (head, step["implementation"])
        times[kind] += step["microseconds"]
        counts[kind] += 1
    from rich.table import Table

    table = Table(title="By kind", title_justify="left", title_style="bold")
    for column, justify in (
        ("operation", "left"),
        ("implementation", "left"),
        ("steps", "right"),
        ("time", "right"),
        ("share", "right"),
    ):
        table.add_column(column, justify=justify, overflow="fold")
    for (head, implementation), spent in times.most_common():
        share = spent / told["total_microseconds"] if told["total_microseconds"] else 0.0
        count = str(counts[head, implementation])
        table.add_row(head, implementation, count, _time(spent), f"{share:.1%}")
    return table


def _fallbacks(told: Mapping[str, Any]) -> RenderableType:
    from rich.text import Text

    fallen = [step for step in told["steps"] if _fell_back(step)]
    if not fallen:
        return Text("no step is left to ND4J")
    ops = Counter(step["ops"] for step in fallen)
    listed = ", ".join(f"{op} ({count})" for op, count in ops.most_common())
    return Text(f"{len(fallen)} of {len(told['steps'])} steps are ND4J's: {listed}")


def _fell_back(step: Mapping[str, Any]) -> bool:
    return step["implementation"].startswith(FALLBACK)


def _time(microseconds: float) -> str:
    if microseconds < 1000:
        return f"{microseconds:.1f} us"
    return f"{microseconds / 1000:.2f} ms"


def _table(title: str, *numbers: str) -> Table:
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("", justify="right")
    for column in ("layer", "computes", "implementation"):
        table.add_column(column, overflow="fold")
    for column in numbers:
        table.add_column(column, justify="right", no_wrap=True)
    return table
