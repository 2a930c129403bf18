"""What is composed for want of an operation."""

import numpy as np
from harness import Case, booleans, floats, integers, parity_test
from keras import ops

UNIT = np.array([[-1, -0.9999, -0.7, -1e-4, 0, 1e-4, 0.3, 0.99999, 1]], "float32")
NEAR = np.array([[1.0, 1.0000001, 1.001, np.nan, np.inf]], "float32")
OTHER = np.array([[1.0, 1.0, 1.0, np.nan, np.inf]], "float32")

CASES = [
    Case("sparsemax", ops.sparsemax, (floats(1, 6),), dynamic=False),
    Case("sparsemax vector", ops.sparsemax, (floats(7),), dynamic=False),
    Case("sparsemax rows", ops.sparsemax, (floats(4, 6),)),
    Case("sparsemax axis 1", lambda x: ops.sparsemax(x, axis=1), (floats(2, 5, 3),)),
    Case("erfinv", ops.erfinv, (UNIT,)),
    Case(
        "erfinv float64",
        ops.erfinv,
        (floats(3, 4, low=-0.99, high=0.99).astype("float64"),),
        rtol=1e-6,
    ),
    Case("isclose", ops.isclose, (NEAR, OTHER)),
    Case("isclose nan", lambda x, y: ops.isclose(x, y, equal_nan=True), (NEAR, OTHER)),
    Case("isclose int", ops.isclose, (integers(3, 4), integers(3, 4, high=3))),
    Case(
        "select",
        lambda c, d, x, y: ops.select([c, d], [x, y], 9.0),
        (booleans(3, 4), booleans(4, 4)[:3].copy(), floats(3, 4), floats(3, 4, low=5, high=6)),
    ),
    Case("diff", ops.diff, (floats(3, 6),)),
    Case("diff twice", lambda x: ops.diff(x, n=2, axis=1), (floats(3, 6, 2),)),
]

test_parity = parity_test(CASES, __name__)
