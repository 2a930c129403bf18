"""Parity of layers: a tiny model around each use of a layer, in Keras and in the JVM.

A family's module lists its cases in `CASES` and gets its test from `layer_test(CASES)`. One bundle
is written per case and asked on both engines for two batches of different sizes; where an input has
free sizes they differ too. What comes back has to have native Keras's structure, shapes and dtypes
and, within `rtol` and `atol`, its numbers. A case with a `refusal` shows instead that the export
says no, by name.
"""

from __future__ import annotations

import dataclasses
import functools
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tests.weights import randomise

RTOL = 1e-4
ATOL = 1e-5
# Sizes of the batch and of free dimensions: of the sample in the bundle, then of the two checks.
BATCHES = (2, 1, 3)
FREE_SIZES = (6, 5, 9)
ENGINES = ("onednn", "nd4j")


@dataclasses.dataclass(frozen=True)
class In:
    """One input of a model.

    Attributes:
        shape: Without the batch; None for a free size.
        dtype: Of the input.
        low: Least value; for floats, None for normally distributed values around 0.
        high: Bound of the values.
    """

    shape: tuple[int | None, ...]
    dtype: str = "float32"
    low: float | None = None
    high: float = 10

    def array(self, variant: int, seed: str) -> np.ndarray:
        """Random values for the sample (variant 0) or one of the checks."""
        shape = tuple(FREE_SIZES[variant] if size is None else size for size in self.shape)
        shape = (BATCHES[variant], *shape)
        rng = np.random.default_rng(zlib.crc32(f"{seed}/{variant}".encode()))
        if self.dtype == "bool":
            return rng.random(shape) < 0.6
        if "int" in self.dtype:
            return rng.integers(self.low or 0, self.high, shape).astype(self.dtype)
        values = 1.5 * rng.standard_normal(shape)
        if self.low is not None:
            values = rng.uniform(self.low, self.high, shape)
        return values.astype(keras.backend.standardize_dtype(self.dtype))


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    """One use of a layer.

    Attributes:
        layer: Name in `keras.layers` of the layer that the case counts for.
        name: What is special about it.
        inputs: What the model takes.
        config: The layer's arguments; or a function that makes the layer.
        call: Applies the layer to the inputs; by default to the one, or to the list of them.
        model: Makes the whole model, in place of `config` and `call`.
        refusal: What the export's refusal says (a regular expression), if that is expected.
        arrays: Makes the flat inputs of a variant, where random ones do not do.
        rtol: Relative tolerance; a case that needs another one says why.
        atol: Absolute tolerance.
    """

    layer: str
    name: str
    inputs: tuple[In, ...]
    config: dict[str, Any] | Callable[[], Any] = dataclasses.field(default_factory=dict)
    call: Callable | None = None
    model: Callable[[], keras.Model] | None = None
    refusal: str | None = None
    arrays: Callable[[int], list[np.ndarray]] | None = None
    rtol: float = RTOL
    atol: float = ATOL

    @property
    def id(self) -> str:
        """The name of its test."""
        return f"{self.layer}-{self.name}".replace(" ", "_")

    def make_layer(self) -> Any:
        """A new layer of the case."""
        if callable(self.config):
            return self.config()
        return getattr(keras.layers, self.layer)(**self.config)

    def build(self) -> keras.Model:
        """The model, with random weights."""
        keras.utils.set_random_seed(5)
        if self.model is not None:
            return randomise(self.model())
        tensors = [
            keras.Input(i.shape, dtype=i.dtype, name=f"x{n}") for n, i in enumerate(self.inputs)
        ]
        layer = self.make_layer()
        if self.call is not None:
            outputs = self.call(layer, *tensors)
        else:
            outputs = layer(tensors[0] if len(tensors) == 1 else tensors)
        return randomise(keras.Model(tensors, outputs))

    def data(self, variant: int) -> list[np.ndarray]:
        """The flat inputs of a variant."""
        if self.arrays is not None:
            return self.arrays(variant)
        return [spec.array(variant, f"{self.id}/{n}") for n, spec in enumerate(self.inputs)]


