"""The document `/kbridge/steps` (docs/bundle-format.md, section 9)."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import tree

from kbridge import errors
from kbridge.export import explain, sizes
from kbridge.export.graph import Body, Value
from kbridge.export.signature import Signature
from kbridge.export.spec import (
    constant_entry,
    graph_json,
    live_nodes,
    start_entry,
    updates_json,
    value_json,
)
from kbridge.export.steps.compiled import Compiled, Shaped, compiled_of, output_indices
from kbridge.export.steps.step import Step
from kbridge.export.steps.tracer import StepTracer, TrainingTracer
from kbridge.export.steps.variables import StepVariables
from kbridge.export.trace import Trace
from kbridge.export.tracing import trace_model


@dataclasses.dataclass
class StepsDocument:
    """The document and the arrays it names.

    Attributes:
        json: The document.
        arrays: The arrays that it needs, each with the entry that gets its path and digest.
    """

    json: dict[str, Any]
    arrays: list[tuple[np.ndarray, dict[str, Any]]] = dataclasses.field(default_factory=list)


def steps_document(
    model: Any,
    signature: Signature,
    weights: dict[int, str],
    outputs: Any,
    output_names: list[str],
    labels: Any = None,
) -> StepsDocument | None:
    """Traces the steps of a compiled model.

    Args:
        model: A model.
        signature: What it takes.
        weights: Bundle names of its variables by `id`, states of its layers included.
        outputs: Its answer with a `Value` in each place, from the inference trace.
        output_names: Names of the outputs.
        labels: A batch of labels, where the losses do not tell their shapes.

    Returns:
        The document, which may say why the model cannot be trained outside of Keras; None for a
        model that was not compiled with a loss.
    """
    if not has_loss(model):
        return None
    try:
        _refuse_overrides(model)
        shaped = tree.map_structure(lambda v: Shaped(v.shape, v.dtype), outputs)
        compiled = compiled_of(model, output_names, shaped, labels)
        return _Writer(model, signature, weights, compiled).write()
    except errors.UnsupportedModelError as e:
        return _refusal(e.problems)
    except MemoryError:
        raise
    # NB: a metric's or constraint's own code can raise anything; the model is exported all the
    # same, and whoever wants to train it is told.
    except Exception as e:  # noqa: BLE001
        problem = errors.Problem(
            model.name, type(model).__name__, explain.reason(e), explain.advice(e)
        )
        return _refusal([problem])


def _refusal(problems: list[errors.Problem]) -> StepsDocument:
    return StepsDocument({"refusal": [problem._asdict() for problem in problems]})


def has_loss(model: Any) -> bool:
    """Whether there is anything to minimise.

    NB: a custom `compute_loss` needs no loss of `compile()`; it is refused by name.
    """
    return model.compiled and (
        model._compile_loss is not None or bool(model.losses) or bool(_overrides(model))
    )


_OVERRIDABLE = ("train_step", "test_step", "compute_loss", "compute_metrics")


def _refuse_overrides(model: Any) -> None:
    problems = [
        errors.Problem(
            model.name,
            type(model).__name__,
            f"it overrides {name}, whose code works on Python's backend",
            "Say the same with losses, add_loss, metrics and layers; or train it in Python.",
        )
        for name in _overrides(model)
    ]
    if problems:
        raise errors.UnsupportedModelError(problems)


def _overrides(model: Any) -> list[str]:
    cls = type(model)
    return [n for n in _OVERRIDABLE if getattr(cls, n).__module__.split(".")[0] != "keras"]


class _Writer:
    def __init__(
        self, model: Any, signature: Signature, weights: dict[int, str], compiled: Compiled
    ):
        self.model = model
        self.signature = signature
        self.compiled = compiled
        self.variables = StepVariables(weights, compiled)
        self.document = StepsDocument({})
        self._weights = weights
        self._constants: dict[tuple, dict[str, Any]] = {}

    def write(self) -> StepsDocument:
        found = self.document.json
        training, evaluation = self._step(True), self._step(False)
        logs, constraints = self._logs(), self._constraints()
        # NB: after the graphs, which may have met the global seed generator.
        found["variables"] = {v.name: self._variable(v) for v in self.variables.extra}
        found.update(training=training, evaluation=evaluation, logs=logs)
        found["metrics"] = [
            {
                "name": entry.metric.name,
                "class_name": type(entry.metric).__name__,
                "output": entry.output,
                "weighted": entry.weighted,
                "variables": entry.variables,
            }
            for entry in self.variables.metrics
        ]
        found["constraints"] = constraints
        return self.document

    def _step(self, training: bool) -> dict[str, Any]:
        step = Step(self.model, self.signature, self.compiled, training)
        tracer = TrainingTracer if training else StepTracer
        trace = self._trace(step, self.signature, tracer)
        answers = trace.output_structure
        updates = trace.updates
        live = [*answers["outputs"], answers["loss"], *answers["losses"], *(v for _, v in updates)]
        graph = self._graph(trace, live)
        read = {v.name for v in live} | set(_read(graph["nodes"], graph["bodies"]))
        outputs = zip(self.compiled.names, answers["outputs"], strict=True)
        return {
            "inputs": [
                {
                    **value_json(value),
                    "role": role,
                    "of": of,
                    **self._classes(role, of, answers),
                    **({"broadcast": True} if self._broadcasts(role, of) else {}),
                }
                for value, (role, of) in zip(trace.inputs, step.inputs, strict=True)
                if role == "x" or value.name in read
            ],
            **graph,
            "outputs": [{**value_json(v), "name": name, "value": v.name} for name, v in outputs],
            "loss": answers["loss"].name,
            "losses": self._losses(answers["losses"]),
            "updates": updates_json(u for u in updates if not self.variables.is_metric(u[0])),
            "metric_updates": updates_json(u for u in updates if self.variables.is_metric(u[0])),
        }

    def _classes(self, role: str, of: str, answers: dict[str, Any]) -> dict[str, Any]:
        """How many classes there are, where labels are numbers of classes."""
        index = self.compiled.names.index(of) if role == "y" else 0
        label = self.compiled.labels[index]
        if role != "y" or label.drop is None or answers["outputs"][index].shape[label.drop] is None:
            return {}
        count = answers["outputs"][index].shape[label.drop]
        return {"classes": count} | ({} if label.ignored is None else {"ignored": label.ignored})

    def _broadcasts(self, role: str, of: str) -> bool:
        """Whether weights with sizes of 1 mean the same as ones that say it for each value.

        NB: not where Keras divides by the sum of the weights as they were given.
        """
        if role != "sample_weight":
            return False
        index, loss = self.compiled.names.index(of), self.compiled.loss
        if loss is None:
            return True
        found = [
            entry.loss
            for i, entry in zip(output_indices(loss), loss._flat_losses, strict=True)
            if i == index
        ]
        return all(
            type(each).__call__ is keras.losses.Loss.__call__
            and each.reduction != "mean_with_sample_weight"
            for each in found
        )

    def _losses(self, values: list[Value]) -> list[dict[str, Any]]:
        entries = [] if self.compiled.loss is None else self.compiled.loss._flat_losses
        return [
            {"name": e.name, "value": v.name, "weight": e.loss_weights}
            for e, v in zip(entries, values, strict=True)
        ]

    def _logs(self) -> dict[str, Any]:
        def results(_: Any) -> dict[str, Any]:
            found: dict[str, Any] = {}
            for metric in self.compiled.all_metrics:
                result = metric.result()
                if isinstance(result, dict):
                    found.update(result)
                else:
                    found[metric.name] = result
            return _flat(found)

        nothing = Signature([], lambda flat: flat, [])
        trace = self._trace(results, nothing, StepTracer)
        values = trace.output_structure
        graph = self._graph(trace, list(values.values()))
        graph["outputs"] = [
            {**value_json(v), "name": name, "value": v.name} for name, v in values.items()
        ]
        return graph

    def _constraints(self) -> list[dict[str, Any]]:
        found = []
        for variable in self.model.trainable_variables:
            if variable.constraint is not None:
                found.append(self._constraint(variable))
        return found

    def _constraint(self, variable: keras.Variable) -> dict[str, Any]:
        name = self._weights[id(variable)]

        def constrained(_: Any) -> dict[str, Any]:
            return {"value": variable.constraint(variable)}

        trace = self._trace(constrained, Signature([], lambda flat: flat, []), StepTracer)
        value = trace.output_structure["value"]
        return {"weight": name, **self._graph(trace, [value]), "output": value.name}

    def _trace(self, call: Callable, signature: Signature, tracer: type[StepTracer]) -> Trace:
        def run(shapes: list[tuple[int, ...]], symbolic_creations: frozenset[int]) -> Trace:
            return trace_model(
                call,
                self.model,
                signature.inputs,
                signature.pack,
                shapes,
                self.variables.name_of,
                symbolic_creations,
                functools.partial(tracer, is_metric=self.variables.is_metric),
            )

        trace = sizes.trace_sizes(run, signature.inputs)
        if trace.problems:
            raise errors.UnsupportedModelError(trace.problems)
        return trace

    def _graph(self, trace: Trace, outputs: list[Value]) -> dict[str, Any]:
        builder = trace.builder
        nodes = live_nodes(builder, builder.nodes, {v.name for v in outputs})
        bodies = _bodies(trace, nodes)
        main = graph_json(Body("step", [], nodes, []))["nodes"]
        described = {body.name: graph_json(body) for body in bodies}
        used = {v.name for v in outputs} | set(_read(main, described))
        constants = {
            v.name: self._constant(v)
            for v in builder.values.values()
            if v.kind == "constant" and v.name in used
        }
        return {"constants": constants, "nodes": main, "bodies": described}

    def _constant(self, value: Value) -> dict[str, Any]:
        """NB: equal arrays, such as a table that both steps use, are stored once."""
        entry = constant_entry(value)
        if "value" in entry:
            return entry
        array = value.data
        known = self._constants.setdefault((entry["dtype"], array.shape, array.tobytes()), entry)
        if known is entry:
            self.document.arrays.append((array, entry))
        return known

    def _variable(self, variable: Any) -> dict[str, Any]:
        entry = start_entry(variable.initial) | {"kind": variable.kind}
        if "value" not in entry:
            self.document.arrays.append((variable.initial, entry))
        return entry


def _flat(results: dict[str, Any]) -> dict[str, Any]:
    for name, result in results.items():
        if tree.is_nested(result):
            raise errors.UnsupportedModelError(
                [
                    errors.Problem(
                        name,
                        "Metric",
                        "its result is a structure of several values",
                        "Give a metric for each of the values.",
                    )
                ]
            )
    return results


def _bodies(trace: Trace, nodes: list[Any]) -> list[Body]:
    found: list[Body] = []
    pending = list(nodes)
    while pending:
        for body in trace.builder.bodies_of(pending.pop()):
            found.append(body)
            pending += body.nodes
    return found


def _read(nodes: list[dict[str, Any]], bodies: dict[str, dict[str, Any]]) -> list[str]:
    """Every name that a graph reads."""
    found: list[str] = []
    for graph in (nodes, *(body["nodes"] for body in bodies.values())):
        for node in graph:
            found += [name for name in node["inputs"] if name is not None]
            found += _sized_by(node["attrs"])
    return found + [name for body in bodies.values() for name in body["outputs"]]


def _sized_by(attrs: Any) -> list[str]:
    if isinstance(attrs, dict):
        if isinstance(attrs.get("dims"), list):
            return [name for name, _ in attrs["dims"]]
        return [name for item in attrs.values() for name in _sized_by(item)]
    if isinstance(attrs, list):
        return [name for item in attrs for name in _sized_by(item)]
    return []
