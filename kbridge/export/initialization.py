"""Which initializer a layer gave to one of its variables.

Keras drops a variable's initializer once the variable has its values, so it is found again from the
layer: the attribute `<variable>_initializer` by Keras's own convention, or a rule registered here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import initializers, layers
from keras.src.layers.rnn.conv_lstm import ConvLSTMCell

Rule = Callable[[Any], Any]
_RULES: dict[tuple[type, str], Rule] = {}


def initializes(variable: str, *classes: type) -> Callable[[Rule], Rule]:
    """Registers how layers of `classes` initialise `variable`: a function of the layer."""

    def register(rule: Rule) -> Rule:
        for cls in classes:
            if (cls, variable) in _RULES:
                raise ValueError(
                    f"Expected one rule for {cls.__name__}.{variable}. Received a second."
                )
            _RULES[cls, variable] = rule
        return rule

    return register


def initializer_of(layer: Any, name: str, variable: keras.Variable) -> Any:
    """Returns the initializer of a layer's variable.

    Args:
        layer: The layer that made the variable.
        name: The variable's name in the layer, such as ``kernel``.
        variable: The variable.

    Returns:
        An initializer, a description of several of them, or ``{"class_name": None, "reason": ...}``
        where the layer keeps no record of it.
    """
    if getattr(layer, "quantization_mode", None) is not None and "float" not in variable.dtype:
        return _unknown(f"the values come from quantizing ({layer.quantization_mode})")
    for cls in type(layer).__mro__:
        if (cls, name) in _RULES:
            return _RULES[cls, name](layer)
    if name.startswith("lora_"):
        return _unknown("Keras keeps no record of what enable_lora was given")
    for attribute in (f"{name}_initializer", *_attributes_holding(layer, variable)):
        found = getattr(layer, attribute, None)
        if isinstance(found, initializers.Initializer) or callable(found):
            return found
        if isinstance(found, (str, dict)):
            return initializers.get(found)
    return _unknown(
        f"{type(layer).__name__} keeps no record of it: it has no attribute '{name}_initializer'"
    )


def _attributes_holding(layer: Any, variable: keras.Variable) -> list[str]:
    return [f"{a.lstrip('_')}_initializer" for a, v in vars(layer).items() if v is variable]


def _unknown(reason: str) -> dict[str, Any]:
    return {"class_name": None, "reason": reason}


# Rules for Keras's own layers. -----------------------------------------------------------------


@initializes("kernel", layers.DepthwiseConv1D, layers.DepthwiseConv2D)
@initializes("depthwise_kernel", layers.SeparableConv1D, layers.SeparableConv2D)
def _depthwise(layer: Any) -> Any:
    return layer.depthwise_initializer


@initializes("pointwise_kernel", layers.SeparableConv1D, layers.SeparableConv2D)
def _pointwise(layer: Any) -> Any:
    return layer.pointwise_initializer


_CELLS = (layers.LSTMCell, layers.GRUCell, layers.SimpleRNNCell, ConvLSTMCell)


@initializes("recurrent_kernel", *_CELLS)
def _recurrent(layer: Any) -> Any:
    return layer.recurrent_initializer


@initializes("bias", layers.LSTMCell, ConvLSTMCell)
def _lstm_bias(layer: Any) -> Any:
    """Gates stand in the order input, forget, candidate, output; the forget gate may get ones."""
    if not layer.unit_forget_bias:
        return layer.bias_initializer
    units = layer.filters if isinstance(layer, ConvLSTMCell) else layer.units
    given = layer.bias_initializer
    parts = [
        {"gates": ["input"], "size": units, "initializer": given},
        {"gates": ["forget"], "size": units, "initializer": initializers.Ones()},
        {"gates": ["candidate", "output"], "size": 2 * units, "initializer": given},
    ]
    return {"class_name": "kbridge>Concatenated", "config": {"axis": 0, "parts": parts}}


@initializes("mean", layers.Normalization)
@initializes("count", layers.Normalization)
def _zeros(layer: Any) -> Any:
    return initializers.Zeros()


@initializes("variance", layers.Normalization)
@initializes("scale", layers.RMSNormalization, layers.Attention)
@initializes("concat_score_weight", layers.Attention)
def _ones(layer: Any) -> Any:
    return initializers.Ones()


@initializes("scale", layers.AdditiveAttention)
def _glorot_uniform(layer: Any) -> Any:
    return initializers.GlorotUniform()


@initializes("vector_u", layers.SpectralNormalization)
def _vector_u(layer: Any) -> Any:
    return initializers.TruncatedNormal(stddev=0.02)


@initializes("renorm_mean", layers.BatchNormalization)
def _renorm_mean(layer: Any) -> Any:
    return layer.moving_mean_initializer


@initializes("moving_stddev", layers.BatchNormalization)
@initializes("renorm_stddev", layers.BatchNormalization)
def _renorm_stddev(layer: Any) -> Any:
    of = layer.moving_variance_initializer
    return {"class_name": "kbridge>SquareRoot", "config": {"of": of}}


@initializes("reverse_embeddings", layers.ReversibleEmbedding)
def _reverse_embeddings(layer: Any) -> Any:
    return layer.embeddings_initializer


@initializes("real_kernel", layers.STFTSpectrogram)
def _stft_real(layer: Any) -> Any:
    return initializers.STFT("real", layer.window, layer.scaling, layer.periodic)


@initializes("imag_kernel", layers.STFTSpectrogram)
def _stft_imag(layer: Any) -> Any:
    return initializers.STFT("imag", layer.window, layer.scaling, layer.periodic)
