"""What all sections of a run share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.harness import EngineSpec, Timing
from benchmarks.jvm import JavaLauncher


@dataclass(frozen=True)
class Context:
    """A run of the benchmarks.

    Attributes:
        quick: A smoke test: one small model, short blocks.
        all: Everything, also what takes long.
        only: Names of the only workloads wanted; none: as the other two say.
        engines: Parts of the titles of the only engines wanted; none: all.
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

    def wanted(self, engines: Sequence[EngineSpec]) -> list[EngineSpec]:
        """Returns those of a section's engines that are asked for."""
        return [e for e in engines if not self.engines or any(t in e.title for t in self.engines)]
