"""Poolings, sliding and adaptive. All inputs have negative numbers, so that padding would show."""

from harness import Case, floats, parity_test
from keras import ops

SHAPES = {1: (2, 11, 3), 2: (2, 9, 7, 3), 3: (2, 6, 5, 7, 3)}


def pool(kind, name, rank, *, low=-2.0, shape=None, **kw):
    function = {"max": ops.max_pool, "average": ops.average_pool}[kind]
    x = floats(*(shape or SHAPES[rank]), low=low, high=-0.1 if low < -2 else 2.0)
    return Case(f"{kind} {rank}d {name}", lambda t: function(t, **kw), (x,))


CASES = [
    pool(kind, name, rank, **kw)
    for kind in ("max", "average")
    for rank in (1, 2, 3)
    for name, kw in {
        "valid": {"pool_size": 2},
        "same": {"pool_size": 3, "padding": "same"},
        "strides 1 same": {"pool_size": 2, "strides": 1, "padding": "same"},
        "strides larger": {"pool_size": 2, "strides": 3},
        "all negative, same": {"pool_size": 3, "strides": 2, "padding": "same", "low": -9.0},
        "channels first": {"pool_size": 2, "strides": 1, "data_format": "channels_first"},
    }.items()
]
CASES += [
    pool("max", "uneven", 2, pool_size=(3, 2), strides=(2, 1), padding="same"),
    pool("average", "uneven", 2, pool_size=(3, 2), strides=(2, 1), padding="same"),
    pool("max", "one channel", 2, shape=(3, 5, 5, 1), pool_size=2),
    pool("max", "many channels", 2, shape=(1, 8, 8, 33), pool_size=2),
]
CASES += [
    Case(f"{kind} adaptive {rank}d {size} {form}", function, (floats(*SHAPES[rank]),))
    for kind, op in (("max", ops.adaptive_max_pool), ("average", ops.adaptive_average_pool))
    for rank, size in ((1, 4), (1, 11), (2, (4, 3)), (2, 2), (3, (2, 3, 4)))
    for form in ("channels_last", "channels_first")
    if form == "channels_last" or size in (2, (2, 3, 4))
    for function in [lambda t, op=op, size=size, form=form: op(t, size, data_format=form)]
]

test_parity = parity_test(CASES, __name__)