def check(case: Case, folder: Path) -> None:
    """Compares the JVM's answers with Keras's, or the export's refusal with the expected one."""
    import kbridge

    model = case.build()
    path = folder / f"{zlib.crc32(case.id.encode()):08x}.h5"
    sample = None if case.inputs == () else _packed(model, case.data(0))
    if case.refusal is not None:
        with pytest.raises(kbridge.UnsupportedModelError, match=case.refusal) as refused:
            kbridge.export(model, path, sample=sample)
        assert not path.exists()
        assert all(problem.advice for problem in refused.value.problems)
        return
    kbridge.export(model, path, sample=sample)
    checks = [_packed(model, case.data(variant)) for variant in (1, 2)]
    answers = [model(inputs, training=False) for inputs in checks]
    for engine in ENGINES:
        with kbridge.load(path, engine=engine) as loaded:
            for inputs, expected in zip(checks, answers, strict=True):
                actual = loaded.predict_on_batch(inputs)
                compare(actual, expected, case.rtol, case.atol)
    path.unlink()


def _packed(model: keras.Model, arrays: list[np.ndarray]) -> Any:
    struct = getattr(model, "_inputs_struct", None)
    if struct is not None:
        return keras.tree.pack_sequence_as(struct, arrays)
    return arrays[0] if len(arrays) == 1 else arrays


def compare(actual: Any, expected: Any, rtol: float = RTOL, atol: float = ATOL) -> None:
    """Compares the JVM's answer to native Keras's, exactly in structure, shapes and dtypes."""
    expected = keras.tree.map_structure(keras.ops.convert_to_numpy, expected)
    assert _structure(actual) == _structure(expected)
    for got, want in zip(keras.tree.flatten(actual), keras.tree.flatten(expected), strict=True):
        assert got.dtype == want.dtype
        assert got.shape == want.shape
        if want.dtype.kind in "biu":
            np.testing.assert_array_equal(got, want)
        else:
            wide = "complex64" if want.dtype.kind == "c" else "float64"
            np.testing.assert_allclose(got.astype(wide), want.astype(wide), rtol=rtol, atol=atol)


def _structure(tree: Any) -> Any:
    """Dicts and lists as such; Keras makes no difference between lists and tuples."""
    if isinstance(tree, dict):
        return {name: _structure(item) for name, item in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [_structure(item) for item in tree]
    return "*"


def layer_test(cases: Sequence[Case], compared: Callable[[Case, Path], None] = check) -> Callable:
    """Makes the test of a family's cases; `compared` is what checks one of them."""
    ids = [case.id for case in cases]
    twice = {name for name in ids if ids.count(name) > 1}
    if twice:
        raise ValueError(f"Expected a name of its own for each case. Received twice: {twice}.")

    @pytest.mark.parametrize("case", cases, ids=ids)
    def test_layer(jvm: Any, case: Case, tmp_path: Path, record_property: Callable) -> None:
        record_property("suite", f"layers, {'refusals by name' if case.refusal else 'parity'}")
        compared(case, tmp_path)

    return test_layer


@functools.cache
def public_layers() -> dict[str, type]:
    """The layer classes of `keras.layers` that can be used, by class name."""
    bases = (keras.layers.Layer, keras.layers.Wrapper, keras.layers.InputSpec)
    found = [getattr(keras.layers, name) for name in dir(keras.layers)]
    classes = {c for c in found if isinstance(c, type) and c not in bases}
    names = {c: [n for n in dir(keras.layers) if getattr(keras.layers, n) is c] for c in classes}
    return {
        c.__name__ if c.__name__ in names[c] else names[c][0]: c
        for c in sorted(classes, key=lambda c: c.__name__)
    }
