"""Parity of single operations: a tiny model around each, in Keras and in the JVM.

A family's test module lists its cases in `CASES` and gets its test from `parity_test(CASES)`. Each
case is a function of tensors, written with `keras.ops`, and the arrays it is called with. The model
is exported and run in the JVM, and what comes back has to have Keras's dtype and shape and, within
`rtol` and `atol`, Keras's numbers. The gradients of its inputs are compared as well (gradients.py).
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import importlib
import json
import os
import uuid
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

from tests.conftest import SHARED_FOLDER

RTOL = 1e-5
ATOL = 1e-6


class Applies(keras.layers.Layer):
    """A layer that calls a function, as custom layers call `keras.ops`."""

    def __init__(self, function: Callable):
        super().__init__(name="applies", autocast=False)
        self.function = function

    def get_config(self) -> dict[str, Any]:
        return {"function": getattr(self.function, "__name__", "function")}

    def call(self, *tensors: Any) -> Any:
        return self.function(*tensors)


class AppliesTo(Applies):
    """The same, for functions whose shapes Keras cannot infer with TensorFlow: they are given."""

    def __init__(self, function: Callable, spec: Any):
        super().__init__(function)
        self.spec = spec

    def compute_output_spec(self, *tensors: Any) -> Any:
        return self.spec


@dataclass(frozen=True, eq=False)
class Case:
    """One use of an operation.

    Attributes:
        name: What is special about it.
        function: Computes one tensor, or a list of them, from tensors.
        inputs: The arrays to call it with.
        dynamic: Whether the size of the first axis is left open in the model; by default where the
            inputs have one in common.
        rtol: Relative tolerance; a case that needs another one says why.
        atol: Absolute tolerance.
        functional: Whether the operation is a node of a functional model, not inside a layer: for
            those that Keras cannot trace with TensorFlow.
        uninferred: Whether Keras cannot infer the shape of the output, a tensor with the first
            axis of the inputs.
        gradient: Who tells the gradient: ``"tape"`` is TensorFlow's, ``"differences"`` are finite
            ones, where TensorFlow has none; ``"refused"`` where kbridge has none.
    """

    name: str
    function: Callable
    inputs: tuple
    dynamic: bool | None = None
    rtol: float = RTOL
    atol: float = ATOL
    functional: bool = False
    uninferred: bool = False
    gradient: str = "tape"

    def model(self) -> keras.Model:
        """The model around the operation."""
        tensors = [self._input(i, x) for i, x in enumerate(self.inputs)]
        if self.functional:
            return keras.Model(tensors, self.function(*tensors))
        if self.uninferred:
            (made,) = self.expected()
            spec = keras.KerasTensor((None, *made.shape[1:]), dtype=str(made.dtype))
            return keras.Model(tensors, AppliesTo(self.function, spec)(*tensors))
        return keras.Model(tensors, Applies(self.function)(*tensors))

    def _input(self, i: int, x: np.ndarray) -> keras.KerasTensor:
        shape = (None, *x.shape[1:]) if self._open() else x.shape
        return keras.Input(batch_shape=shape, dtype=str(x.dtype), name=f"x{i}")

    def _open(self) -> bool:
        if self.dynamic is not None:
            return self.dynamic
        return len({x.shape[:1] for x in self.inputs}) == 1 and self.inputs[0].ndim > 0

    def expected(self) -> list[np.ndarray]:
        """What Keras computes."""
        return _arrays(self.function(*[keras.ops.convert_to_tensor(x) for x in self.inputs]))

    @functools.cached_property
    def bundle(self) -> Path:
        """The exported model, written once for all suites and processes of a test run."""
        import kbridge

        key = f"{_FAMILY.get(self, uuid.uuid4())}/{self.name}".encode()
        path = Path(os.environ[SHARED_FOLDER]) / f"op-{hashlib.sha256(key).hexdigest()[:24]}.h5"
        if not path.exists():
            own = path.with_suffix(f".{os.getpid()}.h5")
            # NB: the whole sample, whoever asks first: it is in the bundle, for self-tests.
            kbridge.export(self.model(), own, sample=list(_WHOLE.get(self, self).inputs))
            # NB: another process may have written it meanwhile, and read it: that one stays.
            with contextlib.suppress(FileExistsError):
                path.hardlink_to(own)
            own.unlink()
        return path

    def alone(self) -> Case | None:
        """The case with its first row only; None where the inputs have no rows in common."""
        rows = {x.shape[:1] for x in self.inputs}
        if len(rows) > 1 or rows & {(), (0,), (1,)}:
            return None
        # NB: of an open batch, so the model is the same and is not written again.
        name = self.name if self._open() else f"{self.name}, alone"
        one = dataclasses.replace(self, name=name, inputs=tuple(x[:1] for x in self.inputs))
        _FAMILY[one] = _FAMILY[self]
        if self._open():
            _WHOLE[one] = self
        return one

    def ops(self) -> set[str]:
        """The operations of the exported graph."""
        with h5py.File(self.bundle) as file:
            spec = json.loads(file["kbridge/spec"][()].tobytes())
        return {node["op"] for graph in spec["graphs"].values() for node in graph["nodes"]}


# The test module of each case.
_FAMILY: dict[Case, str] = {}
# The case that one of its rows was taken from, where both are of one model.
_WHOLE: dict[Case, Case] = {}


def families() -> dict[str, list[Case]]:
    """The cases of every test module that has some, by the module's name."""
    names = sorted(path.stem for path in Path(__file__).parent.glob("test_*.py"))
    modules = [importlib.import_module(name) for name in names]
    return {m.__name__: m.CASES for m in modules if hasattr(m, "CASES")}


