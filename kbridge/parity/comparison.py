"""Comparing one batch of a model: outputs, logits, and every layer's outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kbridge.parity.compare import (
    Finding,
    GroupComparison,
    LayerComparison,
    compare_groups,
)
from kbridge.parity.logits import Logits, find_logits
from kbridge.parity.recording import Recording
from kbridge.parity.tolerance import Tolerance

# Layer outputs asked of the JVM at once: bounds what both sides hold beside the native recording.
_GROUP_BYTES = 256 << 20

Values = Callable[[list[str]], Mapping[str, np.ndarray]]
"""Gives the JVM's values of one group, by their names."""


@dataclass
class ModelComparison:
    """How a model's numbers compare.

    Attributes:
        outputs: The model's outputs.
        logits: What feeds the functions that saturate, for the outputs that have one.
        layers: Each layer call in execution order.
        covered: Layer calls inside of layers that are compared as a whole.
    """

    outputs: GroupComparison = field(default_factory=GroupComparison)
    logits: GroupComparison = field(default_factory=GroupComparison)
    layers: list[LayerComparison] = field(default_factory=list)
    covered: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether all outputs, logits and layers agree."""
        return self.outputs.ok and self.logits.ok and all(layer.ok for layer in self.layers)

    def merge(self, other: ModelComparison) -> None:
        """Adds what the next batch gave."""
        self.outputs.merge(other.outputs)
        self.logits.merge(other.logits)
        mine = {(layer.scope, layer.call): layer for layer in self.layers}
        for layer in other.layers:
            if (layer.scope, layer.call) in mine:
                mine[layer.scope, layer.call].merge(layer)
            else:
                self.layers.append(layer)
        self.covered.extend(label for label in other.covered if label not in self.covered)


def wanted_calls(spec: Mapping[str, Any]) -> set[tuple[str, int]]:
    """Returns the layer calls whose outputs the bundle tells."""
    return {(entry["scope"], entry["call"]) for entry in spec["layer_outputs"]}


def wanted_taps(spec: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Returns the layer calls inside of which logits have to be recorded."""
    return [logits.layer for logits in find_logits(spec) if logits.measured is None]


def layer_groups(spec: Mapping[str, Any], recording: Recording) -> list[list[Mapping[str, Any]]]:
    """Splits the bundle's `layer_outputs` into groups of bounded size, in execution order."""
    groups: list[list[Mapping[str, Any]]] = [[]]
    size = 0
    for entry in spec["layer_outputs"]:
        outputs = recording.layers.get((entry["scope"], entry["call"]), [])
        size += sum(array.nbytes for array in outputs)
        if size > _GROUP_BYTES and groups[-1]:
            groups.append([])
            size = sum(array.nbytes for array in outputs)
        groups[-1].append(entry)
    return groups


def group_names(spec: Mapping[str, Any], groups: list[list[Mapping[str, Any]]]) -> list[list[str]]:
    """Returns the values to ask the JVM for, one list per group; logits come with the last one."""
    names = [[name for entry in group for name in entry["values"]] for group in groups]
    names[-1].extend(logits.value for logits in find_logits(spec))
    return [list(dict.fromkeys(group)) for group in names]


def compare_batch(
    spec: Mapping[str, Any],
    recording: Recording,
    outputs: list[np.ndarray],
    values: Values,
    tolerance: Tolerance,
) -> ModelComparison:
    """Compares everything of one batch.

    Args:
        spec: The bundle's spec.
        recording: What native Keras gave.
        outputs: The JVM's flat outputs.
        values: Gives the JVM's values inside the model.
        tolerance: What still counts as equal.

    Returns:
        The comparison.
    """
    result = ModelComparison()
    result.outputs = _compare_outputs(spec, recording, outputs, tolerance)
    groups = layer_groups(spec, recording)
    for index, names in enumerate(group_names(spec, groups)):
        tested = values(names)
        result.layers.extend(_compare_layer(e, recording, tested, tolerance) for e in groups[index])
        if index == len(groups) - 1:
            result.logits = _compare_logits(spec, recording, tested, tolerance)
    _add_uncovered(result, spec, recording)
    return result


def _compare_outputs(
    spec: Mapping[str, Any], recording: Recording, outputs: list[np.ndarray], tolerance: Tolerance
) -> GroupComparison:
    names = [output["name"] for output in spec["outputs"]]
    group = compare_groups(
        dict(zip(_padded(names, len(outputs)), outputs, strict=True)),
        dict(zip(_padded(names, len(recording.outputs)), recording.outputs, strict=True)),
        tolerance,
    )
    if recording.structure != spec["output_structure"]:
        group.findings.append(
            Finding(
                "names",
                f"Expected outputs nested as {recording.structure}. "
                f"Received: {spec['output_structure']}.",
            )
        )
    return group


def _compare_layer(
    entry: Mapping[str, Any],
    recording: Recording,
    tested: Mapping[str, np.ndarray],
    tolerance: Tolerance,
) -> LayerComparison:
    layer = LayerComparison(
        scope=entry["scope"], call=entry["call"], class_name=entry["class_name"]
    )
    reference = recording.layers.get((entry["scope"], entry["call"]))
    if reference is None:
        message = f"{layer.label}: expected this call in native Keras. Received: no such call."
        layer.findings.append(Finding("count", message))
        return layer
    # NB: numbered, since a layer may give one value twice.
    values = [f"{i}: {name}" for i, name in enumerate(entry["values"])]
    group = compare_groups(
        {label: tested[name] for label, name in zip(values, entry["values"], strict=True)},
        dict(zip(_padded(values, len(reference)), reference, strict=True)),
        tolerance,
    )
    layer.findings, layer.arrays = group.findings, group.arrays
    return layer


def _compare_logits(
    spec: Mapping[str, Any],
    recording: Recording,
    tested: Mapping[str, np.ndarray],
    tolerance: Tolerance,
) -> GroupComparison:
    reference, given = {}, {}
    for logits in find_logits(spec):
        native = native_logits(logits, recording)
        if native is not None:
            label = f"{logits.output} before {logits.op}"
            reference[label], given[label] = native, tested[logits.value]
    return compare_groups(given, reference, tolerance)


def native_logits(logits: Logits, recording: Recording) -> np.ndarray | None:
    """Finds the native logits; None where a layer computes them inside of its own code."""
    if logits.measured is None:
        return recording.logits.get(logits.layer)
    call, place = logits.measured
    outputs = recording.layers.get(call, [])
    return outputs[place] if place < len(outputs) else None


def _padded(names: list[str], count: int) -> list[str]:
    return names[:count] + [f"#{i}" for i in range(len(names), count)]


def _add_uncovered(result: ModelComparison, spec: Mapping[str, Any], recording: Recording) -> None:
    """Accounts for native layer calls that the bundle does not tell."""
    told = wanted_calls(spec)
    scopes = {scope for scope, _ in told}
    for scope, call in recording.calls:
        if (scope, call) in told:
            continue
        layer = LayerComparison(scope=scope, call=call)
        parts = scope.split("/")
        if any("/".join(parts[:i]) in scopes for i in range(1, len(parts))):
            result.covered.append(layer.label)
            continue
        message = f"{layer.label}: expected the bundle to tell its outputs. Received: none."
        layer.findings.append(Finding("names", message))
        result.layers.append(layer)
