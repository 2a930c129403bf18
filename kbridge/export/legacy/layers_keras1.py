"""Converters of Keras 1 layer configs into Keras 2 ones: new names, same meaning."""

from __future__ import annotations

from typing import Any

from kbridge.errors import ExportError
from kbridge.export.legacy.context import Context
from kbridge.export.legacy.layers_keras2 import drop, rename
from kbridge.export.legacy.registry import Config, Converted, Refused, converts

_WEIGHT_NAMES = {
    "W_regularizer": "kernel_regularizer",
    "b_regularizer": "bias_regularizer",
    "U_regularizer": "recurrent_regularizer",
    "W_constraint": "kernel_constraint",
    "b_constraint": "bias_constraint",
    "U_constraint": "recurrent_constraint",
    "bias": "use_bias",
    "init": "kernel_initializer",
    "inner_init": "recurrent_initializer",
    "inner_activation": "recurrent_activation",
    "output_dim": "units",
    "nb_filter": "filters",
    "border_mode": "padding",
}
_INITIALIZATIONS = {
    "glorot_normal": "keras1_glorot_normal",
    "he_normal": "keras1_he_normal",
    "orthogonal": "keras1_orthogonal",
}


def common(config: Config, **more: str) -> Config:
    """Applies the renames that most Keras 1 layers share, and drops what only shaped the input."""
    config = rename(config, **{**_WEIGHT_NAMES, **more})
    for key, value in config.items():
        if key.endswith("_initializer") and isinstance(value, str):
            config[key] = _INITIALIZATIONS.get(value, value)
    return drop(config, "input_dim", "input_length", "input_dtype", "weights")


def data_format(config: Config, context: Context, needed: bool = True) -> Config:
    """Turns `dim_ordering` into `data_format`.

    Raises:
        ExportError: If the layer's numbers depend on it and neither file nor caller says it.
    """
    ordering = config.get("dim_ordering")
    formats = {"th": "channels_first", "tf": "channels_last"}
    value = formats.get(ordering, context.data_format)
    if value is None and needed:
        raise ExportError(
            "Expected a file that tells the order of image dimensions. Received: a Keras "
            f"{context.version or 1} file that stores none for '{context.where()}'. Open it with "
            "kbridge.export.sources.open_source(path, data_format='channels_first') or "
            "'channels_last', and export the `.model` of what that returns."
        )
    config = drop(config, "dim_ordering")
    return {**config, "data_format": value} if value else config


@converts("Dense", major=1)
def dense(config: Config, context: Context) -> Converted:
    """`output_dim`, `init`, `W_*`, `b_*`."""
    return Converted("Dense", common(config))


@converts("TimeDistributedDense", major=1)
def time_distributed_dense(config: Config, context: Context) -> Converted:
    """A Dense on every step is what Dense does with three dimensions."""
    context.note(f"{context.where()}: TimeDistributedDense is a Dense on the last axis")
    return Converted("Dense", common(config))


@converts("Activation", "Masking", "Permute", "Reshape", "RepeatVector", "ELU", major=1)
def unchanged(config: Config, context: Context) -> Converted:
    """Same keys in Keras 2."""
    name = context.class_path[-1]
    return Converted(name, rename(drop(config, "input_dtype"), dims="dims", shape="target_shape"))


@converts("ActivityRegularization", major=1)
def activity_regularization(config: Config, context: Context) -> Converted:
    """Same keys."""
    return Converted("ActivityRegularization", drop(config, "input_dtype"))


@converts("LeakyReLU", "ThresholdedReLU", major=1)
def scalar_activation(config: Config, context: Context) -> Converted:
    """Same keys."""
    return Converted(context.class_path[-1], drop(config, "input_dtype"))


@converts("PReLU", major=1)
def prelu(config: Config, context: Context) -> Converted:
    """`init` is that of alpha."""
    config = rename(drop(config, "weights", "input_dtype"), init="alpha_initializer")
    return Converted("PReLU", config)


@converts("Flatten", major=1)
def flatten(config: Config, context: Context) -> Converted:
    """Keras 1 flattened in memory order, whatever the image ordering."""
    return Converted("Flatten", drop(config, "input_dtype"))


@converts("Dropout", "SpatialDropout1D", "GaussianDropout", major=1)
def dropout(config: Config, context: Context) -> Converted:
    """`p` became `rate`."""
    return Converted(context.class_path[-1], rename(drop(config, "input_dtype"), p="rate"))


@converts("SpatialDropout2D", "SpatialDropout3D", major=1)
def spatial_dropout(config: Config, context: Context) -> Converted:
    """`p` became `rate`."""
    config = rename(drop(config, "input_dtype"), p="rate")
    return Converted(context.class_path[-1], data_format(config, context, needed=False))


@converts("GaussianNoise", major=1)
def gaussian_noise(config: Config, context: Context) -> Converted:
    """`sigma` became `stddev`."""
    return Converted("GaussianNoise", rename(drop(config, "input_dtype"), sigma="stddev"))


