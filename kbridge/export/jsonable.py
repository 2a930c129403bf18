"""Turning what Keras serialises into plain JSON, with nothing lost and no code in it.

Two dialects leave here:

- `jsonable` is for readers (the spec's layers and the training document): infinite numbers are the
  strings of docs/bundle-format.md, a user's function is named, ``{"custom": "module.name"}``.
- `exact` is for rebuilding (``spec["keras_model"]``): what Keras's own deserialiser takes, with
  infinite numbers tagged so that `restored` can tell them from strings.
"""

from __future__ import annotations

import inspect
import math
import types
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

_TAG = "__kbridge_number__"
_LAMBDA_KEYS = {"value"}
_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_ABSENT = object()


def serialised(obj: Any) -> Any:
    """Returns `obj` as Keras serialises it, with a lambda replaced by its name.

    Args:
        obj: A Keras object, a function, or a nested structure of them.

    Raises:
        TypeError: Something in `obj` has no ``get_config``.
        NotImplementedError: A class in `obj` says that it has no config.
    """
    import keras

    if isinstance(obj, types.FunctionType):
        return _keras_function(obj) or custom(obj)
    if isinstance(obj, Mapping):
        return {str(key): serialised(value) for key, value in obj.items()}
    if isinstance(obj, (list, tuple)):
        return [serialised(value) for value in obj]
    described = keras.saving.serialize_keras_object(obj)
    if isinstance(described, dict) and isinstance(described.get("config"), dict):
        described["config"] |= _left_out(obj, described["config"])
    return described


def _left_out(obj: Any, config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the arguments of `obj` that its class forgets to put into its config.

    NB: Keras forgets `Identity.gain`, `Huber.delta` and every loss's `dtype`, among others. A loss
    that wraps a function keeps what it hands to that function.
    """
    held = vars(obj) if hasattr(obj, "__dict__") else {}
    wrapped = held.get("_fn_kwargs") or {}
    found = {}
    for name, parameter in inspect.signature(type(obj).__init__).parameters.items():
        if name in config or parameter.kind not in _NAMED:
            continue
        value = held.get(name, wrapped.get(name, _ABSENT))
        if isinstance(inspect.getattr_static(type(obj), name, None), property):
            value = getattr(obj, name)
        if isinstance(value, (bool, int, float, str)) or value is None:
            found[name] = value
    return found


def custom(function: Any) -> dict[str, str]:
    """Returns the mark of a user's function: its name, never its code.

    The name is the one it is registered under with Keras, else that of its module and its own.
    """
    import keras

    name = getattr(function, "__qualname__", type(function).__qualname__)
    if isinstance(function, types.FunctionType):
        registered = keras.saving.get_registered_name(function)
        if registered != function.__name__:
            return {"custom": registered}
    return {"custom": f"{getattr(function, '__module__', '__main__')}.{name}"}


def _keras_function(function: types.FunctionType) -> dict[str, Any] | None:
    """Returns Keras's form of one of its own public functions, None for any other.

    NB: Keras writes ``"module": "builtins"`` for its own and for users' functions alike.
    """
    from keras.src.api_export import get_name_from_symbol

    public = get_name_from_symbol(function)
    if public is None:
        return None
    module, _, name = public.rpartition(".")
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


def jsonable(value: Any) -> Any:
    """Returns `value` as strict JSON; see the module's description.

    Args:
        value: A config as Keras gives it: dicts, lists, tuples, numbers, NumPy values, functions.
    """
    return _convert(value, _number_as_string, _reader_dict)


def exact(value: Any) -> Any:
    """Returns `value` as strict JSON that `restored` turns back into what Keras deserialises."""
    return _convert(value, lambda number: {_TAG: _number_as_string(number)}, None)


def restored(value: Any) -> Any:
    """Undoes `exact`'s tags."""
    if isinstance(value, dict):
        if set(value) == {_TAG}:
            return float(value[_TAG])
        return {key: restored(member) for key, member in value.items()}
    if isinstance(value, list):
        return [restored(member) for member in value]
    return value


def _convert(value: Any, number: Callable, mapping: Callable | None) -> Any:
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, (np.ndarray, np.generic)):
        return _convert(value.tolist(), number, mapping)
    if isinstance(value, float):
        return value if math.isfinite(value) else number(value)
    if isinstance(value, Mapping):
        replaced = mapping(value) if mapping is not None else None
        if replaced is not None:
            return replaced
        return {str(key): _convert(member, number, mapping) for key, member in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        members = sorted(value, key=repr) if isinstance(value, (set, frozenset)) else value
        return [_convert(member, number, mapping) for member in members]
    if isinstance(value, np.dtype):
        return value.name
    if isinstance(value, types.FunctionType):
        return custom(value)
    return _convert(serialised(value), number, mapping)


def _number_as_string(number: float) -> str:
    if math.isnan(number):
        return "nan"
    return "inf" if number > 0 else "-inf"


def _reader_dict(value: Mapping) -> dict[str, str] | None:
    """Returns the mark of a function that Keras serialised with its code, or by bare name."""
    if value.get("class_name") == "__lambda__":
        return {"custom": "<lambda>"}
    if is_code(value):
        return {"custom": "<lambda>"}
    if value.get("class_name") == "function" and value.get("module") == "builtins":
        return None if _is_keras_name(value["config"]) else {"custom": str(value["config"])}
    return None


def _is_keras_name(name: Any) -> bool:
    """Whether Keras finds one of its own functions under this bare name."""
    import keras

    modules = (keras.losses, keras.metrics, keras.activations)
    return any(isinstance(getattr(m, str(name), None), types.FunctionType) for m in modules)


def is_code(value: Mapping) -> bool:
    """Whether `value` is Keras's dump of a function: (code, defaults, closure), and no name."""
    if set(value) != _LAMBDA_KEYS:
        return False
    dump = value["value"]
    if not isinstance(dump, (list, tuple)) or len(dump) != 3 or not isinstance(dump[0], str):
        return False
    return all(part is None or isinstance(part, (list, tuple)) for part in dump[1:])
