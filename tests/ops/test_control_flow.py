"""Parity of loops and branches."""

from __future__ import annotations

import numpy as np
from harness import Case, floats, integers, parity_test
from keras import ops


def cumulative(x):
    return ops.scan(lambda carry, row: (carry + row, carry + row), ops.zeros_like(x[0]), x)[1]


def reversed_scan(x):
    last, ys = ops.scan(lambda c, r: (c * 0.5 + r, c + r), x[0], x, reverse=True)
    return [last, ys]


def several(x, y):
    def step(carry, slices):
        a, b = carry
        return (b + slices[0], a * slices[1]), (a, b)

    (a, b), (c, d) = ops.scan(step, (x[0], y[0]), (x, y))
    return [a, b, c, d]


def swapped(x, y):
    """States that become each other's old values, one that stays, and one nobody reads."""

    def step(carry, row):
        a, b, kept, last = carry
        return (b, a, kept, row), (kept, a, row, b)

    states, answers = ops.scan(step, (x[0], y[0], y[1], x[1]), (x))
    return [*states, *answers]


def rotated(x):
    def step(carry, row):
        a, b, c = carry
        return (b, c, a + row), (a, a, a)

    states, answers = ops.scan(step, (x[0], x[1], x[2]), x)
    return [*states, *answers]


def without_sequences(x):
    carry, ys = ops.scan(lambda c, _: (c * 1.5, c), x, length=4)
    return [carry, ys]


def scan_in_scan(x, w):
    def outer(carry, row):
        inner, _ = ops.scan(lambda c, v: (c + v * w[0], c), ops.sum(carry), row)
        return carry * 0.5 + inner, carry

    carry, ys = ops.scan(outer, w, x)
    return [carry, ys]


def invariant(x, w):
    """What does not change from step to step is computed once: it must survive all of them."""

    def step(carry, row):
        scale = ops.tanh(w) * 2 + ops.exp(ops.flip(w))
        return ops.tanh(carry * scale + row), ops.exp(scale) - carry

    carry, ys = ops.scan(step, w, x)
    return [carry, ys]


def outputs_of_the_graph_around(x, w):
    """A step that answers a value of the graph around it, a constant, and its slice."""
    shifted = w + 1.0
    fixed = ops.convert_to_tensor(np.arange(3, dtype="float32"))

    def step(carry, row):
        return (row, carry[0], carry[2]), (shifted, fixed, row)

    states, answers = ops.scan(step, (w, shifted, fixed), x)
    # NB: read after the loop as well, so its memory has to last.
    return [*states, *answers, shifted * 2]


def mapped(x, y):
    found = ops.map(lambda s: {"sum": s["a"] + s["b"], "max": ops.max(s["a"])}, {"a": x, "b": y})
    return [found["sum"], found["max"]]


def counted(x):
    return ops.fori_loop(2, 7, lambda i, v: v * 0.5 + ops.cast(i, v.dtype), x)


def counted_to_a_tensor(x, n):
    return ops.fori_loop(0, n[0], lambda i, v: v + ops.cast(i, v.dtype), x)


def never(x):
    return ops.fori_loop(5, 5, lambda i, v: v * 100.0, x)


def as_often_as_rows(x):
    total = ops.zeros_like(x[0])
    return ops.fori_loop(0, ops.shape(x)[0], lambda i, v: v * 0.5 + ops.sum(x, axis=0), total)


def doubling(x):
    found = ops.while_loop(
        lambda v, n: ops.sum(ops.abs(v)) < 1000.0, lambda v, n: (v * 2, n + 1), (x, 0)
    )
    return list(found)


def limited(x):
    return ops.while_loop(lambda v: ops.max(v) < 1e6, lambda v: v * 2, x, maximum_iterations=3)


def exchanged(x, y):
    def step(a, b, n):
        return b, a * 0.5, n + 1

    return list(ops.while_loop(lambda a, b, n: n < 5, step, (x, y, 0)))


def not_entered(x):
    return ops.while_loop(lambda v: ops.sum(v) > 1e9, lambda v: v - 1, x)


