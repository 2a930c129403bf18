"""A bundle loaded into a JVM: what a model asks Java for, whichever host runs it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kbridge import errors
from kbridge.jvm.bridge import Flat, Host, JavaObject, Jvm
from kbridge.jvm.inputs import TensorSpec
from kbridge.jvm.trainer import TrainerSession

_CALLS_KEPT = 64


@dataclass
class Call:
    """Calls of a model with inputs of certain shapes.

    Attributes:
        java: The Java side's prepared call, a ``HostCall``.
        outputs: Shape and dtype of each output, known after the first run.
    """

    java: JavaObject
    outputs: list[tuple[tuple[int, ...], np.dtype]] | None = None


@dataclass
class _Loaded:
    """The bundle in one running JVM; `lost` once that has died."""

    jvm: Jvm
    door: JavaObject
    calls: dict[tuple, Call] = field(default_factory=dict)
    direct: dict[tuple, Callable[[np.ndarray], np.ndarray]] = field(default_factory=dict)
    lost: bool = False


class Session:
    """The bundle in the host's JVM. Where that dies, the call is an error and the next loads again.

    It may be used from several threads.

    Args:
        host: Who runs the JVM.
        path: The bundle, absolute.
        device: What the JVM is started for.
        options: How Java loads it; see ``HostModel.load``.
        inputs: The model's inputs.
    """

    def __init__(
        self,
        host: Host,
        path: str,
        device: str,
        options: dict[str, Any],
        inputs: Sequence[TensorSpec],
    ):
        self._host = host
        self._path = path
        self._device = device
        self._options = json.dumps(options)
        self._dtypes = [spec.dtype for spec in inputs]
        self._lock = threading.RLock()
        self._closed = False
        # NB: kept, because a JVM that has died and is started anew has to have the same weights.
        self._seed: int | None = None
        try:
            self._now = self._load()
        except BaseException:
            host.leave()
            raise

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def check(self) -> None:
        """Raises JvmStateError where the model cannot be used: closed, or in a forked process."""
        self._host.check()
        if self._closed:
            raise errors.JvmStateError(
                f"Expected an open model. Received: a call of {self._path!r} after close(). "
                "Load the bundle again with kbridge.load."
            )

    def close(self) -> None:
        """Frees the model's memory in the JVM. May be called again."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            now = self._now
            now.calls, now.direct = {}, {}
        try:
            if not now.lost:
                self._host.check()
                now.jvm.ask(now.door, "close")
        except errors.JvmStateError:
            # NB: the JVM has ended, and the memory with it; or it is that of a parent process.
            now.lost = True
        finally:
            self._host.leave()

    def run_array(self, x: Any) -> np.ndarray | None:
        """Runs one batch of a model of one input and one output, without any detour.

        Args:
            x: What a caller gave.

        Returns:
            The output; None, and nothing has been done, unless `x` is an array as the JVM reads it,
            of a shape that has been run before.
        """
        if type(x) is not np.ndarray or x.dtype != self._dtypes[0] or not x.flags.carray:
            return None
        direct = self._now.direct.get(x.shape)
        if direct is None:
            return None
        self.check()
        return self._ask(self._now, direct, x)

    def run(self, given: Flat, into: list[np.ndarray] | None = None) -> list[np.ndarray]:
        """Runs one batch.

        Args:
            given: Inputs that fit the model.
            into: Arrays to put the outputs into; new ones by default.
        """
        now = self._loaded()
        call = self._call(now, given)
        if call.outputs is None:
            found = self._collect(now, call, given, "run")
            call.outputs = [(array.shape, array.dtype) for array in found]
            self._shorten(now, call, given)
            for target, array in zip(into or [], found, strict=into is not None):
                target[...] = array
            return found if into is None else into
        if into is None:
            into = [np.empty(shape, dtype) for shape, dtype in call.outputs]
        elif [(array.shape, array.dtype) for array in into] != call.outputs:
            raise errors.InvalidInputError(
                "Expected outputs whose shapes differ between batches in the number of samples "
                f"only. Received: {call.outputs}. Predict all samples at once (predict_on_batch)."
            )
        with self._ask(now, now.jvm.lend, given, self._dtypes, into) as lent:
            self._ask(now, lent.ask, call.java, "runInto", lent.inputs, lent.outputs)
        return into

    def values(self, given: Flat, names: list[str]) -> list[np.ndarray]:
        """Computes values inside the model for one batch."""
        now = self._loaded()
        return self._collect(now, self._call(now, given), given, "values", names)

    def plan_steps(self, given: Flat, runs: int) -> list[dict[str, Any]]:
        """Tells what a prediction does; see `JvmModel.plan_steps`."""
        now = self._loaded()
        call = self._call(now, given)
        with self._ask(now, now.jvm.lend, given, self._dtypes) as lent:
            return json.loads(self._ask(now, lent.ask, call.java, "planSteps", lent.inputs, runs))

    def calibrate(self, given: Flat) -> dict[str, list[float]]:
        """Tells how large values get for one batch; see `JvmModel.calibrate`."""
        now = self._loaded()
        call = self._call(now, given)
        with self._ask(now, now.jvm.lend, given, self._dtypes) as lent:
            return json.loads(self._ask(now, lent.ask, call.java, "calibrate", lent.inputs))

    def trainer(self) -> TrainerSession:
        """Opens the bundle's training steps."""
        now = self._loaded()
        static = now.jvm.static
        door = self._ask(now, static, "HostTrainer", "load", self._path, self._options)
        trainer = TrainerSession(now.jvm, door)
        if self._seed is not None:
            trainer.reinitialize(self._seed)
        return trainer

    def self_test(self) -> dict[str, Any]:
        """Runs the golden samples; see `JvmModel.self_test`."""
        now = self._loaded()
        return json.loads(self._ask(now, now.jvm.ask, now.door, "selfTest"))

    def reinitialize(self, seed: int) -> None:
        """Gives the model new weights; see `JvmModel.reinitialize`."""
        with self._lock:
            now = self._loaded()
            self._ask(now, now.jvm.ask, now.door, "reinitialize", seed)
            self._seed = seed

    def states(self, names: Sequence[str]) -> list[np.ndarray]:
        """Returns copies of the states that the model keeps from call to call: all, in order."""
        now = self._loaded()
        found = self._ask(now, now.jvm.collect, self._ask(now, now.jvm.ask, now.door, "states"))
        return [np.array(array) for _, array in zip(names, found, strict=True)]

    def set_states(self, states: dict[str, np.ndarray]) -> None:
        """Changes the states: all of them, in order."""
        now = self._loaded()
        given = list(states.values())
        dtypes = [array.dtype for array in given]
        with self._ask(now, now.jvm.lend, given, dtypes) as lent:
            self._ask(now, lent.ask, now.door, "assignStates", lent.inputs)

    def reset_states(self) -> None:
        """Sets all states to zero."""
        now = self._loaded()
        self._ask(now, now.jvm.ask, now.door, "resetStates")

    def save_same_diff(self, path: str) -> None:
        """Saves the model as a SameDiff graph; see `JvmModel.save_same_diff`."""
        now = self._loaded()
        self._ask(now, now.jvm.ask, now.door, "saveSameDiff", path)

    def _load(self) -> _Loaded:
        jvm = self._host.start(self._device)
        door = jvm.static("HostModel", "load", self._path, self._options)
        if self._seed is not None:
            jvm.ask(door, "reinitialize", self._seed)
        return _Loaded(jvm, door)

    def _loaded(self) -> _Loaded:
        self.check()
        if not self._now.lost:
            return self._now
        with self._lock:
            self.check()
            if self._now.lost:
                self._now = self._load()
            return self._now

    def _shorten(self, now: _Loaded, call: Call, given: Flat) -> None:
        """Prepares `run_array` for inputs of a shape that has just been run."""
        if len(given) == len(call.outputs) == 1 and given[0] is not None:
            direct = now.jvm.direct(call.java, *call.outputs[0])
            if direct is not None:
                now.direct[given[0].shape] = direct

    def _call(self, now: _Loaded, given: Flat) -> Call:
        """Returns the prepared call for inputs of these shapes."""
        key = tuple(None if array is None else array.shape for array in given)
        call = now.calls.get(key)
        if call is None:
            shapes = [None if shape is None else list(shape) for shape in key]
            call = Call(self._ask(now, now.jvm.ask, now.door, "call", shapes))
            if len(now.calls) >= _CALLS_KEPT:
                now.calls.clear()
                now.direct.clear()
            now.calls[key] = call
        return call

    def _collect(
        self, now: _Loaded, call: Call, given: Flat, method: str, *args: Any
    ) -> list[np.ndarray]:
        """Makes a call that gives a ``HostResult``."""
        with self._ask(now, now.jvm.lend, given, self._dtypes) as lent:
            result = self._ask(now, lent.ask, call.java, method, lent.inputs, *args)
        return self._ask(now, now.jvm.collect, result)

    def _ask(self, now: _Loaded, ask: Any, *args: Any) -> Any:
        """Asks Java; an error is one of a closed model if another thread has closed it."""
        try:
            return ask(*args)
        except errors.JvmProcessError:
            now.lost = True
            self.check()
            raise
        except errors.InternalError:
            self.check()
            raise
