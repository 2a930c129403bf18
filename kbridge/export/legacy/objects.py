"""Initializers, regularizers, constraints, activations and dtype policies of old configs."""

from __future__ import annotations

import inspect
from typing import Any

import keras

from kbridge.export.legacy.context import Context
from kbridge.export.legacy.ops import hard_sigmoid_keras2
from kbridge.export.legacy.registry import Config, Refused, converts_object, object_converter

# The keywords a config ends with say what its value is: `kernel_initializer`, `gamma_constraint`...
KINDS = ("initializer", "regularizer", "constraint")


def plain(value: Any) -> Any:
    """Returns a config value without the wrappings old versions put around arrays and tuples."""
    if isinstance(value, dict):
        if value.get("type") == "ndarray":
            return plain(value["value"])
        if value.get("class_name") == "__tuple__":
            return tuple(plain(item) for item in value["items"])
        if value.get("class_name") == "TensorShape":
            return plain(value["items"])
        if value.get("class_name") == "__ellipsis__":
            return ...
        if value.get("class_name") == "__bytes__":
            return value["value"].encode("utf-8")
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def object_from(kind: str, value: Any, context: Context) -> Any:
    """Returns the Keras 3 object for an old initializer, regularizer or constraint."""
    if value is None:
        return None
    name, config = _name_and_config(value)
    if name in context.custom_objects:
        made = context.custom_objects[name]
        if inspect.isclass(made):
            return made.from_config(config) if hasattr(made, "from_config") else made(**config)
        return made
    convert = object_converter(kind, name)
    if convert is not None:
        return convert(config)
    cls = _keras_class(kind, name)
    if cls is None:
        raise Refused(
            f"the {kind} '{name}' is not one of Keras's",
            f"pass custom_objects={{'{name}': ...}} with the class or function",
        )
    return _instance(cls, config)


def _name_and_config(value: Any) -> tuple[str, Config]:
    if isinstance(value, str):
        return value, {}
    if not isinstance(value, dict):
        raise Refused(f"expected a name or a config, received {value!r}", "repair the file")
    if value.get("class_name") == "function":
        return str(value.get("config")), {}
    if "class_name" in value:
        return str(value["class_name"]).split(">")[-1], dict(value.get("config") or {})
    if "name" in value:  # NB: Keras 1 wrote regularizers and constraints flat
        return str(value["name"]), {k: v for k, v in value.items() if k != "name"}
    raise Refused(f"expected a class name, received {value!r}", "repair the file")


def _keras_class(kind: str, name: str) -> type | None:
    module = getattr(keras, f"{kind}s")
    base = getattr(module, kind.capitalize())
    camel = "".join(part[:1].upper() + part[1:] for part in name.split("_"))
    found = getattr(module, name, None) or getattr(module, camel, None)
    return found if inspect.isclass(found) and issubclass(found, base) else None


def _instance(cls: type, config: Config) -> Any:
    accepted = inspect.signature(cls.__init__).parameters
    config = {key: plain(item) for key, item in config.items()}
    config.pop("dtype", None)  # NB: TensorFlow 1 stored it; Keras 3 takes the variable's
    extra = sorted(set(config) - set(accepted))
    if extra:
        raise Refused(
            f"{cls.__name__} has settings Keras 3 does not know: {extra}",
            "save the model again with a current Keras",
        )
    return cls(**config)


def activation_from(value: Any, context: Context) -> Any:
    """Returns the Keras 3 activation for an old activation's name or config.

    Keras 1 and 2 used another hard sigmoid than Keras 3; they get theirs back.
    """
    if value is None or callable(value):
        return value
    if isinstance(value, dict) and value.get("class_name") not in (None, "function"):
        return _activation_layer(value, context)
    name = value.get("config") if isinstance(value, dict) else value
    if name in context.custom_objects:
        return context.custom_objects[name]
    name = str(name).rsplit(".", 1)[-1].split(">")[-1]
    if name in ("hard_sigmoid", "hard_sigmoid_keras2") and context.major < 3:
        context.note("hard_sigmoid is the one of Keras 1 and 2: clip(0.2 x + 0.5, 0, 1)")
        return hard_sigmoid_keras2
    found = getattr(keras.activations, name, None)
    if not inspect.isfunction(found) or name in ("get", "serialize", "deserialize"):
        raise Refused(
            f"the activation '{name}' is not one of Keras's",
            f"pass custom_objects={{'{name}': ...}} with the function",
        )
    return found


def _activation_layer(value: Config, context: Context) -> Any:
    # NB: imported here, because graph imports this module for every config it reads.
    from kbridge.export.legacy.graph import build_layer

    built = build_layer(value, context)
    if built.layer is None:
        raise Refused("the activation layer is not supported", "see the layer's own problem")
    return built.layer


