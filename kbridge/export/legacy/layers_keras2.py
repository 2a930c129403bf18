"""Converters of Keras 2 layers, but for convolutions, recurrent layers and TensorFlow ops."""

from __future__ import annotations

from typing import Any

import keras
from keras.src.saving import serialization_lib

from kbridge.export.legacy.context import Context
from kbridge.export.legacy.objects import plain
from kbridge.export.legacy.ops import ThresholdedReLU
from kbridge.export.legacy.registry import Config, Converted, Refused, converts


def drop(config: Config, *keys: str) -> Config:
    """Removes keys that say nothing about what the layer computes."""
    return {key: value for key, value in config.items() if key not in keys}


def rename(config: Config, **names: str) -> Config:
    """Renames keys: ``rename(config, alpha="negative_slope")``."""
    return {names.get(key, key): value for key, value in config.items()}


def same(class_name: str) -> Any:
    """Registers a class whose Keras 2 and Keras 3 configs are the same."""

    def convert(config: Config, context: Context) -> Converted:
        return Converted(class_name, config)

    convert.__name__ = class_name
    return converts(class_name)(convert)


for _name in (
    "Dense EinsumDense Activation Masking RepeatVector Permute Reshape "
    "ActivityRegularization Identity ELU PReLU Softmax "
    "GaussianNoise GaussianDropout AlphaDropout UnitNormalization GroupNormalization "
    "Add Subtract Multiply Average Maximum Minimum Dot Concatenate "
    "Rescaling CenterCrop CategoryEncoding Discretization AdditiveAttention"
).split():
    same(_name)

for _name in ("Max", "Average"):
    for _rank in ("1D", "2D", "3D"):
        same(f"Global{_name}Pooling{_rank}")

_RANDOM = (
    "RandomFlip RandomRotation RandomZoom RandomTranslation RandomContrast RandomBrightness"
).split()


@converts(*_RANDOM)
def random_layer(config: Config, context: Context) -> Converted:
    """Neutral at inference; `rng_type` chose TensorFlow's generator."""
    return Converted(context.class_path[-1], drop(config, "rng_type"))


@converts(
    "MaxPooling1D",
    "MaxPooling2D",
    "MaxPooling3D",
    "AveragePooling1D",
    "AveragePooling2D",
    "AveragePooling3D",
)
def pooling(config: Config, context: Context) -> Converted:
    """Pooling; Theano pads "same" in its own way."""
    if context.backend == "theano" and config.get("padding") == "same":
        refuse_theano_same_pooling(config)
    return Converted(context.class_path[-1], config)


def refuse_theano_same_pooling(config: Config) -> None:
    """Theano pads k-2 (odd k) or k-1 cells on both sides: only k=3, stride 1 equals Keras 3.

    Raises:
        Refused: If the numbers would differ.
    """
    size, strides = config.get("pool_size"), config.get("strides") or config.get("pool_size")
    sizes = size if isinstance(size, (list, tuple)) else [size]
    steps = strides if isinstance(strides, (list, tuple)) else [strides]
    if any(k != 1 for k in sizes) and not (
        all(k in (1, 3) for k in sizes) and all(s == 1 for s in steps)
    ):
        raise Refused(
            f"pooling with padding 'same', pool_size {sizes} and strides {steps} was padded by "
            "Theano in a way that Keras 3 cannot say",
            "replace the padding by ZeroPadding or use padding 'valid' and save again",
        )


@converts("InputLayer")
def input_layer(config: Config, context: Context) -> Converted:
    """`batch_input_shape` became `batch_shape`; ragged tensors are gone."""
    if config.get("ragged"):
        raise Refused("ragged inputs do not exist in Keras 3", "give the model padded inputs")
    config = rename(config, batch_input_shape="batch_shape")
    return Converted("InputLayer", drop(config, "ragged", "input_dtype", "type_spec", "trainable"))


@converts("Flatten")
def flatten(config: Config, context: Context) -> Converted:
    """Old files without `data_format` flattened in memory order."""
    return Converted("Flatten", {"data_format": "channels_last", **config})


@converts("Dropout")
def dropout(config: Config, context: Context) -> Converted:
    """Dropout's shape may be a tuple in a wrapping."""
    return Converted("Dropout", config)


@converts("SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D")
def spatial_dropout(config: Config, context: Context) -> Converted:
    """Keras 2 stored a `noise_shape` the layer never used."""
    return Converted(context.class_path[-1], drop(config, "noise_shape"))


@converts("Embedding")
def embedding(config: Config, context: Context) -> Converted:
    """`input_length` only checked the input; `sparse` only chose a gradient's form."""
    return Converted("Embedding", drop(config, "input_length", "sparse"))


@converts("LeakyReLU")
def leaky_relu(config: Config, context: Context) -> Converted:
    """`alpha` became `negative_slope`."""
    return Converted("LeakyReLU", rename(config, alpha="negative_slope"))


@converts("ReLU")
def relu(config: Config, context: Context) -> Converted:
    """Missing values are Keras 2's defaults, which are Keras 3's."""
    return Converted("ReLU", rename(config, alpha="negative_slope"))


@converts("ThresholdedReLU")
def thresholded_relu(config: Config, context: Context) -> Converted:
    """Gone from Keras 3: kbridge ships it."""
    config = {key: plain(value) for key, value in config.items()}
    base = {k: config[k] for k in ("name", "trainable") if k in config}
    context.note("ThresholdedReLU is written with keras.ops.threshold")
    return Converted(layer=ThresholdedReLU(theta=config.get("theta", 1.0), **base))


