"""The report of a check: as an object, a table, JSON, and one HTML page."""

from __future__ import annotations

import io
import json
import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kbridge import errors
from kbridge.parity.compare import (
    ArrayComparison,
    Finding,
    GroupComparison,
    LayerComparison,
)
from kbridge.parity.comparison import ModelComparison
from kbridge.parity.tolerance import Tolerance

if TYPE_CHECKING:
    from rich.console import RenderableType

_TABLE_WIDTH = 110


@dataclass
class ParityReport:
    """Whether native Keras and the JVM give the same numbers.

    Attributes:
        model_name: The Keras model's name.
        tolerance: What counted as equal.
        comparison: All comparisons.
        samples: Number of samples in the inputs; None for a model without an axis of samples.
        generated: Whether the inputs were made by kbridge.
        engine: The JVM's engine, as asked for.
        precision: What the JVM computed products with.
        environment: Versions and machine, by name.
        seconds: How long each side took, by name.
    """

    model_name: str
    tolerance: Tolerance
    comparison: ModelComparison
    samples: int | None = None
    generated: bool = True
    engine: str = "auto"
    precision: str = "float32"
    environment: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether all outputs, logits and layers agree."""
        return not self.findings

    @property
    def outputs(self) -> list[ArrayComparison]:
        """One comparison per output of the model."""
        return self.comparison.outputs.arrays

    @property
    def logits(self) -> list[ArrayComparison]:
        """One comparison per value that feeds a saturating function before an output."""
        return self.comparison.logits.arrays

    @property
    def layers(self) -> list[LayerComparison]:
        """One comparison per layer call, in execution order."""
        return self.comparison.layers

    @property
    def findings(self) -> list[Finding]:
        """Everything that differs: outputs first, then logits, then layers in order."""
        groups: list[GroupComparison] = [
            self.comparison.outputs,
            self.comparison.logits,
            *self.layers,
        ]
        return [finding for group in groups for finding in group.all_findings]

    @property
    def max_error(self) -> float:
        """Largest relative error of the outputs (see `ArrayComparison.max_rel`)."""
        return self.comparison.outputs.max_rel

    @property
    def max_abs_error(self) -> float:
        """Largest absolute error of the outputs."""
        return self.comparison.outputs.max_abs

    @property
    def first_divergence(self) -> LayerComparison | None:
        """The first layer call, in execution order, that does not agree; None if all do."""
        return next((layer for layer in self.layers if not layer.ok), None)

    def raise_if_failed(self) -> None:
        """Raises ParityError with everything that differs, unless all agrees."""
        if self.ok:
            return
        first = self.first_divergence
        where = f"The first layer that diverges is {first.label!r}. " if first else ""
        shown = [f"  - {finding.message}" for finding in self.findings[:20]]
        if len(self.findings) > len(shown):
            shown.append(f"  ... and {len(self.findings) - len(shown)} more")
        raise errors.ParityError(
            f"Expected native Keras and the JVM to agree on {self.model_name!r}. "
            f"Received: {len(self.findings)} differences. {where}\n"
            + "\n".join(shown)
            + "\nLook at the report's layers, or save it as a page with to_html(path)."
        )

    def to_dict(self) -> dict[str, Any]:
        """Returns the report as JSON can hold it; infinite numbers become strings."""
        first = self.first_divergence
        return {
            "ok": self.ok,
            "model": self.model_name,
            "samples": self.samples,
            "generated_inputs": self.generated,
            "engine": self.engine,
            "precision": self.precision,
            "rtol": self.tolerance.rtol,
            "atol": self.tolerance.atol,
            "allow_nan": self.tolerance.allow_nan,
            "max_error": _number(self.max_error),
            "max_abs_error": _number(self.max_abs_error),
            "first_divergence": first.label if first else None,
            "findings": [_finding_dict(finding) for finding in self.findings],
            "outputs": [_array_dict(array) for array in self.outputs],
            "logits": [_array_dict(array) for array in self.logits],
            "layers": [_layer_dict(layer) for layer in self.layers],
            "compared_as_part_of_another_layer": self.comparison.covered,
            "environment": self.environment,
            "seconds": self.seconds,
        }

    def to_json(self, path: str | os.PathLike) -> None:
        """Writes the report as JSON."""
        text = json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False)
        Path(path).write_text(text + "\n", encoding="utf-8")

    def to_html(self, path: str | os.PathLike) -> None:
        """Writes the report as one HTML page that needs no other file and no network."""
        from kbridge.parity.page import render_page

        Path(path).write_text(render_page(self), encoding="utf-8")

    def __rich__(self) -> RenderableType:
        from kbridge.parity.table import render_table

        return render_table(self)

    def __str__(self) -> str:
        from rich.console import Console

        console = Console(file=io.StringIO(), width=_TABLE_WIDTH, color_system=None)
        console.print(self)
        return console.file.getvalue().rstrip()


def _number(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)


def _finding_dict(finding: Finding) -> dict[str, str]:
    return {"kind": finding.kind, "message": finding.message}


def _array_dict(array: ArrayComparison) -> dict[str, Any]:
    worst = None
    if array.worst is not None:
        index, tested, reference = array.worst
        worst = {"index": list(index), "jvm": _plain(tested), "keras": _plain(reference)}
    return {
        "name": array.name,
        "ok": array.ok,
        "dtype": array.dtype,
        "shape": list(array.shape),
        "size": array.size,
        "out_of_tolerance": array.outside,
        "nan_or_inf": array.nonfinite,
        "max_abs_error": _number(array.max_abs),
        "max_rel_error": _number(array.max_rel),
        "max_error_in_tolerances": _number(array.max_ratio),
        "rounding": None if array.rounding is None else _number(array.rounding),
        "worst": worst,
        "findings": [_finding_dict(finding) for finding in array.findings],
    }


def _plain(value: float) -> float | str:
    return _number(value) if isinstance(value, float) else value


def _layer_dict(layer: LayerComparison) -> dict[str, Any]:
    return {
        "scope": layer.scope,
        "call": layer.call,
        "class_name": layer.class_name,
        "ok": layer.ok,
        "findings": [_finding_dict(finding) for finding in layer.findings],
        "values": [_array_dict(array) for array in layer.arrays],
    }
