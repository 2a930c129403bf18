"""Operations on pairs of elements: all ways to broadcast, all types, special values."""

import functools
import itertools

import numpy as np
from harness import Case, booleans, floats, integers, parity_test
from keras import ops

SHAPES = {
    "same": ((3, 4, 5), (3, 4, 5)),
    "trailing": ((3, 4, 5), (5,)),
    "leading": ((5,), (3, 4, 5)),
    "middle": ((3, 4, 5), (4, 1)),
    "outer": ((4, 1), (1, 5)),
    "scalar": ((3, 4), ()),
    "from scalar": ((), (3, 4)),
    "both scalar": ((), ()),
    "column": ((2, 3, 4, 5), (2, 1, 1, 5)),
    "ones": ((1, 1, 1), (2, 3, 4)),
}
FLOAT = (
    "add subtract multiply divide true_divide maximum minimum arctan2 equal not_equal less "
    "less_equal greater greater_equal".split()
)
ODD = "floor_divide mod power divide_no_nan hypot logaddexp".split()
BASE = np.array([[1.0, -1.0, 0.0, np.nan, np.inf, -np.inf]], "float32")
EQUALS = np.array([[0, 1, 2, 3], [3, 2, 1, 0]], "float32")


def op(name):
    return getattr(ops, name)


