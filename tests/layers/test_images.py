"""Preprocessing of images: what changes them at inference, and what does so in training only."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from tests.layers.harness import Case, In, layer_test

FIRST = {"data_format": "channels_first"}
IMAGE, IMAGE_FIRST = In((8, 6, 3), low=0, high=255), In((3, 8, 6), low=0, high=255)
BYTES = In((8, 6, 3), "uint8", high=256)
BOXES, LABELS = In((4, 4)), In((4,))
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")


class Within(layers.Layer):
    """Calls a layer inside: Equalization cannot be a node of a functional model in Keras."""

    def __init__(self, inner: Any):
        super().__init__()
        self.inner = inner

    def get_config(self) -> Any:
        return {"inner": keras.saving.serialize_keras_object(self.inner)}

    def call(self, x: Any) -> Any:
        return self.inner(x)

    def compute_output_spec(self, x: Any) -> Any:
        return keras.KerasTensor(x.shape, dtype=x.dtype)


class Boxes(layers.Layer):
    """Gives a layer images with bounding boxes."""

    def __init__(self, inner: Any):
        super().__init__()
        self.inner = inner

    def get_config(self) -> Any:
        return {"inner": keras.saving.serialize_keras_object(self.inner)}

    def call(self, images: Any, boxes: Any, labels: Any) -> Any:
        found = {"boxes": boxes, "labels": labels}
        data = self.inner({"images": images, "bounding_boxes": found})
        return data["images"], data["bounding_boxes"]["boxes"], data["bounding_boxes"]["labels"]

    def compute_output_spec(self, images: Any, boxes: Any, labels: Any) -> Any:
        count = getattr(self.inner, "max_number", boxes.shape[1])
        return (
            keras.KerasTensor(images.shape, dtype=images.dtype),
            keras.KerasTensor((boxes.shape[0], count, 4), dtype=boxes.dtype),
            keras.KerasTensor((labels.shape[0], count), dtype=labels.dtype),
        )


def _boxed(layer: Any, images: Any, boxes: Any, labels: Any) -> Any:
    return layer(images, boxes, labels)


def _at_most(count: int, **config: Any) -> Any:
    inner = dict(bounding_box_format="xyxy", **config)
    return lambda: Boxes(layers.MaxNumBoundingBoxes(count, **inner))


_RESIZING = [
    *(
        Case(
            "Resizing", f"{kind} {word}", (IMAGE,), {"height": h, "width": w, "interpolation": kind}
        )
        for kind in INTERPOLATIONS
        for word, h, w in (("up", 13, 9), ("down", 5, 4))
    ),
    *(
        Case(
            "Resizing",
            f"{kind} antialias",
            (IMAGE,),
            {"height": 3, "width": 5, "interpolation": kind, "antialias": True},
        )
        for kind in INTERPOLATIONS[1:]
    ),
    Case("Resizing", "default", (IMAGE,), {"height": 4, "width": 4}),
    # NB: by two, so that halves are exact and both sides round the same ones.
    Case("Resizing", "bytes", (BYTES,), {"height": 4, "width": 3}),
    Case("Resizing", "channels first", (IMAGE_FIRST,), dict(height=4, width=5, **FIRST)),
    Case(
        "Resizing", "crop wide", (IMAGE,), {"height": 4, "width": 9, "crop_to_aspect_ratio": True}
    ),
    Case(
        "Resizing", "crop tall", (IMAGE,), {"height": 9, "width": 4, "crop_to_aspect_ratio": True}
    ),
    Case(
        "Resizing",
        "pad",
        (IMAGE,),
        {"height": 4, "width": 9, "pad_to_aspect_ratio": True, "fill_value": 3.0},
    ),
    Case(
        "Resizing",
        "pad channels first",
        (IMAGE_FIRST,),
        dict(height=9, width=4, pad_to_aspect_ratio=True, **FIRST),
    ),
    Case(
        "Resizing", "free sizes", (In((None, None, 3), low=0, high=255),), {"height": 4, "width": 5}
    ),
    Case("CenterCrop", "default", (IMAGE,), {"height": 4, "width": 3}),
    Case("CenterCrop", "odd", (IMAGE,), {"height": 5, "width": 5}),
    Case("CenterCrop", "larger resizes", (IMAGE,), {"height": 9, "width": 9}),
    Case("CenterCrop", "channels first", (IMAGE_FIRST,), dict(height=4, width=3, **FIRST)),
]

_CHANGING = [
    Case("AutoContrast", "default", (IMAGE,)),
    Case("AutoContrast", "unit range", (In((8, 6, 3), low=0, high=1),), {"value_range": (0, 1)}),
    Case("AutoContrast", "bytes", (BYTES,)),
    Case("Equalization", "default", (IMAGE,), lambda: Within(layers.Equalization())),
    Case("Equalization", "bins", (IMAGE,), lambda: Within(layers.Equalization(bins=32))),
    Case(
        "Equalization",
        "channels first",
        (IMAGE_FIRST,),
        lambda: Within(layers.Equalization(**FIRST)),
    ),
    Case(
        "ContrastLimitedAdaptiveHistogramEqualization",
        "default",
        (In((16, 16, 3), low=0, high=255),),
    ),
    Case(
        "ContrastLimitedAdaptiveHistogramEqualization",
        "tiles",
        (In((12, 8, 3), low=0, high=255),),
        {"tile_grid_size": (2, 4), "clip_limit": 2.0},
    ),
    Case(
        "ContrastLimitedAdaptiveHistogramEqualization",
        "channels first",
        (In((3, 12, 8), low=0, high=255),),
        dict(tile_grid_size=(2, 2), **FIRST),
    ),
    Case("Solarization", "default", (IMAGE,)),
    Case("Solarization", "threshold", (IMAGE,), {"threshold_factor": 0.5}),
    Case("Solarization", "addition", (IMAGE,), {"addition_factor": 0.4, "threshold_factor": 0.2}),
]


# Layer, its arguments, and the arguments of the second case.
_RANDOM: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "AugMix": ({}, {"num_chains": 2, "factor": 0.5, "seed": 3}),
    "CutMix": ({}, {"factor": 0.5, "seed": 3}),
    "MixUp": ({}, {"alpha": 0.5, "seed": 3}),
    "RandAugment": ({}, {"num_ops": 3, "factor": 0.2, "seed": 3}),
    "RandomBrightness": (
        {"factor": 0.2},
        {"factor": (-0.5, 0.1), "value_range": (0, 1), "seed": 3},
    ),
    "RandomColorDegeneration": ({"factor": 0.2}, {"factor": (0.1, 0.5), "seed": 3}),
    "RandomColorJitter": ({}, {"brightness_factor": 0.3, "hue_factor": 0.1, "seed": 3}),
    "RandomContrast": ({"factor": 0.2}, {"factor": (0.1, 0.5), "seed": 3}),
    "RandomElasticTransform": ({}, {"factor": 0.5, "interpolation": "nearest", "seed": 3}),
    "RandomErasing": ({}, {"factor": 0.5, "fill_value": 0.0, "seed": 3}),
    "RandomFlip": ({}, {"mode": "vertical", "seed": 3}),
    "RandomGaussianBlur": ({}, {"kernel_size": 5, "sigma": 0.4, "seed": 3}),
    "RandomGrayscale": ({}, {"factor": 0.9, "seed": 3}),
    "RandomHue": ({"factor": 0.2}, {"factor": (0.1, 0.4), "seed": 3}),
    "RandomInvert": ({}, {"factor": 0.5, "seed": 3}),
    "RandomPerspective": ({}, {"factor": 0.5, "interpolation": "nearest", "seed": 3}),
    "RandomPosterization": ({"factor": 4}, {"factor": 2, "seed": 3}),
    "RandomRotation": ({"factor": 0.2}, {"factor": (-0.1, 0.3), "fill_mode": "wrap", "seed": 3}),
    "RandomSaturation": ({"factor": 0.2}, {"factor": (0.1, 0.4), "seed": 3}),
    "RandomSharpness": ({"factor": 0.2}, {"factor": (0.1, 0.4), "seed": 3}),
    "RandomShear": ({}, {"x_factor": 0.2, "y_factor": 0.1, "seed": 3}),
    "RandomTranslation": (
        {"height_factor": 0.2, "width_factor": 0.1},
        {"height_factor": (-0.2, 0.3), "width_factor": 0.2, "fill_mode": "constant", "seed": 3},
    ),
    "RandomZoom": ({"height_factor": 0.2}, {"height_factor": 0.1, "width_factor": 0.3, "seed": 3}),
}

_IDENTITIES = [
    case
    for layer, (config, options) in _RANDOM.items()
    for case in (
        Case(layer, "default", (IMAGE,), config),
        Case(layer, "options", (IMAGE,), options),
        Case(layer, "bytes", (BYTES,), config),
    )
]

_CROPPED = [
    Case("RandomCrop", "default", (IMAGE,), {"height": 4, "width": 3}),
    Case("RandomCrop", "seed", (IMAGE,), {"height": 5, "width": 6, "seed": 3}),
    Case("RandomCrop", "larger resizes", (IMAGE,), {"height": 9, "width": 9}),
    Case("RandomCrop", "channels first", (IMAGE_FIRST,), dict(height=4, width=3, **FIRST)),
]


def _pipeline(*made: Any) -> Any:
    return lambda: layers.Pipeline([make() for make in made])


_PIPELINES = [
    Case(
        "Pipeline",
        "default",
        (IMAGE,),
        _pipeline(lambda: layers.Rescaling(1 / 255), lambda: layers.CenterCrop(4, 4)),
    ),
    Case("Pipeline", "one", (IMAGE,), _pipeline(lambda: layers.Resizing(4, 4))),
    Case(
        "Pipeline",
        "random",
        (IMAGE,),
        _pipeline(layers.RandomFlip, lambda: layers.Rescaling(2.0)),
    ),
]

_BOXES = [
    Case("MaxNumBoundingBoxes", "default", (IMAGE, BOXES, LABELS), _at_most(2), call=_boxed),
    Case("MaxNumBoundingBoxes", "padded", (IMAGE, BOXES, LABELS), _at_most(7), call=_boxed),
    Case(
        "MaxNumBoundingBoxes",
        "fill",
        (IMAGE, BOXES, LABELS),
        _at_most(6, fill_value=-9),
        call=_boxed,
    ),
    Case(
        "RandomFlip",
        "boxes",
        (IMAGE, BOXES, LABELS),
        lambda: Boxes(layers.RandomFlip(bounding_box_format="xyxy")),
        call=_boxed,
    ),
]

CASES = [*_RESIZING, *_CHANGING, *_IDENTITIES, *_CROPPED, *_PIPELINES, *_BOXES]

test_layer = layer_test(CASES)