@converts("Embedding", major=1)
def embedding(config: Config, context: Context) -> Converted:
    """`output_dim` keeps its name here; a dropout of whole words took part in training only."""
    if config.get("dropout"):
        context.note(
            f"{context.where()}: Embedding dropout takes part in training only and is dropped"
        )
    config = rename(
        drop(config, "dropout", "weights", "input_length", "input_dtype"),
        init="embeddings_initializer",
        W_regularizer="embeddings_regularizer",
        W_constraint="embeddings_constraint",
    )
    return Converted("Embedding", config)


@converts("BatchNormalization", major=1)
def batch_normalization(config: Config, context: Context) -> Converted:
    """Mode 0 is Keras 2's layer; the others compute something else."""
    if config.get("mode", 0) != 0:
        raise Refused(
            f"BatchNormalization mode={config['mode']} exists in Keras 1 only",
            "use mode=0, train and save again",
        )
    names = {"beta_init": "beta_initializer", "gamma_init": "gamma_initializer"}
    return Converted("BatchNormalization", rename(drop(config, "mode", "input_dtype"), **names))


def _square(config: Config, context: Context, keys: tuple[str, ...]) -> Config:
    config = common(config, subsample="strides", atrous_rate="dilation_rate")
    config["kernel_size"] = [config.pop(key) for key in keys]
    config = data_format(config, context)
    if config["data_format"] == "channels_first":
        config = _constraint_axes(config, len(keys))
    return config


def _constraint_axes(config: Config, rank: int) -> Config:
    """Kernels of "th" files are stored (out, in, ...) and become (..., in, out)."""
    new_axis = {0: rank + 1, 1: rank, **{2 + i: i for i in range(rank)}}
    constraint = config.get("kernel_constraint")
    if isinstance(constraint, dict) and "axis" in constraint:
        axis = constraint["axis"]
        moved = [new_axis[a] for a in axis] if isinstance(axis, list) else new_axis[axis]
        config = {**config, "kernel_constraint": {**constraint, "axis": moved}}
    return config


@converts("Convolution2D", "Conv2D", "AtrousConvolution2D", "AtrousConv2D", major=1)
def convolution_2d(config: Config, context: Context) -> Converted:
    """`nb_row` and `nb_col` became `kernel_size`."""
    return Converted("Conv2D", _no_full(_square(config, context, ("nb_row", "nb_col"))))


def _no_full(config: Config) -> Config:
    if config.get("padding") == "full":
        raise Refused("border_mode='full' exists in Keras 1 only", "use ZeroPadding and 'valid'")
    return config


@converts("Convolution3D", "Conv3D", major=1)
def convolution_3d(config: Config, context: Context) -> Converted:
    """`kernel_dim1..3` became `kernel_size`."""
    keys = ("kernel_dim1", "kernel_dim2", "kernel_dim3")
    return Converted("Conv3D", _no_full(_square(config, context, keys)))


@converts("Convolution1D", "Conv1D", "AtrousConvolution1D", "AtrousConv1D", major=1)
def convolution_1d(config: Config, context: Context) -> Converted:
    """One-dimensional names; steps came before channels always."""
    config = common(
        config,
        filter_length="kernel_size",
        subsample_length="strides",
        atrous_rate="dilation_rate",
    )
    return Converted("Conv1D", _no_full({**config, "data_format": "channels_last"}))


@converts("Deconvolution2D", "Deconv2D", "Conv2DTranspose", major=1)
def deconvolution(config: Config, context: Context) -> Converted:
    """The output shape was stored; Keras 3 computes it, and it is compared after building."""
    shape = config.get("output_shape")
    config = _square(drop(config, "output_shape"), context, ("nb_row", "nb_col"))
    context.note(
        f"{context.where()}: the stored output_shape {shape} is left to Keras 3 to compute"
    )
    return Converted("Conv2DTranspose", config)


@converts("SeparableConvolution2D", "SeparableConv2D", major=1)
def separable(config: Config, context: Context) -> Converted:
    """One `init` for both kernels."""
    init = config.get("init")
    config = _square(drop(config, "init"), context, ("nb_row", "nb_col"))
    both = {"depthwise_initializer": init, "pointwise_initializer": init} if init else {}
    return Converted("SeparableConv2D", {**config, **both})


@converts("MaxPooling1D", "AveragePooling1D", major=1)
def pooling_1d(config: Config, context: Context) -> Converted:
    """`pool_length`, `stride`."""
    config = rename(
        drop(config, "input_dtype"),
        pool_length="pool_size",
        stride="strides",
        border_mode="padding",
    )
    return Converted(context.class_path[-1], {**config, "data_format": "channels_last"})


@converts("MaxPooling2D", "AveragePooling2D", "MaxPooling3D", "AveragePooling3D", major=1)
def pooling(config: Config, context: Context) -> Converted:
    """`border_mode`, `dim_ordering`."""
    config = rename(drop(config, "input_dtype"), border_mode="padding")
    return Converted(context.class_path[-1], data_format(config, context))


@converts("GlobalMaxPooling1D", "GlobalAveragePooling1D", major=1)
def global_pooling_1d(config: Config, context: Context) -> Converted:
    """No settings."""
    config = drop(config, "input_dtype")
    return Converted(context.class_path[-1], {**config, "data_format": "channels_last"})


