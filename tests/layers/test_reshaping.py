"""Layers that move, cut, repeat and pad."""

from __future__ import annotations

from tests.layers.harness import Case, In, layer_test

FIRST = {"data_format": "channels_first"}

_SHAPES = [
    Case("Flatten", "default", (In((3, 4)),)),
    Case("Flatten", "vector", (In((4,)),)),
    Case("Flatten", "scalar", (In(()),)),
    Case("Flatten", "channels first", (In((2, 3, 4)),), FIRST),
    Case("Flatten", "free sizes", (In((None, 4)),)),
    Case("Flatten", "integers", (In((3, 4), "int32"),), {"dtype": "int32"}),
    Case("Reshape", "default", (In((3, 4)),), {"target_shape": (2, 6)}),
    Case("Reshape", "unknown", (In((3, 4)),), {"target_shape": (-1, 2)}),
    Case("Reshape", "to vector", (In((3, 4)),), {"target_shape": (-1,)}),
    Case("Reshape", "free sizes", (In((None, 4)),), {"target_shape": (-1, 2, 2)}),
    Case("Reshape", "added axes", (In((6,)),), {"target_shape": (1, 3, 2, 1)}),
    Case("Permute", "default", (In((3, 4)),), {"dims": (2, 1)}),
    Case("Permute", "three axes", (In((2, 3, 4)),), {"dims": (3, 1, 2)}),
    Case("Permute", "unmoved", (In((2, 3)),), {"dims": (1, 2)}),
    Case("Permute", "free sizes", (In((None, 2, None)),), {"dims": (3, 2, 1)}),
    Case("RepeatVector", "default", (In((4,)),), {"n": 3}),
    Case("RepeatVector", "once", (In((4,)),), {"n": 1}),
    Case("RepeatVector", "integers", (In((4,), "int32"),), {"n": 2, "dtype": "int32"}),
]


def _cropping() -> list[Case]:
    found = []
    amounts = {1: (1, 2), 2: ((1, 2), (0, 1)), 3: ((1, 0), (0, 1), (1, 1))}
    sizes = {1: (6,), 2: (6, 5), 3: (5, 4, 6)}
    for n in (1, 2, 3):
        layer, size = f"Cropping{n}D", sizes[n]
        found += [
            Case(layer, "default", (In((*size, 3)),)),
            Case(layer, "amounts", (In((*size, 3)),), {"cropping": amounts[n]}),
            Case(layer, "free sizes", (In((None,) * n + (3,)),), {"cropping": 1}),
        ]
        if n > 1:
            both = {"cropping": amounts[n], **FIRST}
            found.append(Case(layer, "channels first", (In((3, *size)),), both))
            found.append(Case(layer, "per axis", (In((*size, 3)),), {"cropping": (2, 1, 2)[:n]}))
    return found


def _padding() -> list[Case]:
    found = []
    amounts = {1: (1, 2), 2: ((1, 2), (0, 3)), 3: ((1, 0), (0, 2), (1, 1))}
    for n in (1, 2, 3):
        layer, size = f"ZeroPadding{n}D", (4, 3, 2)[:n]
        first = {"padding": amounts[n], **FIRST}
        found += [
            Case(layer, "default", (In((*size, 3)),)),
            Case(layer, "amounts", (In((*size, 3)),), {"padding": amounts[n]}),
            Case(layer, "channels first", (In((3, *size)),), first),
            Case(layer, "free sizes", (In((None,) * n + (3,)),), {"padding": 2}),
        ]
    return found


_UPSAMPLING = [
    Case("UpSampling1D", "default", (In((4, 3)),)),
    Case("UpSampling1D", "by three", (In((4, 3)),), {"size": 3}),
    Case("UpSampling1D", "free sizes", (In((None, 3)),), {"size": 2}),
    *(
        Case("UpSampling2D", kind, (In((4, 5, 3)),), {"size": (2, 3), "interpolation": kind})
        for kind in ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")
    ),
    Case("UpSampling2D", "default", (In((4, 5, 3)),)),
    Case("UpSampling2D", "channels first", (In((3, 4, 5)),), dict(size=2, **FIRST)),
    Case(
        "UpSampling2D",
        "bilinear channels first",
        (In((3, 4, 5)),),
        dict(size=2, interpolation="bilinear", **FIRST),
    ),
    Case("UpSampling2D", "free sizes", (In((None, None, 3)),), {"size": 2}),
    Case(
        "UpSampling2D", "bilinear free sizes", (In((None, None, 3)),), {"interpolation": "bilinear"}
    ),
    Case("UpSampling3D", "default", (In((2, 3, 4, 2)),)),
    Case("UpSampling3D", "uneven", (In((2, 3, 4, 2)),), {"size": (1, 2, 3)}),
    Case("UpSampling3D", "channels first", (In((2, 2, 3, 4)),), dict(size=2, **FIRST)),
    Case("UpSampling3D", "free sizes", (In((None, None, None, 2)),)),
]

CASES = [*_SHAPES, *_cropping(), *_padding(), *_UPSAMPLING]

test_layer = layer_test(CASES)