@converts(
    "BatchNormalization",
    "BatchNormalizationV1",
    "BatchNormalizationV2",
    "SyncBatchNormalization",
)
def batch_normalization(config: Config, context: Context) -> Converted:
    """The axis may be a list of one; fused kernels are no concern of the model."""
    axis = plain(config.get("axis", -1))
    if isinstance(axis, (list, tuple)):
        if len(axis) != 1:
            raise Refused(
                f"BatchNormalization over axes {list(axis)} does not exist in Keras 3",
                "normalise over one axis",
            )
        axis = axis[0]
    if plain(config.get("virtual_batch_size")):
        context.note(
            f"{context.where()}: virtual_batch_size takes part in training only and is dropped"
        )
    config = drop(config, "fused", "virtual_batch_size", "adjustment")
    if config.get("renorm"):
        raise Refused(
            "BatchNormalization with renorm=True stores its statistics in an order of its own",
            "set renorm=False: predictions stay the same",
        )
    config = drop(config, "renorm", "renorm_clipping", "renorm_momentum")
    return Converted("BatchNormalization", {**config, "axis": int(axis)})


@converts("LayerNormalization")
def layer_normalization(config: Config, context: Context) -> Converted:
    """The axis is a list of one in most files."""
    axis = plain(config.get("axis", -1))
    if isinstance(axis, (list, tuple)) and len(axis) == 1:
        axis = axis[0]
    return Converted("LayerNormalization", {**config, "axis": axis})


@converts("Normalization")
def normalization(config: Config, context: Context) -> Converted:
    """Adapted statistics are weights in both versions."""
    return Converted("Normalization", drop(config, "input_mean", "input_variance"))


@converts("Resizing")
def resizing(config: Config, context: Context) -> Converted:
    """Same keys; Keras 2 always resized channels-last images."""
    return Converted("Resizing", {"data_format": "channels_last", **config})


@converts("UpSampling1D", "UpSampling3D")
def upsampling(config: Config, context: Context) -> Converted:
    """Same keys."""
    return Converted(context.class_path[-1], config)


@converts("UpSampling2D")
def upsampling_2d(config: Config, context: Context) -> Converted:
    """Before TensorFlow 2, bilinear resizing put pixels at their corners."""
    version = context.version or ""
    if config.get("interpolation") == "bilinear" and version.startswith(("2.2", "2.3")):
        context.note(
            f"{context.where()}: bilinear UpSampling2D has half-pixel centres in Keras 3; a file "
            f"of Keras {version} run under TensorFlow 1 had none"
        )
    return Converted("UpSampling2D", config)


@converts(
    "ZeroPadding1D",
    "ZeroPadding2D",
    "ZeroPadding3D",
    "Cropping1D",
    "Cropping2D",
    "Cropping3D",
)
def padding(config: Config, context: Context) -> Converted:
    """Same keys."""
    return Converted(context.class_path[-1], config)


@converts("Attention")
def attention(config: Config, context: Context) -> Converted:
    """`causal` moved from the layer to its call."""
    return Converted("Attention", *_causal(config))


def _causal(config: Config) -> tuple[Config, Any, Any, list, Config]:
    kwargs = {"use_causal_mask": True} if config.get("causal") else {}
    return drop(config, "causal"), None, None, [], kwargs


_MHA_NEUTRAL = ("query_shape", "key_shape", "value_shape", "softmax_robust_masking")


@converts("MultiHeadAttention")
def multi_head_attention(config: Config, context: Context) -> Converted:
    """Shapes of the first call are known again when the graph is built."""
    return Converted("MultiHeadAttention", drop(config, *_MHA_NEUTRAL))


@converts("Lambda")
def lambda_layer(config: Config, context: Context) -> Converted:
    """Code in a file: only when the caller says so."""
    function = config.get("function")
    kind = config.get("function_type")
    if kind == "function" and function in context.custom_objects:
        kept = {k: config[k] for k in ("name", "trainable", "dtype") if k in config}
        arguments = config.get("arguments") or {}
        made = keras.layers.Lambda(context.custom_objects[function], arguments=arguments, **kept)
        return Converted(layer=made)
    if not context.allow_lambda:
        raise Refused(
            "a Lambda layer holds Python bytecode, which would run when the file is opened",
            "pass allow_lambda=True if you trust the file, or write a Layer subclass and save",
        )
    code = (
        function
        if isinstance(function, dict)
        else {
            "class_name": "__lambda__",
            "config": {"code": function[0], "defaults": function[1], "closure": function[2]},
        }
    )
    keep = drop(
        config, "function_type", "module", "output_shape_type", "output_shape_module", "function"
    )
    context.note(f"{context.where()}: Lambda code was taken from the file, as allowed")
    with serialization_lib.SafeModeScope(False):
        return Converted(layer=keras.layers.Lambda.from_config({**keep, "function": code}))


def _refuses(class_name: str, reason: str, advice: str) -> None:
    @converts(class_name)
    def refuse(config: Config, context: Context) -> Converted:
        raise Refused(reason, advice)


for _name in ("LocallyConnected1D", "LocallyConnected2D"):
    _refuses(
        _name,
        "Keras 3 has no locally connected layers",
        "pass custom_objects with a layer of your own, or use a convolution",
    )
_refuses(
    "RandomCrop",
    "at inference Keras 2's RandomCrop resized images and Keras 3's leaves them alone",
    "use Resizing and CenterCrop and save again",
)
for _name in ("StringLookup", "IntegerLookup", "TextVectorization", "Hashing", "HashedCrossing"):
    _refuses(
        _name,
        "lookup tables and text processing do not run in the JVM",
        "cut the model behind this layer and feed it numbers",
    )
for _name in ("DenseFeatures", "SequenceFeatures", "LinearModel", "WideDeepModel"):
    _refuses(
        _name,
        "feature columns and canned models are TensorFlow code, not Keras layers",
        "cut the model behind this layer",
    )
