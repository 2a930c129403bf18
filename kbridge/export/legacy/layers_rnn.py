"""Converters of recurrent layers and wrappers."""

from __future__ import annotations

import keras

from kbridge.export.legacy.context import Context
from kbridge.export.legacy.layers_keras2 import drop
from kbridge.export.legacy.registry import Config, Converted, Refused, converts

_NO_MEANING = ("implementation", "time_major", "zero_output_for_mask", "could_use_gpu_kernel")


def _recurrent(config: Config) -> Config:
    if config.get("time_major"):
        raise Refused(
            "time_major=True does not exist in Keras 3",
            "transpose the first two axes before and after the layer, and save again",
        )
    kept = drop(config, *_NO_MEANING)
    if config.get("zero_output_for_mask"):
        kept["zero_output_for_mask"] = True
    return kept


@converts("SimpleRNN", "LSTM", "SimpleRNNCell", "LSTMCell")
def simple_or_lstm(config: Config, context: Context) -> Converted:
    """`implementation` chose between equal formulas."""
    return Converted(context.class_path[-1], _recurrent(config))


@converts("GRU", "GRUCell")
def gru(config: Config, context: Context) -> Converted:
    """Where `reset_after` is not stored, the layer did not have it yet: False."""
    return Converted(context.class_path[-1], {"reset_after": False, **_recurrent(config)})


@converts("CuDNNLSTM")
def cudnn_lstm(config: Config, context: Context) -> Converted:
    """The cuDNN layer is an LSTM with fixed activations; its arrays are laid out otherwise."""
    context.note(f"{context.where()}: CuDNNLSTM is an LSTM, its arrays are converted")
    fixed = {"activation": "tanh", "recurrent_activation": "sigmoid"}
    return Converted("LSTM", {**_recurrent(config), **fixed})


@converts("CuDNNGRU")
def cudnn_gru(config: Config, context: Context) -> Converted:
    """The cuDNN layer is a GRU with `reset_after` and fixed activations."""
    context.note(
        f"{context.where()}: CuDNNGRU is a GRU(reset_after=True), its arrays are converted"
    )
    fixed = {"activation": "tanh", "recurrent_activation": "sigmoid", "reset_after": True}
    return Converted("GRU", {**_recurrent(config), **fixed})


@converts("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D")
def conv_lstm(config: Config, context: Context) -> Converted:
    """As an LSTM."""
    context.need_backend()
    sizes = config.get("kernel_size")
    even = any(k % 2 == 0 for k in (sizes if isinstance(sizes, (list, tuple)) else [sizes]))
    if context.flips_kernels and even:
        raise Refused(
            "a ConvLSTM with an even kernel was padded by Theano in a way that Keras 3 cannot say",
            "use an odd kernel and save again",
        )
    kept = drop(_recurrent(config), "unroll")
    return Converted(context.class_path[-1], kept)


@converts("RNN")
def rnn(config: Config, context: Context) -> Converted:
    """A loop over any cell."""
    from kbridge.export.legacy.graph import build_layer

    cell = config.get("cell")
    if not isinstance(cell, dict):
        raise Refused(f"expected the cell's config, received {cell!r}", "repair the file")
    built = build_layer(cell, context)
    rest = drop(_recurrent(config), "cell", "num_constants", "states")
    return Converted("RNN", {**rest, "cell": built.layer})


@converts("StackedRNNCells")
def stacked_cells(config: Config, context: Context) -> Converted:
    """Cells in a row."""
    from kbridge.export.legacy.graph import build_layer

    if config.get("reverse_state_order"):
        raise Refused("reverse_state_order=True does not exist in Keras 3", "save without it")
    cells = [build_layer(cell, context).layer for cell in config["cells"]]
    kept = {k: config[k] for k in ("name", "trainable", "dtype") if k in config}
    return Converted("StackedRNNCells", {**kept, "cells": cells})


@converts("TimeDistributed")
def time_distributed(config: Config, context: Context) -> Converted:
    """One layer, applied to every step."""
    return Converted("TimeDistributed", config)


@converts("Bidirectional")
def bidirectional(config: Config, context: Context) -> Converted:
    """Two layers, forward and backward."""
    return Converted("Bidirectional", drop(config, "num_constants"))


def backward_of(layer: keras.layers.Layer, name: str) -> Config:
    """Returns the Keras 3 config of the layer that `Bidirectional` runs backwards."""
    config = layer.get_config()
    return {**config, "go_backwards": not config["go_backwards"], "name": name}
