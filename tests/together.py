"""Several threads that use one identity model of one input with 7 features, on whichever host."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

import kbridge


def wrong_answers(model: Any, calls: int) -> list[int]:
    """Predicts in four threads; returns the numbers of the calls whose answer was wrong."""
    wrong: list[int] = []

    def work(seed: int) -> None:
        x = np.random.default_rng(seed).normal(size=(3 + seed, 7)).astype(np.float32)
        wrong.extend(i for i in range(calls) if not np.array_equal(model.predict(x, verbose=0), x))

    _run([lambda seed=seed: work(seed) for seed in range(4)])
    return wrong


def errors_of_a_close(model: Any) -> list[kbridge.KBridgeError]:
    """Closes the model while two threads predict; returns what their last calls raised."""
    x = np.arange(70, dtype=np.float32).reshape(10, 7)
    seen: list[kbridge.KBridgeError] = []
    ready = threading.Barrier(3)

    def work() -> None:
        ready.wait()
        try:
            while True:
                assert np.array_equal(model.predict_on_batch(x), x)
        except kbridge.KBridgeError as e:
            seen.append(e)

    def close() -> None:
        ready.wait()
        model.predict(x)
        model.close()

    _run([work, work, close])
    return seen


def _run(works: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive()
