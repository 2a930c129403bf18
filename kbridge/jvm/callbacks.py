"""What happens around training: callbacks with Keras's method names, and two that are built in.

Any object with methods of `keras.callbacks.Callback` works, so Keras's own do; Keras itself is not
needed.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

Logs = dict[str, float]


class History:
    """What `fit` returns: the numbers of each epoch.

    Attributes:
        history: For each name of the logs its value in each epoch.
        epoch: The epochs that ran.
        params: What `fit` was told: ``epochs``, ``steps``, ``verbose``.
        model: The model.
    """

    def __init__(self) -> None:
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []
        self.params: dict[str, Any] = {}
        self.model: Any = None

    def set_params(self, params: dict[str, Any]) -> None:
        """Keeps what `fit` was told."""
        self.params = params

    def set_model(self, model: Any) -> None:
        """Keeps the model."""
        self.model = model

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Keeps the numbers of an epoch."""
        self.epoch.append(epoch)
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value)


class Progress:
    """Prints how training goes: 1 for a line that grows in each epoch, 2 for one line each.

    Args:
        verbose: 1 or 2.
    """

    def __init__(self, verbose: int):
        self._verbose = verbose
        self._params: dict[str, Any] = {}
        self._started = self._shown = 0.0

    def set_params(self, params: dict[str, Any]) -> None:
        """Keeps how many epochs and steps there are."""
        self._params = params

    def on_epoch_begin(self, epoch: int, logs: Logs) -> None:
        """Prints the number of the epoch."""
        print(f"Epoch {epoch + 1}/{self._params['epochs']}")
        self._started = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Logs) -> None:
        """Prints the numbers so far, ten times a second at most."""
        now = time.perf_counter()
        if self._verbose == 1 and now - self._shown > 0.1 and sys.stdout.isatty():
            self._shown = now
            steps = self._params["steps"] or "?"
            print(f"\r{batch + 1}/{steps} - {_text(logs)}", end="", flush=True)

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Prints the numbers of the epoch."""
        seconds = time.perf_counter() - self._started
        start = "\r" if self._verbose == 1 and sys.stdout.isatty() else ""
        steps = self._params["steps"] or "?"
        print(f"{start}{steps}/{steps} - {seconds:.1f}s - {_text(logs)}")


def _text(logs: Logs) -> str:
    return " - ".join(f"{name}: {value:.4f}" for name, value in logs.items())


class Callbacks:
    """The callbacks of one run of `fit` or `evaluate`.

    Args:
        callbacks: Objects with methods of `keras.callbacks.Callback`.
        model: The model that they see.
        params: What `fit` was told.
    """

    def __init__(self, callbacks: Sequence[Any], model: Any, params: dict[str, Any]):
        self._callbacks = list(callbacks)
        self._call("set_params", params)
        self._call("set_model", model)

    def __getattr__(self, event: str) -> Callable:
        if not event.startswith("on_"):
            raise AttributeError(event)
        return lambda *args: self._call(event, *args)

    def _call(self, method: str, *args: Any) -> None:
        for callback in self._callbacks:
            found = getattr(callback, method, None)
            if found is not None:
                found(*args)

    def want_batches(self, kind: str) -> bool:
        """Tells whether a callback looks at what single batches give.

        Args:
            kind: ``"train"`` or ``"test"``.
        """
        names = (
            [f"on_{kind}_batch_end", "on_batch_end"] if kind == "train" else ["on_test_batch_end"]
        )
        return any(_overrides(callback, name) for callback in self._callbacks for name in names)


def _overrides(callback: Any, name: str) -> bool:
    # NB: Keras's base class has all methods, and they do nothing; `LambdaCallback` has its own in
    # the instance.
    method = getattr(callback, name, None)
    return method is not None and not getattr(method, "__qualname__", "").startswith("Callback.")
