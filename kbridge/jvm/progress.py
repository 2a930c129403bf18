"""The progress of a long prediction."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from kbridge import errors

_PATIENCE_S = 1.0

T = TypeVar("T")


def check_verbose(verbose: Any) -> None:
    """Raises OptionError for a value of `verbose` that Keras does not know either."""
    if verbose not in ("auto", 0, 1, 2):
        raise errors.OptionError(
            f"Expected verbose to be 'auto', 0, 1 or 2. Received: {verbose!r}."
        )


def track(batches: Iterable[T], total: int | None, verbose: str | int) -> Iterator[T]:
    """Yields the batches and shows how far they are.

    Args:
        batches: What is worked on, one at a time.
        total: How many there are, or None if that is not known.
        verbose: 0 shows nothing; 1 and 2 show a bar; ``"auto"`` shows one on a terminal when
            the work takes longer than a second.
    """
    if verbose == 0:
        yield from batches
        return
    bar = None
    started = time.monotonic()
    try:
        for done, batch in enumerate(batches):
            late = verbose != "auto" or time.monotonic() - started > _PATIENCE_S
            if bar is None and late:
                bar = _start_bar(verbose)
                task = bar.add_task("predict", total=total)
            if bar is not None:
                bar.update(task, completed=done)
            yield batch
        if bar is not None:
            bar.update(task, completed=total if total is not None else done + 1)
    finally:
        if bar is not None:
            bar.stop()


def _start_bar(verbose: str | int) -> Any:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        # NB: a log file is no place for a bar that nobody asked for.
        disable=verbose == "auto" and not console.is_terminal,
    )
    bar.start()
    return bar