CASES = [
    Case(f"{name} {kind}", op(name), (floats(*a), floats(*b, low=-3)), dynamic=False)
    for name in FLOAT
    for kind, (a, b) in SHAPES.items()
    if kind in ("same", "trailing", "middle", "scalar") or name in ("add", "maximum", "less")
]
CASES += [Case(f"{name} dynamic", op(name), (floats(3, 4), floats(3, 4, low=-3))) for name in FLOAT]
CASES += [
    Case(f"{name} special", op(name), (np.repeat(BASE, 6, 1), np.tile(BASE, (1, 6))))
    for name in FLOAT
    if name != "arctan2"
]
CASES += [
    Case(
        f"{name} {kind}",
        op(name),
        (
            floats(*a, low=0.5, high=4) if name == "power" else floats(*a, high=9),
            floats(*b, low=-3),
        ),
        dynamic=False,
    )
    for name in ODD
    for kind, (a, b) in SHAPES.items()
    if kind in ("same", "trailing", "middle", "scalar")
]
# ND4J takes the one element for a scalar, and has no result of two axes then.
CASES += [
    Case(
        f"{name} and {other}",
        lambda x, y: [op(name)(x, y) for name in (*FLOAT, *ODD)],
        (floats(*a, low=0.5, high=4), floats(*b, low=0.5)),
        dynamic=False,
    )
    for (name, a), (other, b) in itertools.permutations(
        {"one row of one": (1, 1), "a vector": (4,)}.items()
    )
]
COMPARISONS = ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")
CASES += [
    Case(
        f"{name} {dtype}",
        op(name),
        (integers(4, 6, dtype=dtype, low=low), integers(4, 6, dtype=dtype, low=low, high=8)),
    )
    for dtype, low in (("int32", -9), ("int64", -9), ("int8", -9), ("uint8", 0), ("int16", -9))
    for name in ("add", "subtract", "multiply", "maximum", "minimum", *COMPARISONS)
    if dtype in ("int32", "int64") or name in ("add", "multiply", "maximum", "less")
    if not (dtype == "uint8" and name == "subtract")
]
NONZERO = integers(4, 6, low=1, high=5) * np.where(booleans(4, 6), 1, -1).astype("int32")
CASES += [
    Case(f"{name} {dtype}", op(name), (integers(4, 6, dtype=dtype), NONZERO.astype(dtype)))
    for name in ("floor_divide", "mod", "divide")
    for dtype in ("int32", "int64")
]
CASES += [
    Case(
        f"{name} {dtype}",
        op(name),
        (floats(3, 4, dtype=dtype), floats(3, 4, dtype=dtype, low=-3)),
        rtol=tol,
        atol=tol,
    )
    for dtype, tol in (("float64", 1e-12), ("float16", 2e-3))
    for name in (*FLOAT, "floor_divide", "mod", "divide_no_nan")
]
CASES += [
    Case(f"{name} equal values", op(name), (EQUALS, np.full_like(EQUALS, 2)))
    for name in COMPARISONS
]
CASES += [
    Case(f"{name} bool {kind}", op(name), (booleans(*a), booleans(*b)), dynamic=False)
    for name in ("logical_and", "logical_or", "logical_xor", "equal", "not_equal")
    for kind, (a, b) in SHAPES.items()
    if kind in ("same", "trailing", "outer")
]
CASES += [
    Case(
        "logical_and of numbers",
        ops.logical_and,
        (integers(3, 4, low=0, high=3), integers(3, 4, low=-1, high=2)),
    ),
    *[
        Case(f"{name} number {kind}", lambda x, f=f: f(f(x, 0.5), 0.25), (x,))
        for name, f in (("maximum", ops.maximum), ("minimum", ops.minimum))
        for kind, x in (
            ("", floats(3, 4)),
            ("special", BASE),
            ("float16", floats(3, 4, dtype="float16")),
        )
    ],
    Case("maximum number first", lambda x: ops.maximum(0.5, x), (BASE,)),
    Case("maximum int number", lambda x: ops.maximum(x, 2), (integers(3, 4),)),
    Case("power negative base", lambda x: ops.power(x, 3.0), (floats(3, 4),)),
    Case("power int", ops.power, (integers(3, 4), integers(3, 4, low=0, high=5))),
    Case("power half", lambda x: x**0.5, (floats(3, 4, low=0),)),
    # NB: more than oneDNN takes after one primitive.
    Case(
        "forty in a row",
        lambda x, y: functools.reduce(ops.add, [y] * 40, x * y),
        (floats(3, 4), floats(3, 4, low=-1)),
    ),
    Case("list of numbers", lambda x: [0.5, -2.0, 1.0, 3.0] * x, (floats(3, 4),)),
    Case("list of whole numbers", lambda x: ops.maximum(x, [1, -2, 0, 3]), (integers(3, 4),)),
    Case("python scalars", lambda x: 1 + 2 * x - x / 4, (floats(3, 4),)),
    Case("python scalars int", lambda x: 1 + 2 * x, (integers(3, 4),)),
    Case("promotion", ops.add, (integers(3, 4), floats(3, 4))),
    Case(
        "divide_no_nan zeros",
        ops.divide_no_nan,
        (np.array([[1.0, 0.0, 2.0]], "float32"), np.array([[0.0, 0.0, 4.0]], "float32")),
    ),
    Case(
        "divide by zero",
        ops.divide,
        (np.array([[1.0, -1.0, 0.0]], "float32"), np.zeros((1, 3), "float32")),
    ),
    Case(
        "logaddexp far",
        ops.logaddexp,
        (np.array([[1e4, -1e4, 3]], "float32"), np.array([[1e4, 0, -200]], "float32")),
    ),
    *[
        Case(name, op(name), (integers(3, 4, low=0, high=9), integers(3, 4, low=0, high=17)))
        for name in ("bitwise_and", "bitwise_or", "bitwise_xor")
    ],
    *[
        Case(
            f"{name} {dtype}",
            op(name),
            (
                integers(3, 4, dtype=dtype, low=low, high=90),
                integers(4, dtype=dtype, low=0, high=6),
            ),
            dynamic=False,
        )
        for name in ("bitwise_left_shift", "bitwise_right_shift", "left_shift", "right_shift")
        for dtype, low in (("int8", -90), ("uint8", 0), ("int32", -90))
    ],
]
WHERE = {
    "same": ((3, 4), (3, 4), (3, 4)),
    "rows": ((4,), (4, 4), (4, 4)),
    "column": ((4, 1), (4, 3), ()),
    "spread": ((3, 1, 4), (2, 1), (4,)),
    "scalar condition": ((), (3, 4), (3, 4)),
}
CASES += [
    Case(
        f"where {kind}",
        ops.where,
        (booleans(*c), floats(*a), floats(*b, low=5, high=6)),
        dynamic=False,
    )
    for kind, (c, a, b) in WHERE.items()
]
CASES += [
    Case(
        f"where {dtype}",
        ops.where,
        (booleans(3, 4), integers(3, 4).astype(dtype), integers(3, 4, high=3).astype(dtype)),
    )
    for dtype in ("int32", "int64", "int8", "float16", "float64", "bool", "uint8")
]
CASES += [
    Case(
        "where special",
        ops.where,
        (
            np.array([[True, False, True, False]]),
            np.array([[1, np.nan, np.inf, -np.inf]], "float32"),
            np.array([[np.nan, 2, np.nan, np.inf]], "float32"),
        ),
    ),
]

test_parity = parity_test(CASES, __name__)
