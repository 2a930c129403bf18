"""Sorting and running sums, with equal values and on every axis."""

import numpy as np
from harness import Case, booleans, floats, integers, parity_test
from keras import ops

X = floats(3, 4, 5)
TIES = np.array([[2, 1, 2, 2, 0, 1], [0, 0, 0, 0, 0, 0], [5, 4, 3, 2, 1, 0]], "float32")
SEQUENCE = np.array([-1, 0, 0, 1.5, 3], "float32")

CASES = [
    Case(f"{name} {kind}", f, (x,), dynamic=False)
    for name, op in (("sort", ops.sort), ("argsort", ops.argsort))
    for kind, f, x in (
        ("last", op, X),
        ("axis 1", lambda x, op=op: op(x, axis=1), X),
        ("axis 0", lambda x, op=op: op(x, axis=0), X),
        ("flat", lambda x, op=op: op(x, axis=None), X),
        ("ties", op, TIES),
        ("int", op, integers(3, 9)),
        ("int64", op, integers(3, 9, dtype="int64")),
        ("bool", op, booleans(3, 9)),
        ("float64", op, X.astype("float64")),
        ("float16", op, X.astype("float16")),
    )
]
CASES += [
    Case("top_k", lambda x: ops.top_k(x, 3), (X,)),
    Case("top_k of one", lambda x: ops.top_k(x, 1), (X,)),
    Case("top_k ties", lambda x: ops.top_k(x, 4), (TIES,)),
    Case("top_k int", lambda x: ops.top_k(x, 2), (integers(3, 9),)),
    Case("top_k vector", lambda x: ops.top_k(x, 2), (floats(6),), dynamic=False),
    Case(
        "in_top_k", lambda t, p: ops.in_top_k(t, p, 2), (np.array([0, 1, 3], "int32"), floats(3, 5))
    ),
    Case("in_top_k ties", lambda t, p: ops.in_top_k(t, p, 2), (np.array([0, 3, 2], "int32"), TIES)),
    Case(
        "searchsorted",
        lambda x: ops.searchsorted(SEQUENCE, x),
        (np.array([-2, -1, 0, 1, 1.5, 4], "float32"),),
        dynamic=False,
    ),
    Case(
        "searchsorted right",
        lambda x: ops.searchsorted(SEQUENCE, x, side="right"),
        (np.array([-2, -1, 0, 1, 1.5, 4], "float32"),),
        dynamic=False,
    ),
]
CASES += [
    Case(f"{name} {kind}", f, (x,), dynamic=False)
    for name, op in (("cumsum", ops.cumsum), ("cumprod", ops.cumprod))
    for kind, f, x in (
        ("flat", op, X),
        ("axis 0", lambda x, op=op: op(x, axis=0), X),
        ("axis 1", lambda x, op=op: op(x, axis=1), X),
        ("last", lambda x, op=op: op(x, axis=-1), X),
        ("int", lambda x, op=op: op(x, axis=1), integers(3, 4, low=-3, high=4)),
        ("int64", lambda x, op=op: op(x, axis=1), integers(3, 4, low=-3, high=4, dtype="int64")),
        ("float64", lambda x, op=op: op(x, axis=1), X.astype("float64")),
        ("dtype", lambda x, op=op: op(x, axis=1, dtype="float32"), integers(3, 4, low=-3, high=4)),
    )
]
CASES += [Case("cumsum bool", lambda x: ops.cumsum(x, axis=1), (booleans(3, 4),))]

test_parity = parity_test(CASES, __name__)
