"""Variables that steps read and update and that are no weights of the model."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
from keras.src.random import seed_generator

from kbridge import errors
from kbridge.export.signature import unique_names
from kbridge.export.steps.compiled import Compiled


@dataclasses.dataclass
class StepVariable:
    """A variable that starts anew with each training.

    Attributes:
        name: Its name in the document.
        variable: The variable.
        kind: "metric" for a metric's, "state" for that of Keras's global seed generator.
        initial: What it starts with.
    """

    name: str
    variable: keras.Variable
    kind: str
    initial: np.ndarray


@dataclasses.dataclass
class MetricEntry:
    """A metric and what it is of.

    Attributes:
        metric: The metric.
        output: The output's name; None for the loss over all.
        weighted: Whether sample weights count.
        variables: Names of its variables.
    """

    metric: keras.metrics.Metric
    output: str | None
    weighted: bool
    variables: list[str]


class StepVariables:
    """Names of all variables of a step."""

    def __init__(self, weights: dict[int, str], compiled: Compiled):
        self.metrics = list(_metrics(compiled))
        self.extra: list[StepVariable] = []
        self._of_metrics: set[str] = set()
        self._names = dict(weights)
        self._initial = compiled.initial
        # NB: made now if it is not there, since a variable made in a trace has no value.
        seed_generator.global_seed_generator()
        for entry, prefix in zip(self.metrics, _prefixes(self.metrics), strict=True):
            entry.variables = self._add(entry.metric.variables, prefix, "metric")

    def name_of(self, variable: keras.Variable) -> str:
        """The name of a variable that a step reads."""
        if id(variable) not in self._names:
            if variable is not seed_generator.global_seed_generator().state:
                raise errors.ExportError(
                    f"Expected every variable that training reads to be tracked by a layer or a "
                    f"metric of compile(). Received: {variable.path!r}. Assign it to an attribute "
                    "of a layer (self.x = ...)."
                )
            self._add([variable], "random/global_seed", "state")
        return self._names[id(variable)]

    def is_metric(self, name: str) -> bool:
        """Whether a variable is a metric's."""
        return name in self._of_metrics

    def _add(self, variables: list[keras.Variable], prefix: str, kind: str) -> list[str]:
        taken = list(self._names.values())
        names = unique_names([*taken, *(f"{prefix}/{v.name}" for v in variables)])[len(taken) :]
        for name, variable in zip(names, variables, strict=True):
            self._names[id(variable)] = name
            value = self._initial.get(id(variable))
            # NB: not `variable.value`, which is symbolic while a step is traced.
            value = keras.ops.convert_to_numpy(variable._value) if value is None else value
            self.extra.append(StepVariable(name, variable, kind, value))
        if kind == "metric":
            self._of_metrics.update(names)
        return names


def _prefixes(entries: list[MetricEntry]) -> list[str]:
    named = [(e.output, e.metric.name) for e in entries]
    return unique_names(
        [f"metrics/{o}/{n}" if o else f"metrics/{n}" for o, n in named],
    )


def _metrics(compiled: Compiled) -> list[MetricEntry]:
    found = [MetricEntry(compiled.tracker, None, False, [])]
    if compiled.metrics is not None:
        for weighted, lists in (
            (False, compiled.metrics._flat_metrics),
            (True, compiled.metrics._flat_weighted_metrics),
        ):
            for output, each in zip(compiled.names, lists, strict=True):
                found += [
                    MetricEntry(m, output, weighted, []) for m in (each.metrics if each else [])
                ]
    if compiled.loss is not None:
        found += [MetricEntry(m, None, False, []) for m in compiled.loss.metrics]
    return found
