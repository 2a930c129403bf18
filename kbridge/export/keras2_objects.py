"""Keras objects other than layers in the Keras 2 dialect, and what the dialect cannot say."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


class NotKeras2(Exception):
    """Something that Keras 2 lacks, or means otherwise; the message is the reason."""


# Activations that are the same function under both; Keras 3's new names on the left. Left out on
# purpose: hard_sigmoid, whose formula changed, and those that Keras 2 has not.
_ACTIVATIONS = {
    name: name
    for name in (
        "elu exponential gelu leaky_relu linear log_softmax mish relu relu6 selu sigmoid softmax "
        "softplus softsign tanh"
    ).split()
} | {"silu": "swish"}

# NB: no Identity, because Keras 3 leaves its gain out of the config.
_INITIALIZERS = frozenset(
    "Constant GlorotNormal GlorotUniform HeNormal HeUniform LecunNormal LecunUniform Ones "
    "Orthogonal RandomNormal RandomUniform TruncatedNormal VarianceScaling Zeros".split()
)
_REGULARIZERS = frozenset("L1 L1L2 L2 OrthogonalRegularizer".split())
_CONSTRAINTS = frozenset("MaxNorm MinMaxNorm NonNeg UnitNorm".split())
_KINDS = {
    "keras.initializers": _INITIALIZERS,
    "keras.regularizers": _REGULARIZERS,
    "keras.constraints": _CONSTRAINTS,
}

# Keys that only Keras 3 writes, with the one value at which leaving them out changes nothing.
_ONLY_KERAS_3 = {"input_axes": None, "output_axes": None}


def without(config: Mapping[str, Any], keys: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Returns `config` without Keras 3's own `keys`.

    Raises:
        NotKeras2: One of them has another value than the given one.
    """
    for key, only in keys.items():
        if key in config and _plain(config[key]) != _plain(only):
            raise NotKeras2(f"{what}: Keras 2 has no argument {key}={config[key]!r}")
    return {key: value for key, value in config.items() if key not in keys}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def activation(value: Any, what: str) -> str | None:
    """Returns an activation function's name in Keras 2."""
    if value is None:
        return None
    if not isinstance(value, str) or value not in _ACTIVATIONS:
        name = value if isinstance(value, str) else "a function that is not Keras's own"
        raise NotKeras2(f"{what}: Keras 2 has not the same activation: {name}")
    return _ACTIVATIONS[value]


def dtype(value: Any, what: str) -> Any:
    """Returns a dtype or dtype policy in Keras 2: a string, or a `Policy` if it is mixed."""
    if value is None or isinstance(value, str):
        name = value
    elif isinstance(value, Mapping) and value.get("class_name") == "DTypePolicy":
        name = value["config"]["name"]
    else:
        raise NotKeras2(f"{what}: Keras 2 has not the dtype policy {value!r}")
    if name is not None and name.startswith("mixed_"):
        return {"class_name": "Policy", "config": {"name": name}}
    return name


def value_of(value: Any, what: str) -> Any:
    """Returns any other config value: objects by class name, numbers as JSON has them."""
    if isinstance(value, Mapping) and "class_name" in value:
        return _object(value, what)
    if isinstance(value, Mapping):
        return {str(key): value_of(member, what) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [value_of(member, what) for member in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise NotKeras2(f"{what}: {value} cannot be said in JSON")
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise NotKeras2(f"{what}: Keras 2 has no form for {type(value).__name__}")


def _object(value: Mapping[str, Any], what: str) -> dict[str, Any]:
    module, name = value.get("module"), value["class_name"]
    if value.get("registered_name") or name not in _KINDS.get(module, ()):
        raise NotKeras2(f"{what}: Keras 2 has no {module}.{name}")
    config = without(value.get("config") or {}, _ONLY_KERAS_3, f"{what}, {name}")
    return {"class_name": name, "config": value_of(config, f"{what}, {name}")}
