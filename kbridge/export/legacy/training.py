"""Restores what `compile()` was told, from training configs of Keras 1, 2 and 3 HDF5 files."""

from __future__ import annotations

import inspect
from typing import Any

import keras
import numpy as np

from kbridge.export.legacy.context import Context
from kbridge.export.legacy.graph import Built
from kbridge.export.legacy.objects import plain
from kbridge.export.legacy.optimizers import optimizer_from, restore_state
from kbridge.export.legacy.registry import Refused

_RENAMED = {
    "logcosh": "log_cosh",
    "LogCosh": "LogCosh",
    "kullback_leibler_divergence": "kl_divergence",
    "KLD": "kl_divergence",
    "kld": "kl_divergence",
}
_SPECIAL_METRICS = {"accuracy", "acc", "crossentropy", "ce"}
_GONE_KEYS = ("fn", "dtype")


def restore_training(
    built: Built, config: dict, state: tuple[list[str], list[np.ndarray]], context: Context
) -> None:
    """Compiles the model as the file says and restores the optimizer's state.

    What cannot be restored leaves the model uncompiled and is said in the notes; predictions do not
    depend on it.

    Args:
        built: The model.
        config: The stored training configuration.
        state: Names and arrays of the stored optimizer.
        context: The reading; gets notes.
    """
    model = built.layer
    try:
        arguments = _arguments(config, len(model.outputs), context)
    except Refused as refused:
        context.note(f"the model is not compiled: {refused.reason}; {refused.advice}")
        return
    model.compile(**arguments)
    if config.get("sample_weight_mode"):
        context.note(f"sample_weight_mode={config['sample_weight_mode']!r} is automatic in Keras 3")
    if state[1]:
        restore_state(built, *state, context)


def _arguments(config: dict, outputs: int, context: Context) -> dict[str, Any]:
    optimizer = optimizer_from(config.get("optimizer_config") or {}, context)
    loss = _nested(config.get("loss"), lambda c: _object("losses", c, context))
    metrics = _nested(config.get("metrics"), lambda c: _metric(c, context))
    weighted = _nested(config.get("weighted_metrics"), lambda c: _metric(c, context))
    return {
        "optimizer": optimizer,
        "loss": loss,
        "metrics": _per_output(metrics, outputs),
        "weighted_metrics": _per_output(weighted, outputs),
        "loss_weights": plain(config.get("loss_weights")) or None,
    }


def _nested(config: Any, convert: Any) -> Any:
    if config is None or config == [] or config == {}:
        return None
    if isinstance(config, list):
        return [_nested(item, convert) for item in config]
    if isinstance(config, dict) and "class_name" not in config:
        return {key: _nested(item, convert) for key, item in config.items()}
    return convert(config)


def _per_output(metrics: Any, outputs: int) -> Any:
    """Before Keras 3 a flat list was for every output, and a list in a list for one was usual."""
    if not isinstance(metrics, list):
        return metrics
    nested = any(isinstance(item, list) for item in metrics)
    if outputs == 1:
        return metrics[0] if nested and len(metrics) == 1 else metrics
    return metrics if nested else [list(metrics) for _ in range(outputs)]


def _metric(config: Any, context: Context) -> Any:
    if isinstance(config, str) and config in _SPECIAL_METRICS:
        return config
    if isinstance(config, dict) and config.get("class_name") == "MeanMetricWrapper":
        inner = plain(config.get("config", {}))
        function = inner.get("fn")
        name = function.get("config") if isinstance(function, dict) else function
        return _wrapped(str(name), inner, context)
    return _object("metrics", config, context)


def _wrapped(function: str, config: dict, context: Context) -> Any:
    if function in _SPECIAL_METRICS:
        return function
    found = _object("metrics", function, context)
    # NB: a function Keras knows has a metric class of its own, with the same numbers.
    wrapper = keras.metrics.MeanMetricWrapper
    return wrapper(found, name=config.get("name")) if inspect.isfunction(found) else found


def _object(module: str, config: Any, context: Context) -> Any:
    """Returns a loss or metric by name, from Keras's public modules or the caller alone."""
    name = config.get("class_name") if isinstance(config, dict) else config
    settings = config.get("config", {}) if isinstance(config, dict) else {}
    if name == "function" and isinstance(settings, str):
        name, settings = settings, {}
    name = str(name).split(">")[-1]
    if name in context.custom_objects:
        made = context.custom_objects[name]
        return made.from_config(settings) if inspect.isclass(made) else made
    public = getattr(keras, module)
    found = getattr(public, _RENAMED.get(name, name), None)
    if inspect.isclass(found):
        return _instance(found, plain(settings))
    if inspect.isfunction(found) and name not in ("get", "serialize", "deserialize"):
        return found if isinstance(config, dict) else _RENAMED.get(name, name)
    if isinstance(config, str) and _is_alias(public, name):
        return name
    raise Refused(
        f"'{name}' is not one of Keras 3's {module}",
        f"pass custom_objects={{'{name}': ...}}, or compile the model in Python",
    )


def _is_alias(module: Any, name: str) -> bool:
    """Whether Keras knows a name its module does not show, such as "mse"."""
    try:
        return callable(module.get(name))
    except ValueError:
        return False


def _instance(cls: type, config: dict) -> Any:
    config = {k: v for k, v in config.items() if k not in _GONE_KEYS}
    if config.get("reduction") == "auto":
        config["reduction"] = "sum_over_batch_size"
    accepted = set(inspect.signature(cls.__init__).parameters)
    unknown = sorted(k for k, v in config.items() if k not in accepted and v is not None)
    if unknown:
        raise Refused(f"Keras 3's {cls.__name__} has no settings {unknown}", "compile it in Python")
    try:
        return cls(**{k: v for k, v in config.items() if k in accepted})
    except (TypeError, ValueError) as error:
        raise Refused(
            f"Keras 3's {cls.__name__} does not accept the stored settings: {error}",
            "compile the model in Python",
        ) from error
