"""Nested inputs and outputs, as the bundle's ``input_structure`` and ``output_structure`` say them.

A structure is ``"*"`` (one tensor), a number (that tensor of the flat list), a list or a dict of
structures.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Structure = str | int | list | dict


def pack(structure: Structure, flat: Sequence[Any]) -> Any:
    """Nests a flat list as the structure says.

    Args:
        structure: The structure.
        flat: One value per tensor.

    Returns:
        A value, a list or a dict.
    """
    if structure == "*":
        return flat[0]
    if isinstance(structure, int):
        return flat[structure]
    if isinstance(structure, list):
        return [pack(part, flat) for part in structure]
    return {key: pack(part, flat) for key, part in structure.items()}


class StructureError(ValueError):
    """The values do not nest as the structure says; the message says where and what came."""


def flatten(structure: Structure, values: Any, names: Sequence[str]) -> list[Any]:
    """Returns the flat list of nested values, one per name.

    Besides the structure itself, a dict by tensor name and, for tensors in a dict, a flat list in
    the model's order are understood, as in Keras.

    Args:
        structure: The structure.
        values: Values nested like it.
        names: The tensors' names, in the model's order.

    Raises:
        StructureError: They are not nested so.
    """
    if structure == "*":
        return [_single(values, names[0])]
    if isinstance(values, dict) and not isinstance(structure, dict):
        return _by_key(values, names)
    is_list = isinstance(values, (list, tuple))
    if isinstance(structure, dict) and is_list and len(values) == len(names):
        return list(values)
    if len(names) == 1 and not is_list and not isinstance(values, dict):
        return [values]
    flat: dict[int, Any] = {}
    _collect(structure, values, "x", flat)
    return [flat[i] for i in range(len(names))]


def _single(values: Any, name: str) -> Any:
    if isinstance(values, dict):
        return _by_key(values, [name])[0]
    # NB: as in Keras, a list of arrays is a list of inputs; a list of numbers is an array.
    if isinstance(values, (list, tuple)) and any(getattr(v, "ndim", 0) for v in values):
        if len(values) != 1:
            raise StructureError(
                f"one array for the input {name!r}, but a {type(values).__name__} of "
                f"{len(values)} arrays came"
            )
        return values[0]
    return values


def _by_key(values: dict, keys: Sequence[str]) -> list[Any]:
    missing = [key for key in keys if key not in values]
    extra = [key for key in values if key not in keys]
    if missing or extra:
        came = f"missing: {missing}" if missing else ""
        came += "; " if missing and extra else ""
        came += f"unknown: {extra}" if extra else ""
        raise StructureError(f"a dict with the keys {list(keys)}, but of those keys {came}")
    return [values[key] for key in keys]


def _collect(structure: Structure, values: Any, where: str, flat: dict[int, Any]) -> None:
    if isinstance(structure, int):
        flat[structure] = values
    elif isinstance(structure, dict):
        if not isinstance(values, dict):
            raise StructureError(
                f"a dict with the keys {list(structure)} at {where}, but {_kind(values)} came"
            )
        for (key, part), value in zip(
            structure.items(), _by_key(values, list(structure)), strict=True
        ):
            _collect(part, value, f"{where}[{key!r}]", flat)
    else:
        if not isinstance(values, (list, tuple)) or len(values) != len(structure):
            raise StructureError(f"a list of {len(structure)} at {where}, but {_kind(values)} came")
        for i, (part, value) in enumerate(zip(structure, values, strict=True)):
            _collect(part, value, f"{where}[{i}]", flat)


def _kind(values: Any) -> str:
    if isinstance(values, (list, tuple)):
        return f"a {type(values).__name__} of {len(values)}"
    if isinstance(values, dict):
        return f"a dict with the keys {list(values)}"
    shape = getattr(values, "shape", None)
    return type(values).__name__ if shape is None else f"one array of shape {tuple(shape)}"
