"""Images: every interpolation up, down and uneven; colours; blocks."""

import numpy as np
from harness import Case, floats, integers, parity_test
from keras import ops

IMAGE = floats(2, 8, 6, 3, low=0, high=1)
FIRST = np.ascontiguousarray(IMAGE.transpose(0, 3, 1, 2))
BYTES = integers(2, 8, 6, 3, low=0, high=256).astype("uint8")
METHODS = ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")


def resized(name, size, x=IMAGE, **kw):
    # TensorFlow sums the weights of cubic and Lanczos kernels in float32.
    return Case(
        f"resize {name}", lambda t: ops.image.resize(t, size, **kw), (x,), rtol=2e-5, atol=5e-6
    )


CASES = [
    resized(
        f"{method} {kind}{' antialias' if antialias else ''}",
        size,
        interpolation=method,
        antialias=antialias,
    )
    for method in METHODS
    for kind, size in {
        "up": (16, 12),
        "down": (4, 3),
        "uneven": (5, 11),
        "to one": (1, 1),
        "same": (8, 6),
    }.items()
    for antialias in (False, True)
    if not antialias or kind in ("up", "down", "uneven")
]
CASES += [
    resized("one image", (5, 7), IMAGE[0], interpolation="bilinear"),
    resized("channels first", (5, 7), FIRST, data_format="channels_first"),
    resized(
        "nearest channels first",
        (5, 7),
        FIRST,
        interpolation="nearest",
        data_format="channels_first",
    ),
    resized("crop", (6, 3), crop_to_aspect_ratio=True),
    resized("crop wide", (3, 6), crop_to_aspect_ratio=True),
    resized("pad", (6, 3), pad_to_aspect_ratio=True, fill_value=0.5),
    resized("pad wide", (3, 6), pad_to_aspect_ratio=True),
    resized("bytes", (5, 7), BYTES),
    resized("bytes bicubic", (16, 12), BYTES, interpolation="bicubic"),
    resized("bytes nearest", (5, 7), BYTES, interpolation="nearest"),
    Case("grayscale", ops.image.rgb_to_grayscale, (IMAGE,)),
    Case(
        "grayscale channels first",
        lambda x: ops.image.rgb_to_grayscale(x, data_format="channels_first"),
        (FIRST,),
    ),
    Case("grayscale bytes", ops.image.rgb_to_grayscale, (BYTES,)),
    Case("rgb_to_hsv", ops.image.rgb_to_hsv, (IMAGE,), gradient="refused"),
    Case(
        "rgb_to_hsv channels first",
        lambda x: ops.image.rgb_to_hsv(x, data_format="channels_first"),
        (FIRST,),
        gradient="refused",
    ),
    Case(
        "rgb_to_hsv gray",
        ops.image.rgb_to_hsv,
        (np.full((1, 2, 2, 3), 0.3, "float32"),),
        gradient="refused",
    ),
    Case("hsv_to_rgb", ops.image.hsv_to_rgb, (IMAGE,), gradient="refused"),
    Case("depth_to_space", lambda x: ops.depth_to_space(x, 2), (floats(2, 3, 4, 8),)),
    Case(
        "depth_to_space channels first",
        lambda x: ops.depth_to_space(x, 2, data_format="channels_first"),
        (floats(2, 8, 3, 4),),
    ),
    Case("space_to_depth", lambda x: ops.space_to_depth(x, 2), (floats(2, 4, 6, 3),)),
    Case(
        "space_to_depth channels first",
        lambda x: ops.space_to_depth(x, 2, data_format="channels_first"),
        (floats(2, 3, 4, 6),),
    ),
    Case("patches", lambda x: ops.image.extract_patches(x, (3, 2)), (IMAGE,)),
    Case(
        "patches strides",
        lambda x: ops.image.extract_patches(x, (3, 3), strides=(2, 1), padding="same"),
        (IMAGE,),
    ),
    Case(
        "patches dilation",
        lambda x: ops.image.extract_patches(x, (2, 2), strides=1, dilation_rate=2),
        (IMAGE,),
    ),
    Case("psnr", lambda x, y: ops.psnr(x, y, 1.0), (IMAGE, floats(2, 8, 6, 3, low=0.1, high=1))),
]

test_parity = parity_test(CASES, __name__)
