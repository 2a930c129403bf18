"""Activation functions, over the whole range of float32, and where Keras has them on any axis."""

import numpy as np
from harness import Case, floats, parity_test
from keras import ops

NEAR = floats(3, 5, 4, low=-4, high=4)
FAR = np.array(
    [
        [-3e38, -1e4, -120.0, -89.0, -20.0, -1.0, -1e-3, -1e-7, -0.0],
        [0.0, 1e-7, 1e-3, 0.5, 1.0, 3.0, 20.0, 89.0, 1e4],
    ],
    "float32",
)
SPECIAL = np.array([[np.nan, np.inf, -np.inf, 0.0]], "float32")

FUNCTIONS = {
    "relu": ops.relu,
    "relu6": ops.relu6,
    "leaky_relu": ops.leaky_relu,
    "leaky_relu slope 0": lambda x: ops.leaky_relu(x, 0.0),
    "leaky_relu slope 2": lambda x: ops.leaky_relu(x, 2.0),
    "elu": ops.elu,
    "elu alpha": lambda x: ops.elu(x, 0.3),
    "selu": ops.selu,
    "celu": ops.celu,
    "celu alpha": lambda x: ops.celu(x, 0.7),
    "gelu": lambda x: ops.gelu(x, approximate=True),
    "gelu exact": lambda x: ops.gelu(x, approximate=False),
    "hard_sigmoid": ops.hard_sigmoid,
    "hard_silu": ops.hard_silu,
    "hard_tanh": ops.hard_tanh,
    "hard_shrink": ops.hard_shrink,
    "hard_shrink threshold": lambda x: ops.hard_shrink(x, 1.5),
    "soft_shrink": ops.soft_shrink,
    "soft_shrink threshold": lambda x: ops.soft_shrink(x, 1.5),
    "threshold": lambda x: ops.threshold(x, 0.5, -7.0),
    "sigmoid": ops.sigmoid,
    "silu": ops.silu,
    "log_sigmoid": ops.log_sigmoid,
    "softplus": ops.softplus,
    "softsign": ops.softsign,
    "squareplus": ops.squareplus,
    "squareplus b": lambda x: ops.squareplus(x, 9),
    "sparse_sigmoid": ops.sparse_sigmoid,
    "sparse_plus": ops.sparse_plus,
    "tanh": ops.tanh,
    "tanh_shrink": ops.tanh_shrink,
}
# Overflow on the way to the answer differs between libraries: squares of 3e38.
TO_1E4 = ("gelu", "gelu exact", "squareplus", "squareplus b", "sparse_plus", "softsign")

CASES = [Case(f"{name} near 0", f, (NEAR,)) for name, f in FUNCTIONS.items()]
CASES += [
    Case(f"{name} far", f, (np.clip(FAR, -1e4, 1e4) if name in TO_1E4 else FAR,))
    for name, f in FUNCTIONS.items()
]
CASES += [
    Case(f"{name} special", f, (SPECIAL,)) for name, f in FUNCTIONS.items() if name not in TO_1E4
]
CASES += [
    Case(f"{name} {dtype}", f, (NEAR.astype(dtype),), rtol=rtol, atol=atol)
    for name, f in FUNCTIONS.items()
    # TensorFlow has the constants of these in float32 only: 0.2 is 0.200000003 there.
    for exact in [1e-7 if name in ("leaky_relu", "gelu", "gelu exact") else 1e-9]
    for dtype, rtol, atol in (("float64", exact, exact), ("float16", 4e-3, 2e-3))
]
CASES += [
    Case("relu int", ops.relu, (np.array([[-3, 0, 4]], "int32"),)),
    Case("relu scalar", ops.relu, (np.float32(-1.5)[()].reshape(()),)),
    Case("glu", ops.glu, (floats(3, 5, 4),)),
    Case("glu axis 1", lambda x: ops.glu(x, axis=1), (floats(3, 6, 4),)),
]
SOFTMAXES = {"softmax": ops.softmax, "log_softmax": ops.log_softmax}
CASES += [
    case
    for name, f in SOFTMAXES.items()
    for case in (
        Case(f"{name}", f, (NEAR,)),
        Case(f"{name} axis 1", lambda x, f=f: f(x, axis=1), (NEAR,)),
        Case(f"{name} axis 0", lambda x, f=f: f(x, axis=0), (NEAR,), dynamic=False),
        Case(f"{name} vector", f, (floats(7),), dynamic=False),
        Case(f"{name} one column", f, (floats(4, 1),)),
        Case(f"{name} 4 axes", lambda x, f=f: f(x, axis=2), (floats(2, 3, 5, 4),)),
        Case(f"{name} float64", f, (NEAR.astype("float64"),), rtol=1e-10, atol=1e-12),
    )
]
CASES += [
    Case(f"{name} spread", f, (np.array([[-1e4, 0, 200, 199], [-3e38, 1, 2, 3]], "float32"),))
    for name, f in SOFTMAXES.items()
]
CASES += [
    Case("softmax -inf", ops.softmax, (np.array([[-np.inf, 0, 1], [1, 2, -np.inf]], "float32"),)),
    Case("log_softmax float16", ops.log_softmax, (NEAR.astype("float16"),), rtol=2e-3, atol=2e-3),
    Case("softmax float16", ops.softmax, (NEAR.astype("float16"),), rtol=2e-3, atol=1e-3),
]

test_parity = parity_test(CASES, __name__)