@converts(
    "GlobalMaxPooling2D",
    "GlobalAveragePooling2D",
    "GlobalMaxPooling3D",
    "GlobalAveragePooling3D",
    "UpSampling2D",
    "UpSampling3D",
    "Cropping2D",
    "Cropping3D",
    "ZeroPadding3D",
    major=1,
)
def spatial(config: Config, context: Context) -> Converted:
    """Many of these stored no ordering: it is that of the model's other layers."""
    return Converted(context.class_path[-1], data_format(drop(config, "input_dtype"), context))


@converts("ZeroPadding2D", major=1)
def zero_padding_2d(config: Config, context: Context) -> Converted:
    """Padding could be a dict of sides or four numbers."""
    config = data_format(drop(config, "input_dtype"), context)
    pad = config.get("padding")
    if isinstance(pad, dict):
        top, bottom, left, right = (
            pad.get(f"{side}_pad", 0) for side in ("top", "bottom", "left", "right")
        )
        config["padding"] = [[top, bottom], [left, right]]
    elif isinstance(pad, (list, tuple)) and len(pad) == 4:
        config["padding"] = [list(pad[:2]), list(pad[2:])]
    return Converted("ZeroPadding2D", config)


@converts("ZeroPadding1D", "Cropping1D", major=1)
def padding_1d(config: Config, context: Context) -> Converted:
    """Padding could be a dict of sides."""
    config = drop(config, "input_dtype")
    pad = config.get("padding")
    if isinstance(pad, dict):
        config["padding"] = [pad.get("left_pad", 0), pad.get("right_pad", 0)]
    return Converted(context.class_path[-1], config)


@converts("UpSampling1D", major=1)
def upsampling_1d(config: Config, context: Context) -> Converted:
    """`length` became `size`."""
    return Converted("UpSampling1D", rename(drop(config, "input_dtype"), length="size"))


@converts("SimpleRNN", "LSTM", "GRU", major=1)
def recurrent(config: Config, context: Context) -> Converted:
    """`dropout_W`, `dropout_U`, `consume_less`, `forget_bias_init`."""
    return Converted(context.class_path[-1], _recurrent(config))


def _recurrent(config: Config) -> Config:
    forget = config.get("forget_bias_init")
    config = common(config, dropout_W="dropout", dropout_U="recurrent_dropout")
    config = drop(config, "consume_less", "forget_bias_init")
    if forget is not None:
        config["unit_forget_bias"] = forget == "one"
    return config


@converts("ConvLSTM2D", major=1)
def conv_lstm(config: Config, context: Context) -> Converted:
    """Both a convolution and a recurrent layer."""
    config = drop(_recurrent(config), "units", "unroll")
    return Converted("ConvLSTM2D", _square(config, context, ("nb_row", "nb_col")))


@converts("TimeDistributed", "Bidirectional", "InputLayer", major=1)
def wrapper(config: Config, context: Context) -> Converted:
    """Same keys; the inner layer is converted on its own."""
    config = dict(config)
    if "input_dtype" in config:
        config["dtype"] = config.pop("input_dtype")
    return Converted(context.class_path[-1], config)


_MODES = {"sum": "Add", "mul": "Multiply", "ave": "Average", "max": "Maximum"}


@converts("Merge", major=1)
def merge(config: Config, context: Context) -> Converted:
    """One layer with a mode became one layer per mode."""
    mode = config.get("mode")
    name = {"name": config.get("name")}
    if config.get("mode_type", "raw") != "raw":
        raise Refused(
            "a Merge layer with a function as its mode holds Python bytecode",
            "use one of the built-in modes, or Lambda in a current Keras, and save again",
        )
    if mode in _MODES:
        return Converted(_MODES[mode], name)
    if mode == "concat":
        return Converted("Concatenate", {**name, "axis": config.get("concat_axis", -1)})
    if mode == "dot":
        return Converted("Dot", {**name, "axes": config.get("dot_axes", -1)})
    raise Refused(
        f"Merge mode '{mode}' exists in Keras 1 only",
        "use a Dot layer with normalize=True and save again",
    )


@converts("Lambda", major=1)
def lambda_layer(config: Config, context: Context) -> Converted:
    """Code in a file."""
    return Converted("Lambda", drop(config, "input_dtype"))


def _gone(class_name: str, advice: str) -> None:
    @converts(class_name, major=1)
    def refuse(config: Config, context: Context) -> Any:
        raise Refused(f"{class_name} exists in Keras 1 only", advice)


_gone("Highway", "write it with Dense, Multiply and Add in a current Keras")
_gone("MaxoutDense", "write it with Dense, Reshape and a maximum in a current Keras")
_gone("SReLU", "pass custom_objects with a layer of your own")
_gone("ParametricSoftplus", "pass custom_objects with a layer of your own")
_gone("LocallyConnected1D", "pass custom_objects with a layer of your own, or use a convolution")
_gone("LocallyConnected2D", "pass custom_objects with a layer of your own, or use a convolution")
