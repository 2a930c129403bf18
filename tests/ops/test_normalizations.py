"""Normalisations and moments."""

import numpy as np
from harness import Case, floats, parity_test
from keras import ops

X = floats(4, 5, 6, 3)
POSITIVE = {"low": 0.2, "high": 2.0}


def batch_norm(name, shape, axis, *, offset=True, scale=True, **kw):
    n = shape[axis]
    mean, variance = floats(n), floats(n, **POSITIVE)
    if offset:
        kw["offset"] = floats(n, low=-3)
    if scale:
        kw["scale"] = floats(n, low=-1)
    function = lambda x: ops.batch_normalization(x, mean, variance, axis, **kw)  # noqa: E731
    return Case(f"batch norm {name}", function, (floats(*shape),))


def trained_norm(name, shape, axis, *, offset=True, scale=True, **kw):
    """Batch normalisation as it is trained: with statistics of what it normalises."""
    axes = [i for i in range(len(shape)) if i != axis % len(shape)]
    n = shape[axis]

    def function(x, *parameters):
        given = dict(zip(["offset"] * offset + ["scale"] * scale, parameters, strict=True))
        mean, variance = ops.moments(x, axes=axes)
        return ops.batch_normalization(x, mean, variance, axis, **given, **kw)

    inputs = [floats(n, low=-3)] * offset + [floats(n, low=-1)] * scale
    return Case(f"trained norm {name}", function, (floats(*shape), *inputs), dynamic=False)


def one_number(x):
    """What backends take for vectors, beside vectors."""
    mean, variance = floats(3), floats(3, **POSITIVE)
    one, positive = floats(1), floats(1, **POSITIVE)
    own = ops.moments(x, axes=[1, 2], keepdims=True)
    return [
        ops.batch_normalization(x, mean, variance, -1, offset=one),
        ops.batch_normalization(x, mean, variance, -1, floats(3), -one),
        ops.batch_normalization(x, mean, variance, -1, floats(4, 3), -1.5, epsilon=0.1),
        ops.batch_normalization(x, one, positive, -1, floats(3), np.float32(-0.5)),
        ops.batch_normalization(x, one, positive, 1, -one, one),
        ops.batch_normalization(x, *own, -1, None, floats(3, low=-1)),
    ]


CASES = [
    batch_norm("2d", (4, 5), -1),
    batch_norm("3d", (4, 5, 3), -1),
    batch_norm("4d", (2, 5, 6, 3), -1),
    batch_norm("5d", (2, 3, 4, 5, 3), -1),
    batch_norm("axis 1", (2, 3, 6, 5), 1),
    batch_norm("axis 1 of 3", (2, 3, 6), 1),
    batch_norm("axis 2", (2, 3, 6, 5), 2),
    batch_norm("many channels", (2, 7, 7, 64), -1),
    batch_norm("no offset", (2, 5, 6, 3), -1, offset=False),
    batch_norm("no scale", (2, 5, 6, 3), -1, scale=False),
    batch_norm("neither", (2, 5, 6, 3), -1, offset=False, scale=False),
    batch_norm("epsilon", (4, 5), -1, epsilon=0.5),
    Case("batch norm one number", one_number, (floats(2, 5, 4, 3),)),
    Case(
        "batch norm constant 4d",
        lambda x: ops.batch_normalization(x, np.zeros(3, "float32"), np.zeros(3, "float32"), -1),
        (np.ones((2, 4, 4, 3), "float32"),),
    ),
    Case("layer norm", lambda x: ops.layer_normalization(x, floats(3), floats(3, low=-1)), (X,)),
    Case("layer norm plain", ops.layer_normalization, (X,)),
    Case("layer norm epsilon", lambda x: ops.layer_normalization(x, epsilon=0.1), (X,)),
    Case(
        "layer norm axis 1",
        lambda x: ops.layer_normalization(x, floats(5), floats(5, low=-1), axis=1),
        (X,),
    ),
    Case(
        "layer norm axes",
        lambda x: ops.layer_normalization(x, floats(6, 3), floats(6, 3, low=-1), axis=[-2, -1]),
        (X,),
    ),
    Case(
        "layer norm apart axes",
        lambda x: ops.layer_normalization(x, floats(5, 3), axis=[1, 3]),
        (X,),
    ),
    # The mean is 100 times the spread: float32 leaves 5 digits of the deviations.
    Case("layer norm far from 0", ops.layer_normalization, (X + 100,), rtol=1e-4, atol=1e-4),
    Case(
        "layer norm float16", ops.layer_normalization, (X.astype("float16"),), rtol=2e-3, atol=1e-3
    ),
    Case("rms norm", lambda x: ops.rms_normalization(x, floats(3)), (X,)),
    Case("rms norm plain", ops.rms_normalization, (X,)),
    Case("rms norm axes", lambda x: ops.rms_normalization(x, axis=[1, 2]), (X,)),
    Case("rms norm float16", ops.rms_normalization, (X.astype("float16"),), rtol=2e-3, atol=1e-3),
    Case("normalize", ops.normalize, (X,)),
    Case("normalize axis 1", lambda x: ops.normalize(x, axis=1), (X,)),
    Case("normalize order 1", lambda x: ops.normalize(x, order=1), (X,)),
    Case("normalize order 3", lambda x: ops.normalize(x, order=3, axis=1), (X,)),
    Case("normalize zeros", ops.normalize, (np.zeros((2, 3), "float32"),)),
    Case("moments", lambda x: ops.moments(x, axes=[0, 1, 2]), (X,), dynamic=False),
    Case("moments keepdims", lambda x: ops.moments(x, axes=[1], keepdims=True), (X,)),
    Case("moments last", lambda x: ops.moments(x, axes=[-1]), (X,)),
    Case(
        "moments float16",
        lambda x: ops.moments(x, axes=[1]),
        (X.astype("float16"),),
        rtol=2e-3,
        atol=1e-3,
    ),
    trained_norm("2d", (9, 5), -1),
    trained_norm("4d", (3, 5, 6, 16), -1, epsilon=0.1),
    trained_norm("odd channels", (3, 5, 6, 7), -1),
    trained_norm("axis 1", (3, 4, 6, 5), 1),
    trained_norm("axis 0", (4, 6, 5), 0),
    trained_norm("no offset", (4, 5, 6, 3), -1, offset=False),
    trained_norm("no scale", (4, 5, 6, 3), -1, scale=False),
    trained_norm("one sample", (1, 5, 6, 3), -1),
    Case(
        "moments of x and norm of another",
        lambda x, y: ops.batch_normalization(y, *ops.moments(x, axes=[0]), -1),
        (floats(6, 5), floats(6, 5, low=-2)),
        dynamic=False,
    ),
]

test_parity = parity_test(CASES, __name__)
