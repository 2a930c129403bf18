"""What all sections of a run share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.harness import Timing
from benchmarks.jvm import JavaLauncher


@dataclass(frozen=True)
class Context:
    """A run of the benchmarks.

    Attributes:
        quick: A smoke test: one small model, short blocks.
        all: Everything, also what takes long.
        only: Names of the only workloads wanted; none: as the other two say.
        engines: Parts of the titles of the only inference engines wanted; none: all.
        threads: CPU threads of each engine.
        timing: Blocks and rounds.
        java: Starts JVMs.
        tell: Takes what is being done.
        advance: Called when a step is done.
    """

    quick: bool
    all: bool
    only: tuple[str, ...]
    engines: tuple[str, ...]
    threads: int
    timing: Timing
    java: JavaLauncher
    tell: Callable[[str], None]
    advance: Callable[[], None]