def dtype_from(value: Any) -> str | None:
    """Returns the name of a dtype policy, however the old version wrote it."""
    if isinstance(value, dict):
        return dtype_from(value.get("config", {}).get("name"))
    return value


def convert_values(config: Config, context: Context) -> Config:
    """Returns a config with its nested objects replaced by Keras 3 ones."""
    out: Config = {}
    for key, value in config.items():
        kind = key.rsplit("_", 1)[-1]
        if kind in KINDS:
            out[key] = object_from(kind, value, context)
        elif key in ("activation", "recurrent_activation"):
            out[key] = activation_from(value, context)
        elif key == "dtype":
            out[key] = dtype_from(value)
        else:
            out[key] = plain(value)
    return out


# Keras 1 initializations, by name. Those of Keras 2 and 3 have other spreads or distributions.


def _uniform_05(_: Config) -> Any:
    return keras.initializers.RandomUniform(-0.05, 0.05)


@converts_object("initializer", "zero")
def zero(_: Config) -> Any:
    """Keras 1 `zero`."""
    return keras.initializers.Zeros()


@converts_object("initializer", "one")
def one(_: Config) -> Any:
    """Keras 1 `one`."""
    return keras.initializers.Ones()


@converts_object("initializer", "uniform")
def uniform(config: Config) -> Any:
    """`uniform` of Keras 1 and 2: between -0.05 and 0.05."""
    return _instance(keras.initializers.RandomUniform, config) if config else _uniform_05(config)


@converts_object("initializer", "normal")
def normal(config: Config) -> Any:
    """`normal` of Keras 1 and 2: standard deviation 0.05."""
    return _instance(keras.initializers.RandomNormal, {"stddev": 0.05, **config})


@converts_object("initializer", "keras1_glorot_normal")
def glorot_normal(_: Config) -> Any:
    """Keras 1 drew this one from an untruncated normal distribution."""
    return keras.initializers.VarianceScaling(1.0, "fan_avg", "untruncated_normal")


@converts_object("initializer", "keras1_he_normal")
def he_normal(_: Config) -> Any:
    """Keras 1 drew this one from an untruncated normal distribution."""
    return keras.initializers.VarianceScaling(2.0, "fan_in", "untruncated_normal")


@converts_object("initializer", "keras1_orthogonal")
def orthogonal(_: Config) -> Any:
    """Keras 1 scaled orthogonal matrices by 1.1."""
    return keras.initializers.Orthogonal(gain=1.1)


@converts_object("initializer", "identity")
def identity(config: Config) -> Any:
    """`identity` of Keras 1 and 2."""
    return _instance(keras.initializers.Identity, config)


@converts_object("initializer", "GlorotUniformV2", "glorot_uniform_v2")
def glorot_uniform(config: Config) -> Any:
    """TensorFlow 1 name."""
    return _instance(keras.initializers.GlorotUniform, config)


@converts_object("regularizer", "L1L2", "l1_l2", "L1L2Regularizer")
def l1l2(config: Config) -> Any:
    """`L1L2` of Keras 2, `L1L2Regularizer` of Keras 1."""
    return keras.regularizers.L1L2(plain(config.get("l1")) or 0.0, plain(config.get("l2")) or 0.0)


@converts_object("regularizer", "WeightRegularizer", "ActivityRegularizer")
def keras1_regularizer(config: Config) -> Any:
    """Keras 1 names of `L1L2`."""
    return l1l2(config)


@converts_object("regularizer", "EigenvalueRegularizer")
def eigenvalue(config: Config) -> Any:
    """Keras 1 only."""
    raise Refused(
        "EigenvalueRegularizer exists in Keras 1 only",
        "remove it: it takes part in training only, the predictions stay the same",
    )


@converts_object("constraint", "MaxNorm", "max_norm", "maxnorm")
def max_norm(config: Config) -> Any:
    """`MaxNorm`; Keras 1 called the value `m`."""
    return keras.constraints.MaxNorm(
        plain(config.get("max_value", config.get("m", 2))), plain(config.get("axis", 0))
    )


@converts_object("constraint", "MinMaxNorm", "min_max_norm")
def min_max_norm(config: Config) -> Any:
    """`MinMaxNorm`; Keras 1 called the values `low` and `high`."""
    return keras.constraints.MinMaxNorm(
        plain(config.get("min_value", config.get("low", 0.0))),
        plain(config.get("max_value", config.get("high", 1.0))),
        plain(config.get("rate", 1.0)),
        plain(config.get("axis", 0)),
    )


@converts_object("constraint", "NonNeg", "non_neg", "nonneg")
def non_neg(_: Config) -> Any:
    """`NonNeg`."""
    return keras.constraints.NonNeg()


@converts_object("constraint", "UnitNorm", "unit_norm", "unitnorm")
def unit_norm(config: Config) -> Any:
    """`UnitNorm`."""
    return keras.constraints.UnitNorm(plain(config.get("axis", 0)))
