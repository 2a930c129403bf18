"""Recurrent layers as `Scan` nodes: one traced step, run over an axis by the runtime.

They come here with their step function, so that any cell (stacked, convolutional, a user's own) is
traced like any other code. docs/bundle-format.md section 8 says what Scan means.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops, tree

from kbridge.export.graph import Body, GraphBuilder, Value


def scan_rnn(
    builder: GraphBuilder,
    step: Callable,
    inputs: Any,
    initial_states: Any,
    go_backwards: bool = False,
    mask: Any = None,
    constants: Any = None,
    unroll: bool = False,
    input_length: Any = None,
    time_major: bool = False,
    zero_output_for_mask: bool = False,
    return_all_outputs: bool = True,
) -> tuple[Any, Any, Any]:
    """The symbolic twin of Keras's `backend.rnn`: same arguments, same three results.

    A step that is masked for a sample keeps its states, and answers what the step before answered
    (zeros at first, or always zeros with `zero_output_for_mask`). `go_backwards` gives the outputs
    in the order they were computed. `unroll` and `input_length` change nothing in the numbers.
    """
    axis = 0 if time_major else 1
    states = [ops.convert_to_tensor(s) for s in tree.flatten(initial_states)]
    xs = tree.flatten(inputs)
    if mask is not None:
        mask = ops.cast(mask, "bool")
        xs = [*xs, ops.squeeze(mask, -1) if len(mask.shape) == 3 else mask]
    slices = [symbol(x.shape[:axis] + x.shape[axis + 1 :], x.dtype) for x in xs]
    carried = [symbol(s.shape, s.dtype) for s in states]
    # NB: the last answer is carried like a state: masked steps repeat it.
    answer = _answer_spec(builder, step, inputs, initial_states, constants, slices, carried)
    previous = [symbol(a.shape, a.dtype) for a in answer]
    named = [(t, f"x{i}") for i, t in enumerate(slices)]
    named += [(t, f"state{i}") for i, t in enumerate(carried + previous)]
    with builder.body("scan", named) as body:
        given = slices[:-1] if mask is not None else slices
        output, new_states = step(
            tree.pack_sequence_as(inputs, given) if tree.is_nested(inputs) else given[0],
            _states(initial_states, carried, constants),
        )
        outputs, new = tree.flatten(output), tree.flatten(new_states)
        if mask is not None:
            kept = [ops.zeros_like(p) if zero_output_for_mask else p for p in previous]
            outputs = [_choose(slices[-1], o, k) for o, k in zip(outputs, kept, strict=True)]
            new = [_choose(slices[-1], n, c) for n, c in zip(new, carried, strict=True)]
        ys = outputs if return_all_outputs else []
        body.outputs = [builder.value_of(t) for t in [*new, *outputs, *ys]]
    first = [ops.zeros(a.shape, a.dtype) for a in answer]
    length = xs[0].shape[axis]
    finals = emit_scan(builder, body, xs, [*states, *first], length, axis, go_backwards)
    last = tree.pack_sequence_as(output, finals[len(states) : len(states) + len(outputs)])
    stacked = finals[len(states) + len(outputs) :]
    if return_all_outputs:
        every = tree.pack_sequence_as(output, stacked)
    else:
        every = tree.map_structure(lambda t: ops.expand_dims(t, axis), last)
    return last, every, tree.pack_sequence_as(new_states, finals[: len(states)])


def symbol(shape: Any, dtype: str) -> keras.KerasTensor:
    """Returns a symbolic tensor that stands for nothing yet."""
    return keras.KerasTensor(tuple(shape), dtype)


def _states(initial_states: Any, carried: list[Any], constants: Any) -> tuple:
    packed = tree.pack_sequence_as(initial_states, carried)
    return (*packed, *(constants or ()))


def _answer_spec(
    builder: GraphBuilder,
    step: Callable,
    inputs: Any,
    initial_states: Any,
    constants: Any,
    slices: list[Any],
    carried: list[Any],
) -> list[keras.KerasTensor]:
    """Shapes of what a step answers, found by running it once into a body that is thrown away."""
    named = [(t, f"probe{i}") for i, t in enumerate([*slices, *carried])]
    count = len(tree.flatten(inputs))
    with builder.body("probe", named) as body:
        x = tree.pack_sequence_as(inputs, slices[:count]) if tree.is_nested(inputs) else slices[0]
        output, _ = step(x, _states(initial_states, carried, constants))
    del builder.bodies[body.name]
    return tree.flatten(output)


def _choose(mask: Any, if_true: Any, if_false: Any) -> Any:
    """Per sample; `mask` has the batch axis alone."""
    for _ in range(len(if_true.shape) - 1):
        mask = ops.expand_dims(mask, -1)
    return ops.where(mask, if_true, if_false)


def emit_scan(
    builder: GraphBuilder,
    body: Body,
    xs: Sequence[Any],
    states: Sequence[Any],
    length: int,
    axis: int = 0,
    reverse: bool = False,
) -> list[keras.KerasTensor]:
    """Appends a `Scan` node and returns its outputs: final states, then stacked answers.

    Args:
        builder: The graph.
        body: The step.
        xs: The sequences.
        states: The initial states.
        length: How many steps there are.
        axis: Which axis of the sequences is stepped along.
        reverse: Whether from the last position to the first.
    """
    count = len(states)
    operands = [builder.value_of(t) for t in [*xs, *states]]
    specs = [(v.shape, v.dtype) for v in body.outputs[:count]]
    specs += [((*v.shape[:axis], length, *v.shape[axis:]), v.dtype) for v in body.outputs[count:]]
    attrs = {
        "body": body.name,
        "num_xs": len(xs),
        "num_states": count,
        "axis": axis,
        "reverse": bool(reverse),
    }
    if not xs:
        attrs["length"] = length
    values = builder.emit("Scan", [*operands, *body.captured()], attrs, *specs)
    return [bind(builder, value) for value in values]


def bind(builder: GraphBuilder, value: Value) -> keras.KerasTensor:
    """Returns a symbolic tensor that stands for a value."""
    tensor = symbol(value.shape, value.dtype)
    builder.bind(tensor, value)
    return tensor
