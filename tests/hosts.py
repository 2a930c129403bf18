"""Runs the parity suites in more JVMs than the one of this process: ``pytest --also NAME,...``.

In a suite whose conftest has the fixture `everywhere`, `kbridge.load` gives a model that every JVM
holds. What `predict_on_batch` returns is the answer of this process's; the others' have to be the
same.
"""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from kbridge.errors import SelfTestError

# By name: options of the process, and options of the load.
HOSTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "process": ({}, {}),
    # The plans of a GPU, on the CPU.
    "devicememory": ({"jvm_args": ["-Dio.kbridge.deviceMemory=true"]}, {}),
    "gpu": ({}, {"device": "gpu", "engine": "nd4j"}),
}
# What makes another model of the one in this process.
_CHANGES = ("fit", "train_on_batch", "reinitialize")
# NB: the oneDNN engine chooses between algorithms by the clock, so two JVMs may round differently.
_ROUNDING = {"rtol": 1e-4, "atol": 1e-5}


def add_option(parser: pytest.Parser) -> None:
    """Adds the option to pytest."""
    told = f"more JVMs for the parity suites, by name: {', '.join(HOSTS)}"
    parser.addoption("--also", default="", help=told)


@pytest.fixture(scope="session")
def other_jvms(request: pytest.FixtureRequest) -> Iterator[dict[str, dict[str, Any]]]:
    """Gives the options of `kbridge.load` for each JVM that was asked for, by its name."""
    import kbridge

    with contextlib.ExitStack() as stack:
        found = {}
        for name in filter(None, request.config.getoption("--also").split(",")):
            process, options = HOSTS[name]
            found[name] = {"host": stack.enter_context(kbridge.JvmProcess(**process)), **options}
        yield found


@pytest.fixture(scope="module", autouse=True)
def everywhere(jvm: Any, other_jvms: dict[str, dict[str, Any]]) -> Iterator[None]:
    """Makes `kbridge.load` load into every JVM that was asked for."""
    import kbridge

    load = kbridge.load
    kbridge.load = lambda path, **given: Everywhere(load, other_jvms, path, given)
    yield
    kbridge.load = load


class Everywhere:
    """One bundle in several JVMs; like the model of this process's, but for its answers."""

    def __init__(self, load: Any, others: dict[str, Any], path: Any, given: dict[str, Any]):
        self._exact = given.get("engine") == "nd4j"
        self._stack = contextlib.ExitStack()
        self._here = self._stack.enter_context(load(path, **given))
        self._others = {}
        for name, options in others.items():
            try:
                loaded = load(path, **{**given, **options})
            except SelfTestError:
                # NB: of the few cases that miss the tolerance of golden samples, and are right by
                # their own, the plans of a GPU are refused; here they miss it too.
                if self._here.self_test()["ok"]:
                    raise
                warnings.warn(f"not run in the JVM {name!r}: refused, see hosts.py", stacklevel=2)
            else:
                self._others[name] = self._stack.enter_context(loaded)
        self._turn = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        if name in _CHANGES:
            self._others = {}
        return getattr(self._here, name)

    def __enter__(self) -> Everywhere:
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def close(self) -> None:
        self._stack.close()

    def predict_on_batch(self, x: Any) -> Any:
        """The answer of this process's JVM, once all are the same."""
        if not self._others:
            return self._here.predict_on_batch(x)
        with self._turn:
            return self._answer(x)

    def _answer(self, x: Any) -> Any:
        states = self._here.states
        answer = self._here.predict_on_batch(x)
        for name, model in self._others.items():
            model.set_states(states)
            _same(model.predict_on_batch(x), answer, name, self._exact and name != "gpu")
        return answer


def _same(other: Any, here: Any, name: str, exact: bool) -> None:
    import keras

    assert keras.tree.assert_same_structure(other, here) is None
    for got, want in zip(keras.tree.flatten(other), keras.tree.flatten(here), strict=True):
        assert (got.dtype, got.shape) == (want.dtype, want.shape)
        if want.dtype.kind in "biu" or exact:
            np.testing.assert_array_equal(got, want, err_msg=name)
        else:
            wide = "complex64" if want.dtype.kind == "c" else "float64"
            np.testing.assert_allclose(
                got.astype(wide), want.astype(wide), **_ROUNDING, err_msg=name
            )
