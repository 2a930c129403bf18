"""Arrays made from sizes and numbers; triangles and diagonals."""

import numpy as np
from harness import Case, booleans, floats, integers, parity_test
from keras import ops

X = floats(3, 4, 5)
NAN = np.full((2, 3, 3), np.nan, "float32")


def beside(name, function, x=X, **kw):
    return Case(name, function, (x,), **kw)


CASES = [
    beside("zeros of the batch", lambda x: ops.zeros((ops.shape(x)[0], 3)) + x[:, 0, :1]),
    beside("ones of the batch", lambda x: ops.ones((ops.shape(x)[0], 3), dtype="int32")),
    beside("full", lambda x: x + ops.full((4, 5), 2.5)),
    beside("full_like", lambda x: ops.full_like(x, 7)),
    beside("zeros_like", ops.zeros_like),
    beside("ones_like", ops.ones_like),
    beside("arange", lambda x: x + ops.arange(5, dtype="float32")),
    beside(
        "arange of a shape", lambda x: ops.arange(ops.shape(x)[1]) + ops.cast(x[:, :, 0], "int32")
    ),
    beside("arange steps", lambda x: x + ops.arange(10.0, 0.0, -2.0)),
    beside("linspace", lambda x: x + ops.linspace(0.0, 1.0, 5)),
    beside("eye", lambda x: x + ops.eye(4, 5)),
    beside("eye shifted", lambda x: x + ops.eye(4, 5, k=1)),
    beside("tri", lambda x: x + ops.tri(4, 5, k=-1)),
    beside("eye of the batch", lambda x: ops.eye(ops.shape(x)[0], 4) + x[:, :, 0]),
    beside("tri of the batch", lambda x: ops.tri(ops.shape(x)[0], 4) + x[:, :, 0], uninferred=True),
    beside(
        "linspace of the batch",
        lambda x: ops.linspace(0.0, 2.0, ops.shape(x)[0]) + x[:, 0, 0],
        uninferred=True,
    ),
    beside("arange of the batch", lambda x: ops.arange(ops.shape(x)[0])),
    beside("tril", ops.tril),
    beside("triu", ops.triu),
    beside("tril k", lambda x: ops.tril(x, k=-1)),
    beside("triu k", lambda x: ops.triu(x, k=2)),
    beside("tril nan", ops.tril, NAN),
    beside("tril int", ops.tril, integers(2, 3, 3)),
    beside("triu bool", ops.triu, booleans(2, 3, 3)),
    beside("diag of a vector", ops.diag, floats(4), dynamic=False),
    beside("diag of a vector k", lambda x: ops.diag(x, k=-1), floats(4), dynamic=False),
    beside("diag of a matrix", ops.diag, floats(4, 5), dynamic=False),
    beside("diag of a matrix k", lambda x: ops.diag(x, k=2), floats(4, 5), dynamic=False),
    beside("diagonal", lambda x: ops.diagonal(x, axis1=1, axis2=2)),
    beside("diagonal offset", lambda x: ops.diagonal(x, offset=1, axis1=1, axis2=2)),
    beside("diagonal axes", lambda x: ops.diagonal(x, offset=-1, axis1=2, axis2=0), dynamic=False),
    beside("trace", lambda x: ops.trace(x, axis1=1, axis2=2)),
    beside("trace offset", lambda x: ops.trace(x, offset=1, axis1=0, axis2=1), dynamic=False),
    Case("meshgrid", lambda x, y: ops.meshgrid(x, y), (floats(3), floats(4)), dynamic=False),
    Case(
        "meshgrid ij",
        lambda x, y: ops.meshgrid(x, y, indexing="ij"),
        (floats(3), floats(4)),
        dynamic=False,
    ),
    Case(
        "meshgrid 3",
        lambda x, y, z: ops.meshgrid(x, y, z),
        (floats(3), floats(4), floats(2)),
        dynamic=False,
    ),
]

test_parity = parity_test(CASES, __name__)
