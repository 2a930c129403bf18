"""Slices, padding, and elements picked by index."""

import numpy as np
import pytest
from harness import Case, floats, integers, parity_test
from keras import ops

X = floats(4, 5, 6)


def item(name, function, **kw):
    return Case(f"getitem {name}", function, (X,), **kw)


CASES = [
    item("range", lambda x: x[:, 1:4]),
    item("open", lambda x: x[:, 2:, :3]),
    item("negative", lambda x: x[:, -3:-1]),
    item("beyond", lambda x: x[:, 2:99, -99:2]),
    item("steps", lambda x: x[:, ::2, 1::3]),
    item("backwards", lambda x: x[:, ::-1]),
    item("backwards steps", lambda x: x[:, 4:0:-2, ::-3]),
    item("backwards from the end", lambda x: x[:, -2::-1]),
    item("index", lambda x: x[:, 2]),
    item("last index", lambda x: x[:, -1, :]),
    item("two indices", lambda x: x[:, 1, 3]),
    item("batch index", lambda x: x[1], dynamic=False),
    item("batch range", lambda x: x[1:3, :], dynamic=False),
    item("newaxis", lambda x: x[:, None, 1]),
    item("ellipsis", lambda x: x[..., 0]),
    item("ellipsis newaxis", lambda x: x[..., None]),
    item("everything", lambda x: x[:, None, ::-2, ..., -1]),
    item("empty", lambda x: x[:, 3:2]),
    item("tensor", lambda x: ops.take(x, np.array([1, 0, 2], "int32"), axis=1)),
    Case("slice", lambda x: ops.slice(x, (1, 0, 2), (2, 5, 3)), (X,), dynamic=False),
    Case(
        "slice_update",
        lambda x, y: ops.slice_update(x, (1, 2, 0), y),
        (X, floats(2, 2, 6, low=7, high=8)),
        dynamic=False,
        gradient="differences",  # TensorFlow has none of this one
    ),
]
MODES = {"constant": 6, "reflect": 2, "symmetric": 3}
CASES += [
    Case(f"pad {mode} {kind}", lambda x, mode=mode, width=width: ops.pad(x, width, mode=mode), (X,))
    for mode in MODES
    for kind, width in {
        "one axis": [[0, 0], [1, 2], [0, 0]],
        "two axes": [[0, 0], [2, 1], [2, 2]],
        "one side": [[0, 0], [0, 0], [0, 2]],
        "none": [[0, 0], [0, 0], [0, 0]],
    }.items()
]
CASES += [
    Case("pad value", lambda x: ops.pad(x, [[0, 0], [1, 1], [0, 3]], constant_values=-7.5), (X,)),
    Case("pad wide", lambda x: ops.pad(x, [[0, 0], [40, 0], [0, 0]]), (X,)),
    Case(
        "pad images", lambda x: ops.pad(x, [[0, 0], [3, 3], [3, 3], [0, 0]]), (floats(2, 8, 8, 3),)
    ),
]
TABLE = floats(10, 4)
IDS = integers(3, 5, low=0, high=10)
CASES += [
    Case("take rows", lambda i: ops.take(TABLE, i, axis=0), (IDS,)),
    Case("take rows int64", lambda i: ops.take(TABLE, i, axis=0), (IDS.astype("int64"),)),
    Case("take rows by vector", lambda i: ops.take(TABLE, i, axis=0), (IDS[0],)),
    Case("take rows by scalar", lambda i: ops.take(TABLE, i, axis=0), (np.int32(3).reshape(()),)),
    Case("take of vector", lambda i: ops.take(TABLE[:, 0], i, axis=0), (IDS,)),
    Case(
        "take of vector by 3 axes",
        lambda i: ops.take(TABLE[:, 0], i, axis=0),
        (integers(2, 3, 4, low=0),),
    ),
    Case("take negative", lambda x: ops.take(x, [-1, 0, -5], axis=1), (X,)),
    Case("take axis 1", lambda x: ops.take(x, [[3, 1], [0, 4]], axis=1), (X,)),
    Case("take last axis", lambda x: ops.take(x, [3, 1, 1], axis=-1), (X,)),
    Case("take one of a later axis", lambda x: ops.take(x, [2], axis=1), (X,)),
    Case("take flat", lambda x: ops.take(x, [7, 33, 2]), (X,), dynamic=False),
    Case("take one column", lambda i: ops.take(floats(10, 1), i, axis=0), (IDS,)),
    Case(
        "take_along_axis",
        lambda x: ops.take_along_axis(x, integers(4, 2, 6, low=0, high=5), axis=1),
        (X,),
        dynamic=False,
    ),
    Case(
        "take_along_axis last",
        lambda x: ops.take_along_axis(x, integers(4, 5, 3, low=-6, high=6), axis=-1),
        (X,),
        dynamic=False,
    ),
    Case(
        "take_along_axis spread",
        lambda x: ops.take_along_axis(x, integers(4, 1, 3, low=0, high=6), axis=2),
        (X,),
        dynamic=False,
    ),
    Case(
        "take_along_axis flat",
        lambda x: ops.take_along_axis(x, integers(7, low=0, high=100)),
        (X,),
        dynamic=False,
    ),
    Case("one_hot", lambda i: ops.one_hot(i, 10), (IDS,)),
    Case("one_hot axis 1", lambda i: ops.one_hot(i, 10, axis=1), (IDS,)),
    Case("one_hot outside", lambda i: ops.one_hot(i, 4), (integers(3, 5, low=-3, high=7),)),
    Case("one_hot int", lambda i: ops.one_hot(i, 10, dtype="int32"), (IDS,)),
    Case("one_hot bool", lambda i: ops.one_hot(i, 10, dtype="bool"), (IDS,)),
    Case("one_hot uint8 ids", lambda i: ops.one_hot(i, 10), (IDS.astype("uint8"),)),
    Case("multi_hot", lambda i: ops.multi_hot(i, 10), (IDS,)),
]

test_parity = parity_test(CASES, __name__)


@pytest.mark.parametrize("bad", [10, -11])
def test_indices_outside_are_refused(jvm, bad):
    """ND4J would read another row, or no memory of the table at all."""
    import kbridge

    case = Case("take", lambda i: ops.take(TABLE, i, axis=0), (IDS,))
    ids = IDS.copy()
    ids[1, 2] = bad
    refused = pytest.raises(kbridge.errors.InvalidInputError, match="indices from -10 to 9")
    with kbridge.load(case.bundle, engine="nd4j") as model, refused:
        model.predict_on_batch(ids)