def _arrays(outputs: Any) -> list[np.ndarray]:
    return [keras.ops.convert_to_numpy(x) for x in keras.tree.flatten(outputs)]


def check(case: Case, engine: str = "nd4j") -> None:
    """Compares the JVM's answer with Keras's."""
    import kbridge

    with kbridge.load(case.bundle, engine=engine) as model:
        given = list(case.inputs) if len(case.inputs) > 1 else case.inputs[0]
        actual = [np.asarray(x) for x in keras.tree.flatten(model.predict_on_batch(given))]
    expected = case.expected()
    assert len(actual) == len(expected)
    for got, want in zip(actual, expected, strict=True):
        assert got.dtype == want.dtype
        assert got.shape == want.shape
        if want.dtype.kind in "fc":
            np.testing.assert_allclose(got, want, rtol=case.rtol, atol=case.atol)
        else:
            np.testing.assert_array_equal(got, want)


def parity_test(cases: Sequence[Case], family: str) -> Callable:
    """Makes the test of a family's cases, which is the name of their module."""
    _FAMILY.update(dict.fromkeys(cases, family))
    names = [case.name for case in cases]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"Expected a name of its own for each case. Received twice: {twice}.")

    @pytest.mark.parametrize("case", cases, ids=names)
    def test_parity(jvm: Any, case: Case, record_property: Callable) -> None:
        from gradients import check_gradients

        record_property("suite", "operations, engine nd4j")
        check(case)
        check_gradients(case)

    return test_parity


def _random(*key: Any) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(repr(key).encode()))


def floats(*shape: int, dtype: str = "float32", low: float = -2.0, high: float = 2.0) -> np.ndarray:
    """Random numbers, the same ones for the same arguments."""
    return _random(shape, low, high).uniform(low, high, shape).astype(dtype)


def integers(*shape: int, dtype: str = "int32", low: int = -9, high: int = 10) -> np.ndarray:
    """Random integers from `low` to below `high`, the same ones for the same arguments."""
    return _random(shape, low, high).integers(low, high, shape).astype(dtype)


def booleans(*shape: int) -> np.ndarray:
    """Random truth values, the same ones for the same arguments."""
    return integers(*shape, low=0, high=2).astype(bool)
