"""Registries of converters: one decorated function per old Keras class.

A layer converter translates a config by one dialect: ``major=1`` gives a Keras 2 config,
``major=2`` gives a Keras 3 one. A Keras 1 file passes through both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Config = dict[str, Any]


class Refused(Exception):
    """A converter cannot say this layer in Keras 3.

    Attributes:
        reason: What was met and why it is not possible.
        advice: What the user can do.
    """

    def __init__(self, reason: str, advice: str):
        super().__init__(reason)
        self.reason = reason
        self.advice = advice


@dataclass
class Converted:
    """What a converter gives back.

    Attributes:
        class_name: The class in the next dialect; for ``major=2`` a Keras 3 layer class.
        config: Its configuration, still with old initializers and the like.
        layer: A ready Keras 3 layer, in place of `class_name` and `config`.
        apply: A function of the call's arguments that makes graph nodes, in place of a layer.
        before: Layers to put in front, for behaviour that became a layer of its own.
        call_kwargs: Keywords that became arguments of the call.
    """

    class_name: str | None = None
    config: Config = field(default_factory=dict)
    layer: Any = None
    apply: Callable[..., Any] | None = None
    before: list[Any] = field(default_factory=list)
    call_kwargs: Config = field(default_factory=dict)


LayerConverter = Callable[[Config, "Any"], Converted]

_LAYERS: dict[tuple[int, str], tuple[str, LayerConverter]] = {}
_WEIGHTS: dict[str, Any] = {}
_OBJECTS: dict[tuple[str, str], Callable[..., Any]] = {}


def _add(registry: dict, key: Any, value: Any) -> None:
    if key in registry:
        raise ValueError(
            f"Expected one converter per class. Received: a second one for {key}. "
            "Remove one of them."
        )
    registry[key] = value


def converts(*class_names: str, major: int = 2) -> Callable[[LayerConverter], LayerConverter]:
    """Registers a converter of layer configs, called as ``fn(config, context)``.

    Args:
        class_names: The class and its aliases, as the old version wrote them.
        major: The dialect read: 1 or 2.

    Returns:
        The decorator.
    """

    def register(function: LayerConverter) -> LayerConverter:
        for name in class_names:
            _add(_LAYERS, (major, name), (class_names[0], function))
        return function

    return register


def converts_weights(*class_names: str) -> Callable[[Any], Any]:
    """Registers a converter of a layer's stored arrays, called as ``fn(arrays, slot)``.

    Args:
        class_names: Keras 3 classes it is for.

    Returns:
        The decorator.
    """

    def register(function: Any) -> Any:
        for name in class_names:
            _add(_WEIGHTS, name, function)
        return function

    return register


def converts_object(kind: str, *names: str) -> Callable[[Any], Any]:
    """Registers a converter of an object inside a config, called as ``fn(config)``.

    Args:
        kind: ``"initializer"``, ``"regularizer"``, ``"constraint"`` or ``"optimizer"``.
        names: Names as the old version wrote them.

    Returns:
        The decorator.
    """

    def register(function: Any) -> Any:
        for name in names:
            _add(_OBJECTS, (kind, name), function)
        return function

    return register


def layer_converter(major: int, class_name: str) -> tuple[str, LayerConverter] | None:
    """Returns the first-listed class name and the converter, or None."""
    return _LAYERS.get((major, class_name))


def weight_converter(class_name: str) -> Any:
    """Returns the converter of stored arrays for a Keras 3 class, or None."""
    return _WEIGHTS.get(class_name)


def object_converter(kind: str, name: str) -> Callable[..., Any] | None:
    """Returns the converter of an initializer, regularizer, constraint or optimizer, or None."""
    return _OBJECTS.get((kind, name))


def known_layers(major: int) -> list[str]:
    """Returns the class names read for a dialect, sorted: what docs and tests go through."""
    return sorted(name for m, name in _LAYERS if m == major)
