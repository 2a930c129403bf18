"""Converters of convolution configs, with Theano's own "same" padding."""

from __future__ import annotations

from typing import Any

import keras

from kbridge.export.legacy.context import Context
from kbridge.export.legacy.objects import plain
from kbridge.export.legacy.registry import Config, Converted, Refused, converts

_PADDINGS = {
    1: keras.layers.ZeroPadding1D,
    2: keras.layers.ZeroPadding2D,
    3: keras.layers.ZeroPadding3D,
}


def _spatial(value: Any, rank: int) -> list[int]:
    value = plain(value)
    return list(value) if isinstance(value, (list, tuple)) else [value] * rank


@converts("Conv1D", "Conv2D", "Conv3D", "Convolution1D", "Convolution2D", "Convolution3D")
def convolution(config: Config, context: Context) -> Converted:
    """Same keys; files of Theano may need explicit padding."""
    class_name = f"Conv{context.class_path[-1][-2:]}"
    context.need_backend()
    if context.flips_kernels and config.get("padding") == "same":
        return _theano_same(class_name, config, context)
    return Converted(class_name, config)


def _theano_same(class_name: str, config: Config, context: Context) -> Converted:
    """Theano's "same" pads k//2 in front; Keras 3 pads what the stride leaves, more at the end.

    They agree for odd kernels of stride 1. All other cases become explicit padding and "valid".
    """
    rank = int(class_name[-2])
    size, strides, rate = (
        _spatial(config.get(key, 1) or 1, rank)
        for key in ("kernel_size", "strides", "dilation_rate")
    )
    extents = [(k - 1) * d + 1 for k, d in zip(size, rate, strict=True)]
    if all(e % 2 == 1 and s == 1 for e, s in zip(extents, strides, strict=True)):
        return Converted(class_name, config)
    if len(context.path) > 1 and context.class_path[-2] in ("TimeDistributed", "Bidirectional"):
        raise Refused(
            "Theano's 'same' padding of this convolution needs a layer in front of it, which has "
            f"no place inside {context.class_path[-2]}",
            "use an odd kernel with stride 1 or padding 'valid', and save again",
        )
    pads = [(e // 2, (e - 1) // 2) for e in extents]
    context.note(f"{context.where()}: Theano's 'same' padding is a ZeroPadding layer in front")
    kwargs = {} if rank == 1 else {"data_format": config.get("data_format") or "channels_last"}
    pad = _PADDINGS[rank](
        pads[0] if rank == 1 else tuple(pads), name=f"{config['name']}_pad", **kwargs
    )
    return Converted(class_name, {**config, "padding": "valid"}, before=[pad])


@converts("Conv2DTranspose", "Conv3DTranspose", "Conv1DTranspose", "Convolution2DTranspose")
def transposed(config: Config, context: Context) -> Converted:
    """Same keys; what Theano pads differently is refused."""
    context.need_backend()
    rank = int(context.class_path[-1][-11])
    if context.flips_kernels and config.get("padding") == "same":
        sizes = _spatial(config.get("kernel_size"), rank)
        steps = _spatial(config.get("strides", 1), rank)
        if any(k % 2 == 0 or s != 1 for k, s in zip(sizes, steps, strict=True)):
            raise Refused(
                "a transposed convolution with padding 'same' was padded by Theano in a way that "
                "Keras 3 cannot say",
                "use padding 'valid' or an odd kernel with stride 1, and save again",
            )
    # NB: Keras 2 stored groups for every convolution, and transposed ones had 1 only.
    kept = {k: v for k, v in config.items() if not (k == "groups" and v == 1)}
    return Converted(f"Conv{rank}DTranspose", kept)


@converts("SeparableConv1D", "SeparableConv2D", "SeparableConvolution1D", "SeparableConvolution2D")
def separable(config: Config, context: Context) -> Converted:
    """Keras 2.0 stored the settings of a kernel the layer does not have."""
    _refuse_theano_depthwise_same(config, context, int(context.class_path[-1][-2]))
    gone = ("kernel_initializer", "kernel_regularizer", "kernel_constraint", "groups")
    kept = {key: value for key, value in config.items() if key not in gone}
    return Converted(f"SeparableConv{context.class_path[-1][-2:]}", kept)


@converts("DepthwiseConv1D", "DepthwiseConv2D")
def depthwise(config: Config, context: Context) -> Converted:
    """Same keys, but for those of the convolution it derives from."""
    _refuse_theano_depthwise_same(config, context, int(context.class_path[-1][-2]))
    gone = ("kernel_initializer", "kernel_regularizer", "kernel_constraint", "groups", "filters")
    kept = {key: value for key, value in config.items() if key not in gone}
    return Converted(context.class_path[-1], kept)


def _refuse_theano_depthwise_same(config: Config, context: Context, rank: int) -> None:
    if context.backend != "theano" or config.get("padding") != "same":
        return
    sizes = _spatial(config.get("kernel_size"), rank)
    steps = _spatial(config.get("strides", 1), rank)
    if any(k % 2 == 0 for k in sizes) or any(s != 1 for s in steps):
        raise Refused(
            "a depthwise convolution with padding 'same' was padded by Theano in a way that Keras "
            "3 cannot say",
            "use padding 'valid' or an odd kernel with stride 1, and save again",
        )
