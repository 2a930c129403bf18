"""Operations that move elements: no number may change, whatever its type."""

import numpy as np
from harness import Case, booleans, floats, integers, parity_test
from keras import ops

X = floats(2, 3, 4, 5)


def moved(name, function, *inputs, **kw):
    return Case(name, function, inputs or (X,), **kw)


CASES = [
    moved("reshape", lambda x: ops.reshape(x, (-1, 12, 5))),
    moved("reshape batch", lambda x: ops.reshape(x, (ops.shape(x)[0], 60))),
    moved("reshape more axes", lambda x: ops.reshape(x, (-1, 3, 2, 2, 5, 1))),
    moved("reshape to scalar", lambda x: ops.reshape(x, ()), floats(1, 1), dynamic=False),
    moved("ravel", ops.ravel),
    moved("expand_dims", lambda x: ops.expand_dims(x, 1)),
    moved("expand_dims last", lambda x: ops.expand_dims(x, -1)),
    moved("expand_dims several", lambda x: ops.expand_dims(x, (0, 2)), dynamic=False),
    moved("squeeze", ops.squeeze, floats(2, 1, 3, 1), dynamic=False),
    moved("squeeze axis", lambda x: ops.squeeze(x, -1), floats(2, 1, 3, 1)),
    moved("transpose", ops.transpose, dynamic=False),
    moved("transpose axes", lambda x: ops.transpose(x, (0, 3, 1, 2))),
    moved("transpose heads", lambda x: ops.transpose(x, (0, 2, 1, 3))),
    moved("transpose of ones", lambda x: ops.transpose(x, (0, 2, 1)), floats(3, 1, 4)),
    moved("transpose matrix", ops.transpose, floats(3, 4), dynamic=False),
    moved("swapaxes", lambda x: ops.swapaxes(x, 1, -1)),
    moved("moveaxis", lambda x: ops.moveaxis(x, [1, 2], [-1, 1])),
    moved(
        "concatenate",
        lambda x, y: ops.concatenate([x, y], axis=-1),
        floats(2, 3, 4),
        floats(2, 3, 2),
    ),
    moved(
        "concatenate axis 1",
        lambda x, y: ops.concatenate([x, y, x], axis=1),
        floats(2, 3, 4),
        floats(2, 1, 4),
    ),
    moved("concatenate axis 0", lambda x: ops.concatenate([x, x], axis=0)),
    moved(
        "concatenate mixed",
        lambda x, y: ops.concatenate([x, y], axis=-1),
        floats(2, 3),
        integers(2, 3),
    ),
    moved(
        "stack", lambda x, y: ops.stack([x, y], axis=1), floats(2, 3), floats(2, 3, low=5, high=6)
    ),
    moved(
        "stack last",
        lambda x, y: ops.stack([x, y], axis=-1),
        floats(2, 3),
        floats(2, 3, low=5, high=6),
    ),
    moved("unstack", lambda x: ops.unstack(x, axis=1)),
    moved("unstack last", lambda x: ops.unstack(x, axis=-1)),
    moved("split", lambda x: ops.split(x, 2, axis=2)),
    moved("split at", lambda x: ops.split(x, [1, 3], axis=2)),
    moved("split uneven at", lambda x: ops.split(x, [1], axis=-1)),
    moved("tile", lambda x: ops.tile(x, (1, 2, 1, 3))),
    moved("tile more axes", lambda x: ops.tile(x, (2, 1, 3)), floats(4, 5), dynamic=False),
    moved("tile fewer axes", lambda x: ops.tile(x, 2), floats(3, 2)),
    moved("repeat", lambda x: ops.repeat(x, 3, axis=1)),
    moved("repeat last", lambda x: ops.repeat(x, 2, axis=-1)),
    moved("repeat flat", lambda x: ops.repeat(x, 2), floats(3, 2), dynamic=False),
    moved("broadcast_to", lambda x: ops.broadcast_to(x, (4, 3, 5)), floats(3, 1), dynamic=False),
    moved("flip", ops.flip, dynamic=False),
    moved("flip axis", lambda x: ops.flip(x, axis=1)),
    moved("flip pieces", lambda x: ops.flip(x, axis=1), floats(3, 4, 2, 20)),
    moved("flip axes", lambda x: ops.flip(x, axis=(1, -1))),
    moved("roll flat", lambda x: ops.roll(x, 7), dynamic=False),
    moved("roll axes", lambda x: ops.roll(x, (1, -2), axis=(1, 2))),
    *[moved(f"roll {n}", lambda x, n=n: ops.roll(x, n, axis=2)) for n in (1, -1, 3, -6, 0, 4)],
]
BY_TYPE = {
    "transpose": lambda x: ops.transpose(x, (0, 2, 1)),
    "concatenate": lambda x: ops.concatenate([x, x], axis=1),
    "stack": lambda x: ops.stack([x, x], axis=1),
    "flip": lambda x: ops.flip(x, axis=1),
    "tile": lambda x: ops.tile(x, (1, 2, 1)),
    "repeat": lambda x: ops.repeat(x, 2, axis=1),
    "roll": lambda x: ops.roll(x, 1, axis=1),
    "pad": lambda x: ops.pad(x, [[0, 0], [1, 2], [0, 1]]),
    "getitem": lambda x: x[:, ::-1, 1:],
    "take": lambda x: ops.take(x, [2, 0], axis=1),
    "reshape": lambda x: ops.reshape(x, (-1, 12)),
}
CASES += [
    Case(
        f"{name} {dtype}",
        function,
        (booleans(2, 3, 4) if dtype == "bool" else np.abs(integers(2, 3, 4)).astype(dtype),),
    )
    for name, function in BY_TYPE.items()
    for dtype in ("float16", "float64", "int8", "int16", "int32", "int64", "uint8", "bool")
]

test_parity = parity_test(CASES, __name__)
