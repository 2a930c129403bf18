"""Norms and decompositions of matrices and of batches of them."""

import numpy as np
from harness import Case, floats, parity_test
from keras import ops

X = floats(3, 4, 5)
SQUARE = floats(2, 4, 4) + 3 * np.eye(4, dtype="float32")
POSITIVE = (SQUARE @ SQUARE.transpose(0, 2, 1)).astype("float32")
LOWER = np.tril(SQUARE)
UPPER = np.triu(SQUARE)
# Elimination in float32, in another order.
LOOSE = {"rtol": 1e-4, "atol": 1e-5}

CASES = [
    Case(
        f"norm {ord_} {axis}{' keepdims' if keep else ''}",
        lambda x, o=ord_, a=axis, k=keep: ops.norm(x, ord=o, axis=a, keepdims=k),
        (X,),
        dynamic=False,
    )
    for ord_, axis, keep in (
        (None, 1, False),
        (None, (1, 2), True),
        (2, -1, False),
        (1, 1, True),
        (3, 2, False),
        (np.inf, 1, False),
        (-np.inf, 1, False),
        (0, 1, False),
        ("fro", (1, 2), False),
        (1, (1, 2), False),
        (-1, (1, 2), False),
        (np.inf, (1, 2), True),
        (np.inf, (2, 1), False),
    )
]
CASES += [
    Case("det", ops.det, (SQUARE,), **LOOSE),
    Case("det of one", ops.det, (SQUARE[0],), dynamic=False, **LOOSE),
    Case("inv", ops.inv, (SQUARE,), **LOOSE),
    Case("cholesky", ops.cholesky, (POSITIVE,), **LOOSE),
    Case("cholesky upper", lambda x: ops.cholesky(x, upper=True), (POSITIVE,), **LOOSE),
    Case("solve", ops.solve, (SQUARE, floats(2, 4, 3)), **LOOSE),
    Case("solve vectors", ops.solve, (SQUARE[0], floats(4)), dynamic=False, **LOOSE),
    Case("solve_triangular upper", ops.solve_triangular, (UPPER, floats(2, 4, 3)), **LOOSE),
    Case(
        "solve_triangular lower",
        lambda a, b: ops.solve_triangular(a, b, lower=True),
        (LOWER, floats(2, 4, 3)),
        **LOOSE,
    ),
]

test_parity = parity_test(CASES, __name__)
