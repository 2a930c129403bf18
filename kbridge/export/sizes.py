"""Finds where sizes that are only known at call time go, by comparing traces.

A model is traced with different numbers in place of its unknown sizes. What is equal in all traces
is a constant of the model. An integer that differs is expressed by dimensions of tensors that
exist at run time (docs/bundle-format.md, section 4, point 6); one that cannot be is refused by
name, because a number baked in from one trace would be silently wrong for all other sizes.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from kbridge import errors
from kbridge.export.graph import Node, Value
from kbridge.export.trace import InputSpec, Trace

# Sizes for the unknown dimensions: primes, so that products can be told apart; the second trace
# has even and the third odd composite numbers, so that roundings of halves show. The batch has
# numbers of its own. All are far from the sizes models have.
_BATCH = (1009, 2 * 521, 3 * 367)
_OTHERS = (
    (211, 2 * 113, 3 * 79),
    (223, 2 * 127, 3 * 83),
    (227, 2 * 131, 3 * 89),
    (229, 2 * 137, 3 * 97),
    (233, 2 * 139, 3 * 101),
    (239, 2 * 149, 3 * 103),
    (241, 2 * 151, 3 * 107),
    (251, 2 * 157, 3 * 109),
)
TRACES = 3
_LARGEST_FACTOR = 4096
_LARGEST_OFFSET = 512
_ADVICE = (
    "Give the input a fixed size (keras.Input(shape=...) or batch_shape=...), or compute it from "
    "the shape of a tensor that the operation reads."
)


def valuations(inputs: list[InputSpec], shared: bool) -> list[list[tuple[int, ...]]]:
    """Concrete shapes of the inputs, one list per trace.

    Args:
        inputs: The model's inputs.
        shared: Whether unknown sizes on the same axis of several inputs are one size. Models that
            combine their inputs need that; others are told apart better without.
    """
    numbers: dict[Any, tuple[int, ...]] = {}

    def number(index: int, axis: int) -> tuple[int, ...]:
        if axis == 0:
            return _BATCH
        key = axis if shared else (index, axis)
        if key not in numbers:
            numbers[key] = _OTHERS[len(numbers) % len(_OTHERS)]
        return numbers[key]

    return [
        [
            tuple(
                number(i, axis)[trace] if size is None else size
                for axis, size in enumerate(spec.shape)
            )
            for i, spec in enumerate(inputs)
        ]
        for trace in range(TRACES)
    ]


@dataclasses.dataclass
class Dynamic:
    """An integer that depends on sizes: ``floor(num * product(dims) / den) + add``."""

    dims: list[tuple[Value, int]]
    factor: Fraction
    add: int

    def to_json(self) -> dict[str, Any]:
        """The object of docs/bundle-format.md, section 4, point 6."""
        found: dict[str, Any] = {"dims": [[value.name, axis] for value, axis in self.dims]}
        if self.factor.numerator != 1:
            found["num"] = self.factor.numerator
        if self.factor.denominator != 1:
            found["den"] = self.factor.denominator
        if self.add:
            found["add"] = self.add
        return found


def referenced(attrs: Any) -> Iterator[Value]:
    """Yields the values whose sizes attributes are expressed by."""
    if isinstance(attrs, Dynamic):
        yield from (value for value, _ in attrs.dims)
    elif isinstance(attrs, dict):
        yield from (value for item in attrs.values() for value in referenced(item))
    elif isinstance(attrs, (list, tuple)):
        yield from (value for item in attrs for value in referenced(item))


def trace_sizes(
    run: Callable[[list[tuple[int, ...]], frozenset[int]], Trace], inputs: list[InputSpec]
) -> Trace:
    """Traces a model and marks what depends on sizes that are not known yet.

    Args:
        run: Traces with the given input shapes, recording the given creation calls.
        inputs: The model's inputs.

    Returns:
        The first trace; unknown sizes are None in its values' shapes and `Dynamic` in attributes.
    """
    if all(None not in spec.shape for spec in inputs):
        return run([tuple(spec.shape) for spec in inputs], frozenset())
    traces = _traces(run, inputs)
    first = traces[0]
    if any(trace.problems for trace in traces):
        first.problems = _united(traces)
        return first
    first.problems = _Merger(traces).merge()
    return first


def _traces(
    run: Callable[[list[tuple[int, ...]], frozenset[int]], Trace], inputs: list[InputSpec]
) -> list[Trace]:
    unknown = sum(size is None for spec in inputs for size in spec.shape[1:])
    attempts = (False, True) if unknown > 1 and len(inputs) > 1 else (True,)
    for shared in attempts:
        shapes = valuations(inputs, shared)
        symbolic: frozenset[int] = frozenset()
        while True:
            traces = [run(s, symbolic) for s in shapes[:2]]
            grown = symbolic | _size_dependent_creations(traces)
            if grown == symbolic:
                break
            symbolic = grown
        if _differ(traces[0], traces[1]):
            traces.append(run(shapes[2], symbolic))
        if not any(trace.problems for trace in traces) or shared:
            return traces
    raise AssertionError("the last attempt returns")


def _united(traces: Iterable[Trace]) -> list[errors.Problem]:
    return list(dict.fromkeys(problem for trace in traces for problem in trace.problems))


def _size_dependent_creations(traces: list[Trace]) -> frozenset[int]:
    pairs = zip(traces[0].creations, traces[1].creations, strict=False)
    return frozenset(i for i, (a, b) in enumerate(pairs) if a != b)


def _differ(a: Trace, b: Trace) -> bool:
    """Whether any attribute differs, so that a third trace is needed to be sure of its formula."""
    pairs = zip(a.builder.all_nodes(), b.builder.all_nodes(), strict=False)
    return any(x.attrs != y.attrs or _operands(x) != _operands(y) for x, y in pairs)


class _Merger:
    """Compares traces node by node and rewrites the first one."""

    def __init__(self, traces: list[Trace]):
        self.traces = traces
        self.problems: list[errors.Problem] = []
        self._varying: dict[tuple[int, ...], tuple[Value, int]] = {}
        self._sizes: list[tuple[list[Node], Node, int, Dynamic]] = []

    def merge(self) -> list[errors.Problem]:
        nodes = [trace.builder.all_nodes() for trace in self.traces]
        signatures = [[(n.op, n.scope, _names(n)) for n in each] for each in nodes]
        if any(signature != signatures[0] for signature in signatures[1:]):
            self._note("(model)", "Model", "which operations run depends on the size of the input")
            return self.problems
        self._constants()
        for values in zip(*(t.inputs for t in self.traces), strict=True):
            self._shapes(values)
        for node, attrs in self._graph([trace.builder.nodes for trace in self.traces]):
            node.attrs = attrs
        for nodes, node, place, size in self._sizes:
            self._compute(nodes, node, place, size)
        self._forget_sizes()
        return self.problems

    def _graph(self, graphs: list[list[Node]]) -> list[tuple[Node, dict[str, Any]]]:
        """The nodes of a graph and of its bodies with what their attributes are to be."""
        found = []
        for same in zip(*graphs, strict=True):
            pairs = zip(self.traces, same, strict=True)
            for bodies in zip(*(t.builder.bodies_of(n) for t, n in pairs), strict=True):
                # NB: what is seen in a body is not seen outside of it.
                around = dict(self._varying)
                for values in zip(*(b.inputs for b in bodies), strict=True):
                    self._shapes(values)
                found += self._graph([b.nodes for b in bodies])
                self._varying = around
            self._scalars(graphs[0], same)
            found.append((same[0], self._attributes(same)))
            for values in zip(*(n.outputs for n in same), strict=True):
                self._shapes(values)
        return found

    def _scalars(self, graph: list[Node], nodes: tuple[Node, ...]) -> None:
        """Operands that are numbers made of sizes; they are computed where the graph runs."""
        for place, values in enumerate(zip(*(n.inputs for n in nodes), strict=True)):
            if values[0] is None or len({v.name for v in values}) == 1:
                continue
            numbers = [float(v.data) for v in values]
            size = None
            if all(number.is_integer() for number in numbers):
                size = self._formula(nodes, tuple(map(int, numbers)))
            if size is not None:
                self._sizes.append((graph, nodes[0], place, size))
                continue
            self._note(
                nodes[0].scope or nodes[0].name,
                nodes[0].op,
                "a number it takes depends on the size of the input in a way that cannot be "
                "expressed",
            )

    def _compute(self, graph: list[Node], node: Node, place: int, size: Dynamic) -> None:
        """Puts the nodes that compute a number before the node that takes it."""
        builder = self.traces[0].builder
        builder.nodes, kept = [], builder.nodes
        builder.scope = node.scope
        end = dataclasses.replace(size, add=size.add + 1)
        attrs = {"start": size, "stop": end, "step": 1, "dtype": "int32"}
        made = builder.emit("Arange", [], attrs, ((1,), "int32"))[0]
        number = builder.cast(builder.reshape(made, ()), node.inputs[place].dtype)
        graph[graph.index(node) : graph.index(node)] = builder.nodes
        builder.nodes = kept
        node.inputs[place] = number

    def _constants(self) -> None:
        for name, value in self.traces[0].builder.values.items():
            if not isinstance(value.data, np.ndarray):
                continue  # A number: it is looked at where it is used.
            others = [t.builder.values.get(name) for t in self.traces[1:]]
            if value.kind == "constant" and not all(o and _same(value, o) for o in others):
                self._note(
                    name, "constant", "a constant of the model depends on the size of the input"
                )

    def _shapes(self, values: tuple[Value, ...]) -> None:
        for axis, sizes in enumerate(zip(*(v.shape for v in values), strict=True)):
            if len(set(sizes)) > 1:
                self._varying.setdefault(sizes, (values[0], axis))

    def _attributes(self, nodes: tuple[Node, ...]) -> dict[str, Any]:
        return {
            name: self._merged(nodes, [n.attrs[name] for n in nodes], name)
            for name in nodes[0].attrs
        }

    def _merged(self, nodes: tuple[Node, ...], values: list[Any], name: str) -> Any:
        first = values[0]
        if all(v == first for v in values[1:]):
            return first
        if isinstance(first, list) and len({len(v) for v in values}) == 1:
            return [self._merged(nodes, list(vs), name) for vs in zip(*values, strict=True)]
        if isinstance(first, dict):
            return {k: self._merged(nodes, [v[k] for v in values], name) for k in first}
        if all(isinstance(v, int) for v in values):
            found = self._formula(nodes, tuple(values))
            if found is not None:
                return found
        node = nodes[0]
        self._note(
            node.scope or node.name,
            node.op,
            f"its {name} depends on the size of the input in a way that cannot be expressed",
        )
        return first

    def _formula(self, nodes: tuple[Node, ...], target: tuple[int, ...]) -> Dynamic | None:
        """Own operands' sizes first, since they need no other tensor to be there."""
        own: dict[tuple[int, ...], tuple[Value, int]] = {}
        for values in zip(*(n.inputs for n in nodes), strict=True):
            if values[0] is None:
                continue
            for axis, sizes in enumerate(zip(*(v.shape for v in values), strict=True)):
                if len(set(sizes)) > 1:
                    own.setdefault(sizes, (values[0], axis))
        for dims in (own, {**self._varying, **own}):
            for count in (1, 2, 3):
                found = _fit(target, dims, count)
                if found is not None:
                    return found
        return None

    def _forget_sizes(self) -> None:
        for name, value in self.traces[0].builder.values.items():
            shapes = [t.builder.values[name].shape for t in self.traces if name in t.builder.values]
            sizes = zip(*shapes, strict=True)
            value.shape = tuple(s[0] if len(set(s)) == 1 else None for s in sizes)

    def _note(self, path: str, class_name: str, reason: str) -> None:
        problem = errors.Problem(path, class_name, reason, _ADVICE)
        if problem not in self.problems:
            self.problems.append(problem)


