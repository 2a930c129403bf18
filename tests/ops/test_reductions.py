"""Reductions over every kind of axes, and what they give for NaN, infinity, nothing and ties."""

import numpy as np
from harness import Case, booleans, floats, integers, parity_test
from keras import ops

X = floats(4, 3, 5, 2)
AXES = {"all": None, "last": -1, "first": 0, "two": (1, 2), "apart": (1, 3), "middle negative": -2}
NAMES = "sum mean prod var std max min amax amin logsumexp".split()
SPECIAL = np.array(
    [[1, np.nan, 2], [np.inf, 1, 2], [-np.inf, -np.inf, -np.inf], [3, -np.inf, np.inf]], "float32"
)


def reduction(name, axis, keepdims):
    op = getattr(ops, name)
    if name == "count_nonzero":
        return lambda x: op(x, axis=axis)
    return lambda x: op(x, axis=axis, keepdims=keepdims)


CASES = [
    Case(
        f"{name} {kind}{' keepdims' if keep else ''}",
        reduction(name, axis, keep),
        (X,),
        dynamic="first" not in kind and axis is not None,
        rtol=1e-5,
    )
    for name in NAMES
    for kind, axis in AXES.items()
    for keep in (False, True)
]
CASES += [
    Case(
        f"{name} bool {kind}",
        reduction(name, axis, kind == "last"),
        (booleans(4, 3, 2),),
        dynamic=False,
    )
    for name in ("any", "all", "count_nonzero", "max", "min", "sum", "mean")
    for kind, axis in AXES.items()
    if kind not in ("apart",)
]
CASES += [
    Case(
        f"{name} {dtype}", reduction(name, (1,), False), (np.abs(integers(4, 3, 2)).astype(dtype),)
    )
    for name in ("sum", "prod", "max", "min", "mean", "any", "count_nonzero", "var")
    for dtype in ("int32", "int64", "int8", "uint8")
    if dtype == "int32" or name in ("sum", "max", "mean")
]
CASES += [
    Case(
        f"{name} float16", reduction(name, -1, False), (X.astype("float16"),), rtol=4e-3, atol=2e-3
    )
    for name in NAMES
]
CASES += [
    Case(
        f"{name} float64",
        reduction(name, -1, False),
        (X.astype("float64"),),
        rtol=1e-12,
        atol=1e-13,
    )
    for name in NAMES
]
CASES += [
    Case(f"{name} special", reduction(name, -1, False), (SPECIAL,))
    for name in ("sum", "mean", "max", "min", "prod", "logsumexp")
]
CASES += [
    Case(
        "logsumexp large",
        lambda x: ops.logsumexp(x, axis=-1),
        (np.array([[1000, 1001], [-1000, -1001]], "float32"),),
    ),
    Case("max initial", lambda x: ops.max(x, axis=1, initial=1.0), (floats(3, 4),)),
    Case("min initial", lambda x: ops.min(x, axis=1, initial=-1.0), (floats(3, 4),)),
    Case("sum of nothing", lambda x: ops.sum(x, axis=1), (np.zeros((3, 0), "float32"),)),
    Case("mean of a vector", ops.mean, (floats(6),), dynamic=False),
    Case("sum of a scalar", ops.sum, (floats(),)),
    Case("mean of images", lambda x: ops.mean(x, axis=(1, 2)), (floats(2, 16, 16, 8),)),
    Case("var far from 0", lambda x: ops.var(x, axis=1), (floats(3, 50) + 1000,), rtol=1e-4),
    Case("sum of many", lambda x: ops.sum(x, axis=1), (floats(2, 100000, low=0),)),
]
TIES = np.array([[1, 3, 3, 2], [0, 0, 0, 0], [-1, -5, -5, -1]], "float32")
CASES += [
    Case(f"{name} {kind}", f, (x,), dynamic=False)
    for name, op in (("argmax", ops.argmax), ("argmin", ops.argmin))
    for kind, f, x in (
        ("ties", lambda x, op=op: op(x, axis=-1), TIES),
        ("axis 0", lambda x, op=op: op(x, axis=0), TIES),
        ("middle", lambda x, op=op: op(x, axis=1), X),
        ("keepdims", lambda x, op=op: op(x, axis=1, keepdims=True), X),
        ("flat", op, X),
        ("flat keepdims", lambda x, op=op: op(x, keepdims=True), X),
        ("int", lambda x, op=op: op(x, axis=1), integers(3, 5)),
        ("float64", lambda x, op=op: op(x, axis=1), X.astype("float64")),
    )
]

test_parity = parity_test(CASES, __name__)
