"""Operations on each element: values near 0, large ones, special ones, and the integer types."""

import numpy as np
from harness import Case, floats, integers, parity_test
from keras import ops

ANY = np.concatenate(
    [floats(40, low=-5, high=5), [0, 1, -1, 0.5, -0.5, 1.5, 2.5, -1.5, 1e-6, -1e-6]]
)
ANY = ANY.astype("float32").reshape(2, 25)
UNIT = np.concatenate([floats(40, low=-0.99, high=0.99), [0, 1e-6, -1e-6, 0.999, -0.999]])
UNIT = UNIT.astype("float32").reshape(3, 15)
POSITIVE = np.abs(ANY) + np.float32(1e-3)
SPECIAL = np.array([[np.nan, np.inf, -np.inf, 0.0, 1.0]], "float32")
INT = integers(3, 7)
LARGE = np.array([[-80, -30, -1e-7, 1e-7, 30, 80]], "float32")

NAMES = {
    "any": "negative abs absolute floor ceil square reciprocal sign trunc round exp expm1 sin cos "
    "tan arctan sinh cosh tanh arcsinh erf deg2rad rad2deg isnan isinf isfinite isposinf isneginf "
    "nan_to_num logical_not exp2 fabs real conj erfc".split(),
    "unit": "arcsin arccos arctanh log1p".split(),
    "positive": "sqrt rsqrt log log2 log10 log1p".split(),
}
DATA = {"any": ANY, "unit": UNIT, "positive": POSITIVE}

# Keras on TensorFlow multiplies with a float32 constant there, and fails.
FLOAT32_ONLY = ("exp2",)

CASES = [
    Case(f"{name} {kind}", getattr(ops, name), (DATA[kind],))
    for kind, names in NAMES.items()
    for name in names
]
ALL = sorted({name for names in NAMES.values() for name in names})
CASES += [Case(f"{name} special", getattr(ops, name), (SPECIAL,)) for name in ALL]
CASES += [
    Case(
        f"{name} float64",
        getattr(ops, name),
        (DATA[kind].astype("float64"),),
        rtol=1e-12,
        atol=1e-14,
    )
    for kind, names in NAMES.items()
    for name in names
    if not (kind == "positive" and name == "log1p") and name not in FLOAT32_ONLY
]
CASES += [
    Case(
        f"{name} float16", getattr(ops, name), (DATA[kind].astype("float16"),), rtol=2e-3, atol=1e-3
    )
    for kind, names in NAMES.items()
    for name in names
    if not (kind == "positive" and name == "log1p") and name not in FLOAT32_ONLY
]
CASES += [
    Case(f"{name} int32", getattr(ops, name), (INT,))
    for name in "negative abs floor ceil square sign trunc round exp sin logical_not".split()
]
CASES += [
    Case(f"{name} {dtype}", getattr(ops, name), (np.abs(INT).astype(dtype),))
    for dtype in ("int8", "int16", "int64", "uint8")
    for name in ("abs", "square", "sign", "logical_not")
]
CASES += [
    Case("expm1 large", ops.expm1, (LARGE,)),
    Case("log1p tiny", ops.log1p, (np.array([[1e-9, -1e-9, 1e-20, 1e-5, -0.9999]], "float32"),)),
    Case("log1p huge", ops.log1p, (np.array([[1e9, 3e38]], "float32"),)),
    Case("arccosh", ops.arccosh, (floats(3, 4, low=1, high=5),)),
    Case("arcsinh large", ops.arcsinh, (np.array([[-1e6, -1e3, 1e3, 1e6]], "float32"),)),
    Case("round decimals", lambda x: ops.round(x, decimals=2), (ANY,)),
    Case("round halves", ops.round, (np.arange(-3.5, 4.5, 0.5, dtype="float32")[None],)),
    Case("clip", lambda x: ops.clip(x, -0.5, 1.5), (ANY,)),
    Case("clip special", lambda x: ops.clip(x, -0.5, 1.5), (SPECIAL,)),
    Case("clip int", lambda x: ops.clip(x, -2, 3), (INT,)),
    Case(
        "clip tensors",
        lambda x: ops.clip(x, floats(2, 1, low=-1, high=0), floats(25, low=0, high=1)),
        (ANY,),
        dynamic=False,
    ),
    Case("logical_not bool", ops.logical_not, (INT > 0,)),
    Case("erf far", ops.erf, (LARGE,)),
    Case("nan_to_num values", lambda x: ops.nan_to_num(x, nan=1, posinf=2, neginf=3), (SPECIAL,)),
    Case("scalar", lambda x: ops.sqrt(ops.abs(x)), (np.float32(-2).reshape(()),)),
    Case("empty", ops.exp, (np.zeros((2, 0), "float32"),)),
]

VALUES = {
    "float32": np.array([[-2.7, -0.5, 0.0, 0.5, 1.0, 100.9]], "float32"),
    "int32": np.array([[-3, 0, 1, 100]], "int32"),
    "bool": np.array([[True, False, True]]),
}
TYPES = "float16 float32 float64 int8 int16 int32 int64 uint8 bool".split()
CASES += [
    Case(f"cast {source} to {target}", lambda x, target=target: ops.cast(x, target), (x,))
    for source, x in VALUES.items()
    for target in TYPES
    # Out of the range of uint8 there is no defined answer.
    if source != target and not (target == "uint8" and source != "bool")
]
CASES += [
    Case(
        f"cast {source} to float32",
        lambda x: ops.cast(x, "float32"),
        (VALUES["int32"].astype(source),),
    )
    for source in ("int8", "int16", "int64", "float16", "float64")
]
CASES += [
    Case(
        "cast float32 to uint8",
        lambda x: ops.cast(x, "uint8"),
        (np.array([[0, 1.9, 200]], "float32"),),
    ),
    Case(
        "cast uint8 to int32", lambda x: ops.cast(x, "int32"), (np.array([[0, 7, 255]], "uint8"),)
    ),
    Case("cast nan to bool", lambda x: ops.cast(x, "bool"), (SPECIAL,)),
    Case(
        "saturate uint8",
        lambda x: ops.saturate_cast(x, "uint8"),
        (np.array([[-9.5, 3.7, 300]], "float32"),),
    ),
    Case(
        "saturate int8",
        lambda x: ops.saturate_cast(x, "int8"),
        (np.array([[-900, 3, 300]], "int32"),),
    ),
]

test_parity = parity_test(CASES, __name__)