def chosen(flag, x):
    return ops.cond(flag[0] > 0, lambda: ops.tanh(x) + 1.0, lambda: x)


def chosen_pair(flag, x):
    a, b = ops.cond(flag[0] > 0, lambda: (x, x * 2), lambda: (x + 1, x))
    return [a, b, a + b]


def switched(index, x, y):
    branches = [lambda a, b: a + b, lambda a, b: a - b, lambda a, b: ops.exp(a) * b]
    return ops.switch(index[0], branches, x, y)


def loop_with_branch(x):
    def step(carry, row):
        new = ops.cond(ops.sum(row) > 0, lambda: carry + row, lambda: carry * 0.5)
        return new, new

    return ops.scan(step, ops.zeros_like(x[0]), x)[1]


def associative(x):
    return ops.associative_scan(lambda a, b: a + b, x, axis=1)


def associative_pair(a, b):
    def combine(left, right):
        return left[0] * right[0], right[0] * left[1] + right[1]

    return list(ops.associative_scan(combine, (a, b), reverse=True))


X = floats(5, 3)
Y = floats(5, 3, low=-1.0, high=1.0)
W = floats(3, low=0.1, high=0.9)


def flag(value):
    return np.array([value], "float32")


def number(value):
    return np.array([value], "int32")


CASES = [
    Case("scan", cumulative, (X,)),
    Case("scan of a fixed length", cumulative, (X,), dynamic=False),
    Case("scan of one step", cumulative, (X[:1],)),
    Case("scan in reverse", reversed_scan, (X,)),
    Case("scan of several", several, (X, Y), dynamic=False),
    Case("scan in float64", cumulative, (X.astype("float64"),)),
    Case("scan in int32", cumulative, (integers(5, 3),)),
    Case("scan in float16", cumulative, (X.astype("float16"),), rtol=1e-3, atol=1e-3),
    Case("scan that swaps", swapped, (X, Y), dynamic=False),
    Case("scan that rotates", rotated, (X,), dynamic=False),
    Case("scan without sequences", without_sequences, (X[0],), dynamic=False),
    Case("scan in scan", scan_in_scan, (X, W), dynamic=False),
    Case("scan with invariants", invariant, (X, W), dynamic=False),
    Case("scan that answers others", outputs_of_the_graph_around, (X, W), dynamic=False),
    Case("map", mapped, (X, Y)),
    Case("vectorized_map", lambda x: ops.vectorized_map(lambda r: r / ops.sum(r * r), x), (X,)),
    Case("fori_loop", counted, (X,)),
    Case(
        "fori_loop to a tensor",
        counted_to_a_tensor,
        (X, number(4)),
        dynamic=False,
        gradient="refused",
    ),
    Case("fori_loop of no step", never, (X,)),
    Case("fori_loop over rows", as_often_as_rows, (X,)),
    Case("while_loop", doubling, (X,), gradient="refused"),
    Case("while_loop with a limit", limited, (X,), gradient="refused"),
    Case("while_loop that exchanges", exchanged, (X, Y), gradient="refused"),
    Case("while_loop not entered", not_entered, (X,), gradient="refused"),
    Case("cond, true", chosen, (flag(1), X), dynamic=False),
    Case("cond, false", chosen, (flag(-1), X), dynamic=False),
    Case("cond of two", chosen_pair, (flag(-1), X), dynamic=False),
    Case("switch, first", switched, (number(0), X, Y), dynamic=False),
    Case("switch, last", switched, (number(2), X, Y), dynamic=False),
    Case("switch, below", switched, (number(-3), X, Y), dynamic=False),
    Case("switch, above", switched, (number(9), X, Y), dynamic=False),
    Case("cond in scan", loop_with_branch, (X,)),
    Case("associative_scan", associative, (floats(2, 9, 3),), functional=True),
    Case(
        "associative_scan of two, reversed",
        associative_pair,
        (Y, X),
        dynamic=False,
        functional=True,
    ),
]
test_parity = parity_test(CASES, __name__)
