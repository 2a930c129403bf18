"""Registries of what the exporter does beyond tracing: `@lowers` rules and op normalisers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_RULES: dict[type, Callable] = {}


def lowers(*classes: type) -> Callable[[Callable], Callable]:
    """Registers a lowering rule for Keras layer or operation classes.

    Without a rule a layer's `call` is traced. A rule replaces `call` while the model is exported:
    it gets the layer and the call's arguments (symbolic tensors), computes the same with functions
    of `keras.ops`, and returns the outputs in the structure `call` returns them.

    A rule holds for a class and for its subclasses that do not override `call`.

    Args:
        *classes: The layer or `keras.Operation` classes.

    Returns:
        The decorator.

    Raises:
        ValueError: A class already has a rule.

    Example:
        >>> @kbridge.lowers(MyScale)
        ... def lower_my_scale(layer, inputs):
        ...     return keras.ops.multiply(inputs, layer.factor)
    """

    def register(rule: Callable) -> Callable:
        for cls in classes:
            if cls in _RULES:
                raise ValueError(
                    f"Expected one lowering rule for {cls.__name__}. Received a second: "
                    f"{rule.__module__}.{rule.__qualname__} besides "
                    f"{_RULES[cls].__module__}.{_RULES[cls].__qualname__}."
                )
            _RULES[cls] = rule
        return rule

    return register


def rule_for(obj: Any) -> Callable | None:
    """Returns the rule of a layer or operation, or None where its `call` is to be traced."""
    for cls in type(obj).__mro__:
        if cls in _RULES:
            return _RULES[cls]
        if "call" in cls.__dict__:
            return None
    return None


def registered_rules() -> dict[type, Callable]:
    """Returns all rules by class."""
    return dict(_RULES)
