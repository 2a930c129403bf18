"""Keras 3 layer configs in the Keras 2 dialect.

Each rule says which keys a layer's config has in both dialects. A key that only Keras 3 has may
have one value, its default; a key that no rule knows is refused, so that a newer Keras is never
written wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kbridge.export import keras2_objects as objects
from kbridge.export import metadata
from kbridge.export.keras2_objects import NotKeras2

_ACTIVITY = "activity_regularizer"
_COMMON = ("name", "trainable", "dtype", _ACTIVITY)
_ACTIVATION_KEYS = ("activation", "recurrent_activation")
_NESTED_KEYS = ("layer", "backward_layer", "cell", "cells")
_MASK_ZEROS = "zero_output_for_mask"
_MODULES = ("keras.layers", "keras", "keras.src.models.functional", "keras.models")


Translate = Callable[[Mapping[str, Any], Any], dict[str, Any]]


@dataclass(frozen=True)
class _Rule:
    """How one layer class is said in Keras 2.

    Attributes:
        keys: Config keys that mean the same in both.
        only_keras_3: Keys left out, with the one value at which that changes nothing.
        renamed: Keras 3 key to Keras 2 key.
        added: Keys that Keras 2 needs and Keras 3 has not.
    """

    keys: tuple[str, ...]
    only_keras_3: Mapping[str, Any] = field(default_factory=dict)
    renamed: Mapping[str, str] = field(default_factory=dict)
    added: Mapping[str, Any] = field(default_factory=dict)


_RULES: dict[str, _Rule] = {}


def _rule(names: str, keys: str = "", **kwargs: Any) -> None:
    for name in names.split():
        if name in _RULES:
            raise ValueError(f"Expected one Keras 2 rule for {name}. Received a second.")
        _RULES[name] = _Rule(tuple(keys.split()), **kwargs)


def _weight(*names: str) -> str:
    parts = ("initializer", "regularizer", "constraint")
    return " ".join(f"{name}_{part}" for name in names for part in parts)


_CHANNELS_LAST = {"data_format": "channels_last"}
_KERNEL = f"activation use_bias {_weight('kernel', 'bias')}"
_WINDOW = "kernel_size strides padding data_format dilation_rate"
_POOL = "pool_size padding strides data_format"
_SCALE = f"axis epsilon center scale {_weight('beta', 'gamma')}"
_CELL = (
    f"units activation use_bias {_weight('kernel', 'recurrent', 'bias')} dropout recurrent_dropout"
)
_RNN = "return_sequences return_state go_backwards stateful unroll zero_output_for_mask"
_NO_SEED = {"seed": None}
_NO_QUANTIZATION = {"quantization_config": None}

_rule("Add Average Identity Maximum Minimum Multiply Subtract")
_rule("Activation", "activation")
_rule("ActivityRegularization", "l1 l2")
_rule("AlphaDropout", "rate seed", only_keras_3={"noise_shape": None})
_rule("Attention", "use_scale score_mode dropout", only_keras_3=_NO_SEED)
_rule("AdditiveAttention", "use_scale dropout", only_keras_3=_NO_SEED)
_rule("AveragePooling1D AveragePooling2D AveragePooling3D", _POOL)
_rule("MaxPooling1D MaxPooling2D MaxPooling3D", _POOL)
_rule(
    "BatchNormalization",
    f"momentum moving_mean_initializer moving_variance_initializer {_SCALE}",
    only_keras_3={
        "synchronized": False,
        "renorm": False,
        "renorm_clipping": None,
        "renorm_momentum": 0.99,
    },
)
_rule("Bidirectional", "merge_mode layer backward_layer")
_rule("CategoryEncoding", "num_tokens output_mode", only_keras_3={"sparse": False})
_rule("CenterCrop", "height width", only_keras_3=_CHANNELS_LAST)
_rule("Concatenate", "axis")
_rule("Conv1D Conv2D Conv3D", f"filters groups {_WINDOW} {_KERNEL}")
_rule("Conv1DTranspose Conv2DTranspose", f"filters output_padding {_WINDOW} {_KERNEL}")
_rule(
    "Conv3DTranspose",
    f"filters output_padding {_WINDOW.replace(' dilation_rate', '')} {_KERNEL}",
    only_keras_3={"dilation_rate": [1, 1, 1]},
)
_rule(
    "ConvLSTM1D ConvLSTM2D ConvLSTM3D",
    f"filters recurrent_activation unit_forget_bias {_WINDOW} {_RNN} {_CELL.replace('units ', '')}",
    only_keras_3=_NO_SEED,
)
_rule("Cropping1D", "cropping")
_rule("Cropping2D Cropping3D", "cropping data_format")
_rule("Dense", f"units {_KERNEL}", only_keras_3=_NO_QUANTIZATION)
_rule(
    "DepthwiseConv1D DepthwiseConv2D",
    f"depth_multiplier activation use_bias {_WINDOW} {_weight('depthwise', 'bias')}",
)
_rule("Dot", "axes normalize")
_rule("Dropout", "rate seed noise_shape")
_rule("ELU", "alpha")
_rule(
    "EinsumDense",
    f"output_shape equation activation bias_axes {_weight('kernel', 'bias')}",
    only_keras_3=_NO_QUANTIZATION,
)
_rule(
    "Embedding",
    f"input_dim output_dim mask_zero {_weight('embeddings')}",
    only_keras_3=_NO_QUANTIZATION,
)
_rule("Flatten", "data_format")
_rule("GaussianDropout", "rate seed")
_rule("GaussianNoise", "stddev seed")
_rule(
    "GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D "
    "GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D",
    "data_format keepdims",
)
_rule("GroupNormalization", f"groups {_SCALE}")
_rule("GRU", f"{_CELL} recurrent_activation reset_after {_RNN}",
      only_keras_3=_NO_SEED)  # fmt: skip
_rule("GRUCell", f"{_CELL} recurrent_activation reset_after", only_keras_3=_NO_SEED)
_rule("LayerNormalization", _SCALE, only_keras_3={"rms_scaling": False})
_rule("LeakyReLU", renamed={"negative_slope": "alpha"})
_rule("LSTM", f"{_CELL} recurrent_activation unit_forget_bias {_RNN}",
      only_keras_3=_NO_SEED)  # fmt: skip
_rule("LSTMCell", f"{_CELL} recurrent_activation unit_forget_bias", only_keras_3=_NO_SEED)
_rule("Masking", "mask_value")
_rule(
    "MultiHeadAttention",
    "num_heads key_dim value_dim dropout use_bias output_shape attention_axes "
    f"{_weight('kernel', 'bias')}",
    only_keras_3=_NO_SEED | {"use_gate": False, "sliding_window": None},
    added={"query_shape": None, "key_shape": None, "value_shape": None},
)
_rule("Normalization", "axis invert mean variance")
_rule("PReLU", f"shared_axes {_weight('alpha')}")
_rule("Permute", "dims")
_rule("ReLU", "max_value negative_slope threshold")
_rule("RepeatVector", "n")
_rule("Rescaling", "scale offset")
_rule("Reshape", "target_shape")
_rule(
    "Resizing",
    "height width interpolation crop_to_aspect_ratio",
    only_keras_3=_CHANNELS_LAST
    | {
        "pad_to_aspect_ratio": False,
        "fill_mode": "constant",
        "fill_value": 0.0,
        "antialias": False,
    },
)
_rule("RNN", f"{_RNN} cell")
_rule(
    "SeparableConv1D SeparableConv2D",
    f"depth_multiplier filters activation use_bias {_WINDOW} "
    f"{_weight('depthwise', 'pointwise', 'bias')}",
)
_rule("SimpleRNN", f"{_CELL} {_RNN}", only_keras_3=_NO_SEED)
_rule("SimpleRNNCell", _CELL, only_keras_3=_NO_SEED)
_rule("Softmax", "axis")
_rule("SpatialDropout1D", "rate seed")
_rule("SpatialDropout2D SpatialDropout3D", "rate seed data_format")
_rule("StackedRNNCells", "cells")
_rule("TimeDistributed", "layer")
_rule("UnitNormalization", "axis")
_rule("UpSampling1D", "size")
_rule("UpSampling2D", "size data_format interpolation")
_rule("UpSampling3D", "size data_format")
_rule("ZeroPadding1D", "padding", only_keras_3=_CHANNELS_LAST)
_rule("ZeroPadding2D ZeroPadding3D", "padding data_format")


def layer_rules() -> list[str]:
    """Returns the names of the layer classes that have a rule."""
    return sorted(_RULES)


def layer(entry: Mapping[str, Any], live: Any, model: Translate) -> dict[str, Any]:
    """Returns a layer, as Keras 3 serialises it, in the Keras 2 dialect.

    Args:
        entry: ``{"module", "class_name", "config", "registered_name"}``.
        live: The layer itself.
        model: What translates a nested model, with these same two arguments.

    Raises:
        NotKeras2: It cannot be said.
    """
    name = entry["class_name"]
    what = f"layer {(entry.get('config') or {}).get('name', '?')!r} ({name})"
    if entry.get("module") not in _MODULES:
        kind = "an operation of keras.ops" if "ops" in str(entry.get("module")) else "not Keras's"
        raise NotKeras2(f"{what}: Keras 2 has no such layer; it is {kind}")
    if name in ("Functional", "Sequential"):
        return model(entry, live)
    if name == "InputLayer":
        return {"class_name": name, "config": _input_layer(entry["config"], what)}
    if name not in _RULES:
        raise NotKeras2(f"{what}: it is not among the layers that are the same in Keras 2")
    config = objects.without(entry["config"], _RULES[name].only_keras_3, what)
    return {"class_name": name, "config": _config(_RULES[name], config, what, live, model)}


def _input_layer(config: Mapping[str, Any], what: str) -> dict[str, Any]:
    kept = objects.without(config, {"optional": False, "ragged": False}, what)
    return {
        "batch_input_shape": objects.value_of(kept["batch_shape"], what),
        "dtype": objects.dtype(kept["dtype"], what),
        "sparse": bool(kept.get("sparse")),
        "ragged": False,
        "name": kept["name"],
    }


def _config(
    rule: _Rule, config: Mapping[str, Any], what: str, live: Any, model: Translate
) -> dict[str, Any]:
    written: dict[str, Any] = {}
    for key, value in config.items():
        if key in rule.renamed:
            written[rule.renamed[key]] = objects.value_of(value, what)
        elif key == "dtype":
            written[key] = objects.dtype(value, what)
        elif (key == _ACTIVITY and value is None) or (key == _MASK_ZEROS and value is False):
            continue  # Keras 2 leaves these out too.
        elif key not in rule.keys and key not in _COMMON:
            raise NotKeras2(f"{what}: Keras 2 has no argument {key}={value!r}")
        elif key in _ACTIVATION_KEYS:
            written[key] = objects.activation(value, what)
        elif key in _NESTED_KEYS:
            written[key] = _nested(value, live, model)
        else:
            written[key] = objects.value_of(value, what)
    return written | rule.added


def _nested(value: Any, live: Any, model: Translate) -> Any:
    """Returns a wrapped layer or cell, or a list of cells."""
    if value is None:
        return None
    if isinstance(value, (list, tuple)):
        return [_nested(member, live, model) for member in value]
    held = {child.name: child for child in metadata.sublayers(live)} if live is not None else {}
    # NB: what a layer of the user's says of itself need not hold its name.
    return layer(value, held.get((value.get("config") or {}).get("name")), model)
