"""What a trace is made of: the inputs it begins with, what it finds, and what ends it."""

from __future__ import annotations

import dataclasses
from typing import Any

from kbridge import errors
from kbridge.export.graph import GraphBuilder, LayerOutput, Value


@dataclasses.dataclass
class InputSpec:
    """One input of the model: its name in the bundle, shape (None: any size) and dtype."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str
    optional: bool = False


@dataclasses.dataclass
class Trace:
    """What one symbolic run of a model did.

    Attributes:
        builder: The nodes and values.
        inputs: Values of the model's inputs, flat.
        output_structure: The model's answer with a `Value` in each place.
        layer_outputs: Which values each layer call gave.
        creations: Each call that made a tensor from sizes alone, with its arguments.
        updates: What variables were given, in order: states and, in a training or evaluation step,
            all others.
        problems: What could not be traced.
    """

    builder: GraphBuilder
    inputs: list[Value]
    output_structure: Any = None
    updates: list[tuple[str, Value]] = dataclasses.field(default_factory=list)
    layer_outputs: list[LayerOutput] = dataclasses.field(default_factory=list)
    creations: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    problems: list[errors.Problem] = dataclasses.field(default_factory=list)


class TraceAborted(Exception):
    """The run cannot go on past a problem that is already in `Trace.problems`."""


class UnsupportedCall(Exception):
    """Raised by a rule or normaliser for what it cannot express; the message is the reason."""

    def __init__(self, reason: str, advice: str = ""):
        super().__init__(reason)
        self.advice = advice
