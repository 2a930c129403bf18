"""Inputs to check a model with, when the user gives none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from kbridge.jvm import arrays

BATCH = 3
"""Samples in a batch: odd, so that an axis taken for another one shows."""

_ANY_SIZE = 8
# Operations whose outputs hold the elements of their inputs, and no others.
_CARRIERS = frozenset(
    ["BroadcastTo", "Cast", "Concatenate", "Copy", "ExpandDims", "Flip", "GetItem", "Identity"]
    + ["Moveaxis", "Ravel", "Repeat", "Reshape", "Slice", "Squeeze", "Stack", "StopGradient"]
    + ["Swapaxes", "Tile", "Transpose"]
)


def sample_inputs(
    spec: Mapping[str, Any],
    sizes: Mapping[str, tuple[int, ...]] | None = None,
    batch: int = BATCH,
    seed: int = 0,
) -> list[np.ndarray]:
    """Makes random inputs that fit a model, the same for the same seed.

    Floats are drawn from the standard normal distribution, so negative ones are among them. Numbers
    that are looked up in a table (an Embedding's, or a one-hot encoding) stay within it.

    Args:
        spec: The bundle's spec.
        sizes: Shapes known to work, by input name; they decide sizes that the spec leaves open.
        batch: Size of an open first axis.
        seed: Seed of the random numbers.

    Returns:
        One array per input, in the spec's order.
    """
    rng = np.random.default_rng(seed)
    limits = _lookup_limits(spec)
    return [
        _draw(
            rng, _shape(described, (sizes or {}).get(described["name"]), batch), described, limits
        )
        for described in spec["inputs"]
    ]


def _shape(
    described: Mapping[str, Any], known: tuple[int, ...] | None, batch: int
) -> tuple[int, ...]:
    known = known or (_ANY_SIZE,) * len(described["shape"])
    return tuple(
        size if size is not None else batch if axis == 0 else known[axis]
        for axis, size in enumerate(described["shape"])
    )


def _draw(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    described: Mapping[str, Any],
    limits: Mapping[str, int],
) -> np.ndarray:
    dtype, limit = described["dtype"], limits.get(described["name"])
    if limit is not None:
        values = rng.integers(0, limit, shape)
    elif dtype == "bool":
        values = rng.integers(0, 2, shape)
    elif dtype == "uint8":
        values = rng.integers(0, 256, shape)
    elif dtype.startswith("uint"):
        values = rng.integers(0, 10, shape)
    elif dtype.startswith("int"):
        values = rng.integers(-5, 10, shape)
    else:
        values = rng.standard_normal(shape)
    return np.asarray(values).astype(arrays.dtype(dtype))


def _lookup_limits(spec: Mapping[str, Any]) -> dict[str, int]:
    """For each input whose elements index a table: how many entries the smallest table has."""
    nodes = spec["graphs"]["inference"]["nodes"]
    shapes = dict(_shapes(spec))
    origins: dict[str, set[str]] = {d["name"]: {d["name"]} for d in spec["inputs"]}
    limits: dict[str, int] = {}
    for node in nodes:
        reads = [name for name in node["inputs"] if name is not None]
        if node["op"] in _CARRIERS:
            carried = set().union(*(origins.get(name, set()) for name in reads))
            origins.update((output["name"], carried) for output in node["outputs"])
        entries, indices = _lookup(node, shapes)
        for origin in origins.get(indices, ()) if entries else ():
            limits[origin] = min(entries, limits.get(origin, entries))
    return limits


def _lookup(node: Mapping[str, Any], shapes: Mapping[str, Any]) -> tuple[int | None, str]:
    """Returns how many entries a node's table has and which value indexes it."""
    if node["op"] == "Take":
        return shapes[node["inputs"][0]][node["attrs"]["axis"]], node["inputs"][1]
    if node["op"] == "OneHot":
        return node["attrs"]["num_classes"], node["inputs"][0]
    return None, ""


def _shapes(spec: Mapping[str, Any]) -> Iterable[tuple[str, list[int | None]]]:
    for table in ("weights", "constants"):
        yield from ((name, entry["shape"]) for name, entry in spec[table].items())
    yield from ((described["name"], described["shape"]) for described in spec["inputs"])
    for node in spec["graphs"]["inference"]["nodes"]:
        yield from ((output["name"], output["shape"]) for output in node["outputs"])