def _names(node: Node) -> tuple[str | None, ...]:
    """What a node reads; numbers by their type alone, since they may be made of sizes."""
    return tuple(None if v is None else _kind(v) for v in node.inputs)


def _operands(node: Node) -> list[str | None]:
    return [None if v is None else v.name for v in node.inputs]


def _kind(value: Value) -> str:
    number = value.kind == "constant" and isinstance(value.data, (int, float))
    return f"number:{value.dtype}" if number and value.dtype != "bool" else value.name


def _same(a: Value, b: Value) -> bool:
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    return bool(np.array_equal(np.asarray(a.data), np.asarray(b.data), equal_nan=True)) or (
        a.data == b.data if not isinstance(a.data, np.ndarray) else False
    )


def _fit(
    target: tuple[int, ...], dims: dict[tuple[int, ...], tuple[Value, int]], count: int
) -> Dynamic | None:
    """``target = floor(factor * product of `count` sizes) + add`` that holds in every trace."""
    for chosen in itertools.combinations_with_replacement(dims, count):
        products = [int(np.prod([sizes[i] for sizes in chosen])) for i in range(len(target))]
        for factor, add in _lines(target, products):
            if all(factor * p // 1 + add == t for p, t in zip(products, target, strict=True)):
                return Dynamic([dims[sizes] for sizes in chosen], factor, add)
    return None


def _lines(target: tuple[int, ...], products: list[int]) -> Iterable[tuple[Fraction, int]]:
    """Candidate factors and offsets, from what is most likely meant to what is less."""
    ratio = Fraction(target[0], products[0])
    # NB: rounded down it would fit n + 1, too, in all traces, and be wrong for twice the size.
    exact = all(ratio * p == t for p, t in zip(products, target, strict=True))
    if exact and max(ratio.numerator, ratio.denominator) <= _LARGEST_FACTOR:
        yield ratio, 0
    if products[0] != products[1]:
        slope = Fraction(target[1] - target[0], products[1] - products[0])
        if 0 < slope.numerator <= _LARGEST_FACTOR and slope.denominator <= 64:
            offset = Fraction(target[0]) - slope * products[0]
            if offset.denominator == 1 and abs(offset) <= _LARGEST_OFFSET:
                yield slope, int(offset)
    for den in (2, 3, 4, 8, 16, 32, 64):
        yield Fraction(1, den), 0
        yield Fraction(1, den), 1
