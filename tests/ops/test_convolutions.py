"""Convolutions: every rank, padding, stride, dilation and grouping that Keras has on CPU."""

import numpy as np
from harness import Case, floats, parity_test
from keras import ops

RANKS = {1: (11,), 2: (9, 7), 3: (6, 5, 7)}
WINDOWS = {1: (3,), 2: (3, 2), 3: (2, 3, 3)}


def kernel_of(*shape):
    return floats(*shape, low=-0.3, high=0.3)


def conv(
    name, rank, *, filters=4, channels=3, first=False, kernel_channels=None, window=None, **kw
):
    shape = (channels, *RANKS[rank]) if first else (*RANKS[rank], channels)
    x = floats(2, *shape)
    kernel = kernel_of(*(window or WINDOWS[rank]), kernel_channels or channels, filters)
    if first:
        kw["data_format"] = "channels_first"
    return Case(f"conv{rank}d {name}", lambda t: ops.conv(t, kernel, **kw), (x,))


def depthwise(name, rank, *, multiplier=1, channels=3, **kw):
    x = floats(2, *RANKS[rank], channels)
    kernel = kernel_of(*WINDOWS[rank], channels, multiplier)
    return Case(f"depthwise{rank}d {name}", lambda t: ops.depthwise_conv(t, kernel, **kw), (x,))


def separable(name, rank, *, multiplier=2, **kw):
    x = floats(2, *RANKS[rank], 3)
    kernel, point = (
        kernel_of(*WINDOWS[rank], 3, multiplier),
        kernel_of(*[1] * rank, 3 * multiplier, 5),
    )
    return Case(
        f"separable{rank}d {name}", lambda t: ops.separable_conv(t, kernel, point, **kw), (x,)
    )


def transposed(name, rank, *, window=None, **kw):
    x = floats(2, *RANKS[rank], 3)
    kernel = kernel_of(*(window or WINDOWS[rank]), 4, 3)
    return Case(f"transpose{rank}d {name}", lambda t: ops.conv_transpose(t, kernel, **kw), (x,))


CASES = [
    make(padding, rank, padding=padding)
    for make in (conv, depthwise, separable, transposed)
    for rank in (1, 2, 3)
    if rank < 3 or make in (conv, transposed)
    for padding in ("valid", "same")
]
CASES += [
    conv("strides", rank, strides=2, padding=padding) for rank in (1, 2, 3) for padding in ("same",)
]
CASES += [
    conv("strides valid", 2, strides=(2, 3)),
    conv("strides same uneven", 2, strides=(3, 2), padding="same"),
    conv("dilation", 1, dilation_rate=2),
    conv("dilation same", 2, dilation_rate=(2, 3), padding="same"),
    conv("dilation", 2, dilation_rate=2),
    conv("dilation", 3, dilation_rate=(1, 2, 1)),
    conv("groups", 1, channels=6, kernel_channels=2, filters=9),
    conv("groups", 2, channels=4, kernel_channels=2, filters=6, padding="same"),
    conv("groups as many as channels", 2, channels=4, kernel_channels=1, filters=4, strides=2),
    conv("groups", 3, channels=4, kernel_channels=2, filters=4),
    conv("window 1", 2, window=(1, 1), filters=8),
    conv("window 1 strides", 2, window=(1, 1), strides=2, padding="same"),
    conv("window larger than input same", 2, window=(11, 9), padding="same"),
    conv("one filter", 2, filters=1),
    Case("conv2d both inputs", ops.conv, (floats(2, 5, 6, 3), floats(2, 2, 3, 4)), dynamic=False),
    Case(
        "conv2d float64",
        ops.conv,
        (floats(2, 5, 6, 3, dtype="float64"), floats(2, 2, 3, 4, dtype="float64")),
        dynamic=False,
    ),
    *[conv("channels first", rank, first=True) for rank in (1, 2, 3)],
    conv("channels first strides", 2, first=True, strides=2, padding="same"),
    conv("channels first groups", 2, first=True, channels=4, kernel_channels=2, filters=6),
    conv("channels first dilation", 2, first=True, dilation_rate=2),
    Case(
        "depthwise2d channels first",
        lambda t: ops.depthwise_conv(t, kernel_of(3, 2, 3, 2), data_format="channels_first"),
        (floats(2, 3, 9, 7),),
    ),
    Case(
        "transpose2d channels first",
        lambda t: ops.conv_transpose(
            t, kernel_of(3, 2, 4, 3), strides=2, padding="same", data_format="channels_first"
        ),
        (floats(2, 3, 9, 7),),
    ),
    Case(
        "conv2d float16",
        lambda t: ops.conv(t, kernel_of(3, 2, 3, 4).astype("float16"), padding="same"),
        (floats(2, 9, 7, 3, dtype="float16"),),
        rtol=4e-3,
        atol=4e-3,
    ),
    Case(
        "conv2d negative and large",
        lambda t: ops.conv(t, floats(3, 3, 2, 4), padding="same"),
        (floats(1, 6, 6, 2, low=-1e4, high=1e4),),
        # Sums of 18 terms of up to 2e4 that cancel.
        atol=1e-2,
    ),
    depthwise("strides", 2, strides=2, padding="same"),
    depthwise("multiplier", 2, multiplier=3),
    depthwise("dilation", 2, dilation_rate=2),
    depthwise("dilation same", 2, dilation_rate=2, padding="same"),
    depthwise("strides", 1, strides=2, multiplier=2),
    *[depthwise(f"{n} channels", 2, channels=n, padding="same") for n in (8, 16, 17, 40, 520)],
    depthwise("40 channels, strides", 2, channels=40, strides=2),
    depthwise("24 channels, dilation", 2, channels=24, dilation_rate=(2, 1), padding="same"),
    separable("strides", 2, strides=2, padding="same"),
    separable("multiplier 1", 2, multiplier=1),
    separable("dilation", 1, dilation_rate=2),
    *[
        transposed(f"strides {s} {p}", rank, strides=s, padding=p)
        for rank in (1, 2, 3)
        for s in (2, 3)
        for p in ("valid", "same")
    ],
    *[
        transposed(
            f"window {k} strides {s} {p} padding {o}",
            1,
            window=(k,),
            strides=s,
            padding=p,
            output_padding=o,
        )
        for k, s, o in ((1, 2, None), (1, 3, None), (4, 2, 1), (5, 3, 2), (2, 4, 3), (4, 3, 0))
        for p in ("valid", "same")
        # Keras's own shape is too small for TensorFlow there.
        if (k, s, o, p) != (4, 3, 0, "same")
    ],
    transposed("dilation", 2, dilation_rate=2),
    transposed("dilation same", 2, dilation_rate=2, padding="same"),
    transposed("strides uneven", 2, strides=(3, 2), padding="same"),
    transposed("window 4", 2, window=(4, 4), strides=2, padding="same"),
]

test_parity = parity_test(CASES, __name__)


def test_cases_differ():
    """The random inputs are not all zero: a mapping that does nothing would be found."""
    assert np.abs(floats(2, 3)).max() > 0.1
