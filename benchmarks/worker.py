"""Times one engine in a process of its own: commands come by stdin, replies go to stdout.

``python -m benchmarks.worker ENGINE VARIANT MODEL THREADS``. Its Java twin is
java/bench/Worker.java.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any, TextIO

import numpy as np

from benchmarks.engines import ENGINES

MARK = "@@ "
_WAKE_NS = 20_000_000


def main() -> None:
    """Loads the engine, then obeys until stdin ends."""
    name, variant, model, threads = sys.argv[1:]
    # NB: libraries print to stdout, machine code too, so that the file descriptor is moved away.
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    engine = ENGINES[name](variant)
    engine.prepare(int(threads))
    start = time.perf_counter()
    engine.load(model)
    _reply(replies, load_s=time.perf_counter() - start, version=engine.version())
    for line in sys.stdin:
        _reply(replies, **_run(engine, line.rstrip("\n").split("\t")))
    replies.flush()
    # NB: some libraries wait for threads of theirs at exit.
    os._exit(0)


def _run(engine: Any, command: list[str]) -> dict[str, Any]:
    match command:
        case ["input" | "labels" as what, path, shape]:
            data = np.fromfile(path, "float32")
            getattr(engine, what)(data.reshape([int(dim) for dim in shape.split(",")]))
            return {}
        case ["output", path]:
            start = time.perf_counter()
            output = engine.call()
            seconds = time.perf_counter() - start
            np.asarray(output, "float32").tofile(path)
            return {"shape": list(output.shape), "first_s": seconds}
        case ["block", seconds, least]:
            return {"ns": _block(engine.call, float(seconds), int(least))}
    raise ValueError(f"Expected input, labels, output or block. Received: {command!r}.")


def _block(call: Any, seconds: float, least: int) -> list[int]:
    now = time.perf_counter_ns
    # Threads that went to sleep in the pause wake up here; that is not counted.
    woken = now()
    while now() - woken < _WAKE_NS:
        call()
    times = []
    end = now() + int(seconds * 1e9)
    before = now()
    while before < end or len(times) < least:
        call()
        times.append(now() - before)
        before = now()
    return times


def _reply(replies: TextIO, **content: Any) -> None:
    replies.write(MARK + json.dumps(content) + "\n")
    replies.flush()


if __name__ == "__main__":
    main()
