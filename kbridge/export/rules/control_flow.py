"""Loops and branches of `keras.ops` as nodes that run bodies (docs/bundle-format.md, section 8)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops, tree
from keras.src.ops import core

from kbridge.export.graph import Body, Value
from kbridge.export.loops import bind, emit_scan, symbol
from kbridge.export.registry import lowers
from kbridge.export.trace import UnsupportedCall
from kbridge.export.tracing import active_builder


@lowers(core.Scan)
def lower_scan(op: Any, f: Callable, init: Any, xs: Any = None) -> Any:
    """One step per position of axis 0, with a carry; `ys` are in the order of `xs`."""
    tensors = [_tensor(x) for x in tree.flatten(xs) if x is not None]
    length = tensors[0].shape[0] if op.length is None else int(op.length)
    tensors = [x if x.shape[0] == length else x[:length] for x in tensors]
    states, slices = _symbols(init), [symbol(x.shape[1:], x.dtype) for x in tensors]
    given = None if xs is None else tree.pack_sequence_as(xs, slices)
    with _body("scan", [*slices, *states]) as body:
        carry, y = f(tree.pack_sequence_as(init, states), given)
        body.outputs = [*_same_as(carry, states, "carry"), *_values(y)]
    initial = [_tensor(x) for x in tree.flatten(init)]
    found = emit_scan(active_builder(), body, tensors, initial, length, 0, op.reverse)
    ys = found[len(states) :]
    if op.reverse:
        ys = [ops.flip(t, axis=0) for t in ys]
    return tree.pack_sequence_as(init, found[: len(states)]), _packed(y, ys)


@lowers(core.Map)
def lower_map(op: Any, f: Callable, xs: Any) -> Any:
    """One step per position of axis 0."""
    tensors = [_tensor(x) for x in tree.flatten(xs)]
    slices = [symbol(x.shape[1:], x.dtype) for x in tensors]
    with _body("map", slices) as body:
        y = f(tree.pack_sequence_as(xs, slices))
        body.outputs = _values(y)
    return _packed(y, emit_scan(active_builder(), body, tensors, [], tensors[0].shape[0]))


@lowers(core.VectorizedMap)
def lower_vectorized_map(op: Any, elements: Any) -> Any:
    """The same as `Map`, except for the order in which Keras computes it."""
    return lower_map(op, op.function, elements)


@lowers(core.AssociativeScan)
def lower_associative_scan(op: Any, f: Callable, elems: Any) -> Any:
    """Every element combined with all before it; the combination sees slices of size 1."""
    tensors = [_tensor(x) for x in tree.flatten(elems)]
    axis = op.axis % len(tensors[0].shape)
    if op.reverse:
        tensors = [ops.flip(t, axis=axis) for t in tensors]
    length = tensors[0].shape[axis]
    first = [_part(t, axis, 0, 1) for t in tensors]
    if length == 1:
        return tree.pack_sequence_as(elems, tensors)
    rest = [_part(t, axis, 1, length) for t in tensors]
    states = [symbol(t.shape, t.dtype) for t in first]
    slices = [symbol(t.shape[:axis] + t.shape[axis + 1 :], t.dtype) for t in rest]
    with _body("scan", [*slices, *states]) as body:
        wide = [ops.expand_dims(t, axis) for t in slices]
        combined = f(tree.pack_sequence_as(elems, states), tree.pack_sequence_as(elems, wide))
        new = _same_as(combined, states, "combination")
        answers = [ops.squeeze(bind(active_builder(), v), axis) for v in new]
        body.outputs = [*new, *_values(answers)]
    found = emit_scan(active_builder(), body, rest, first, length - 1, axis)[len(first) :]
    ys = [ops.concatenate([a, b], axis=axis) for a, b in zip(first, found, strict=True)]
    if op.reverse:
        ys = [ops.flip(t, axis=axis) for t in ys]
    return tree.pack_sequence_as(elems, ys)


@lowers(core.ForiLoop)
def lower_fori_loop(op: Any, init_val: Any) -> Any:
    """A `Scan` without sequences where the bounds are numbers, otherwise a `While`."""
    initial = [_tensor(op.lower, "int32"), *(_tensor(x) for x in tree.flatten(init_val))]
    states = [symbol(x.shape, x.dtype) for x in initial]

    def step(body: Body) -> None:
        value = op.body_fun(states[0], tree.pack_sequence_as(init_val, states[1:]))
        following = _values(ops.add(states[0], 1))
        body.outputs = [*following, *_same_as(value, states[1:], "value")]

    if isinstance(op.lower, int) and isinstance(op.upper, int):
        with _body("loop", states) as body:
            step(body)
        length = max(0, op.upper - op.lower)
        found = emit_scan(active_builder(), body, [], initial, length)
    else:
        found = _while(initial, states, lambda: ops.less(states[0], op.upper), step)
    return tree.pack_sequence_as(init_val, found[1:])


@lowers(core.WhileLoop)
def lower_while_loop(op: Any, loop_vars: Any) -> Any:
    """A `While`; a largest number of iterations becomes one more state."""
    several = isinstance(loop_vars, (tuple, list))
    initial = [_tensor(x) for x in tree.flatten(loop_vars)]
    limited = op.maximum_iterations is not None
    if limited:
        initial.append(_tensor(0, "int32"))
    states = [symbol(x.shape, x.dtype) for x in initial]
    own = states[:-1] if limited else states
    given = tree.pack_sequence_as(loop_vars, own)

    def test() -> Any:
        going = op.cond(*given) if several else op.cond(given)
        if not limited:
            return going
        return ops.logical_and(going, ops.less(states[-1], op.maximum_iterations))

    def step(body: Body) -> None:
        new = op.body(*given) if several else op.body(given)
        body.outputs = _same_as(new, own, "loop variables")
        if limited:
            body.outputs += _values(ops.add(states[-1], 1))

    found = _while(initial, states, test, step)
    return tree.pack_sequence_as(loop_vars, found[: len(own)])


@lowers(core.Cond)
def lower_cond(op: Any, pred: Any, true_fn: Callable, false_fn: Callable) -> Any:
    """Both branches are traced; one of them runs."""
    return _branches("Cond", ops.cast(_tensor(pred), "bool"), [true_fn, false_fn])


@lowers(core.Switch)
def lower_switch(op: Any, index: Any, branches: Any, *operands: Any) -> Any:
    """All branches are traced; one of them runs."""
    given = [tree.map_structure(_tensor, operand) for operand in operands]
    return _branches("Switch", _tensor(index), [lambda b=b: b(*given) for b in branches])


def _while(
    initial: list[Any], states: list[Any], test: Callable, step: Callable
) -> list[keras.KerasTensor]:
    builder = active_builder()
    # NB: the same symbols stand for the inputs of one body, then of the other.
    with _body("condition", states) as condition:
        going = test()
        condition.outputs = [builder.cast(builder.value_of(going), "bool")]
    with _body("step", states) as body:
        step(body)
    operands = [builder.value_of(t) for t in initial]
    captured = {v.name: v for b in (condition, body) for v in b.captured()}
    attrs = {"bodies": [condition.name, body.name], "num_states": len(states)}
    specs = [(v.shape, v.dtype) for v in body.outputs]
    values = builder.emit("While", [*operands, *captured.values()], attrs, *specs)
    return [bind(builder, value) for value in values]


def _branches(name: str, choice: Any, functions: list[Callable]) -> Any:
    builder = active_builder()
    bodies, answers = [], []
    for function in functions:
        with _body("branch", []) as body:
            answers.append(function())
            body.outputs = _values(answers[-1])
        bodies.append(body)
    wanted = [(v.shape, v.dtype) for v in bodies[0].outputs]
    for body in bodies[1:]:
        given = [(v.shape, v.dtype) for v in body.outputs]
        if given != wanted:
            raise UnsupportedCall(
                f"its branches give {wanted} and {given}, where shapes and dtypes have to be equal",
                "Cast or reshape what the branches return.",
            )
    captured = {v.name: v for body in bodies for v in body.captured()}
    attrs = {"bodies": [body.name for body in bodies]}
    inputs = [builder.value_of(choice), *captured.values()]
    values = builder.emit(name, inputs, attrs, *wanted)
    return _packed(answers[0], [bind(builder, value) for value in values])


def _body(name: str, inputs: list[Any]) -> Any:
    return active_builder().body(name, [(t, f"in{i}") for i, t in enumerate(inputs)])


def _tensor(x: Any, dtype: str | None = None) -> keras.KerasTensor:
    """A symbolic tensor for an operand, which may be a number or an array."""
    if isinstance(x, keras.Variable):
        x = x.value
    if isinstance(x, keras.KerasTensor):
        return x
    return bind(active_builder(), active_builder().value_of(x, dtype))


def _symbols(structure: Any) -> list[keras.KerasTensor]:
    tensors = [_tensor(x) for x in tree.flatten(structure)]
    return [symbol(t.shape, t.dtype) for t in tensors]


def _values(structure: Any) -> list[Value]:
    return [active_builder().value_of(_tensor(t)) for t in tree.flatten(structure) if t is not None]


def _packed(structure: Any, tensors: list[Any]) -> Any:
    remaining = iter(tensors)
    return tree.map_structure(lambda t: None if t is None else next(remaining), structure)


def _same_as(structure: Any, states: list[Any], what: str) -> list[Value]:
    """The values of what a step leaves; they have the shapes and dtypes of what it was given."""
    given = tree.flatten(structure)
    if len(given) != len(states):
        raise UnsupportedCall(f"its {what} has {len(states)} tensors, then {len(given)}")
    new = [_tensor(t, s.dtype) for t, s in zip(given, states, strict=True)]
    for t, s in zip(new, states, strict=True):
        if tuple(t.shape) != tuple(s.shape) or t.dtype != s.dtype:
            raise UnsupportedCall(
                f"its {what} has shape {tuple(s.shape)} and dtype {s.dtype}, after a step "
                f"{tuple(t.shape)} and {t.dtype}",
                "Let a step give what it was given, with the same shape and dtype.",
            )
    return [active_builder().value_of(t) for t in new]


def _part(x: Any, axis: int, start: int, stop: int) -> Any:
    return x[(*(slice(None),) * axis, slice(start, stop))]
