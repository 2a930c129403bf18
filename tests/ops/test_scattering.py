"""Writing by index, and sums by group, with groups that are empty or met twice."""

import numpy as np
from harness import Case, floats, integers, parity_test
from keras import ops

POINTS = np.array([[0, 1], [2, 3], [1, 0]], "int32")
TWICE = np.array([[1], [0], [1]], "int32")
GAPLESS = np.array([0, 0, 1, 2, 2], "int32")
IDS = np.array([0, 2, 2, 0, 4], "int32")

CASES = [
    Case("scatter", lambda v: ops.scatter(POINTS, v, (3, 4)), (floats(3),), dynamic=False),
    Case("scatter twice", lambda v: ops.scatter(TWICE, v, (3, 4)), (floats(3, 4),), dynamic=False),
    Case(
        "scatter_update",
        lambda x, v: ops.scatter_update(x, POINTS, v),
        (floats(3, 4), floats(3)),
        dynamic=False,
    ),
    Case(
        "scatter_update rows",
        lambda x, v: ops.scatter_update(x, [[2], [0]], v),
        (floats(3, 4), floats(2, 4)),
        dynamic=False,
    ),
    Case(
        "scatter_update int",
        lambda x, v: ops.scatter_update(x, POINTS, v),
        (integers(3, 4), integers(3)),
        dynamic=False,
    ),
    *[
        Case(
            f"scatter_update {r}",
            lambda x, v, r=r: ops.scatter_update(x, TWICE, v, reduction=r),
            (floats(3, 4), floats(3, 4, low=-3)),
            dynamic=False,
            gradient="tape" if r == "add" else "refused",
        )
        for r in ("add", "max", "min")
    ],
    *[
        Case(f"{name} {kind}", lambda x, op=op: op(x, IDS, num_segments=6), (x,), dynamic=False)
        for name, op in (
            ("segment_sum", ops.segment_sum),
            ("segment_max", ops.segment_max),
            ("segment_min", ops.segment_min),
            ("segment_prod", ops.segment_prod),
        )
        for kind, x in (
            ("matrix", floats(5, 3)),
            ("vector", floats(5)),
            ("int", integers(5, 2)),
            ("3 axes", floats(5, 2, 3)),
        )
    ],
    *[
        Case(
            f"segments of {'one row' if len(ids) else 'no row'} {x.dtype}",
            lambda x, ids=ids: [
                op(x, np.asarray(ids, "int32"), num_segments=4)
                for op in (ops.segment_sum, ops.segment_max, ops.segment_min, ops.segment_prod)
            ],
            (x[: len(ids)],),
            dynamic=False,
        )
        for ids in ([2], [])
        for x in (floats(1, 3), integers(1, 3))
    ],
    Case(
        "segment_sum without gaps",
        lambda x: ops.segment_sum(x, GAPLESS, num_segments=3),
        (floats(5, 3),),
        dynamic=False,
    ),
]

test_parity = parity_test(CASES, __name__)
