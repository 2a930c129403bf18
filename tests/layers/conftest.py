"""Prints how many layer cases ran and passed."""

from __future__ import annotations

from typing import Any


def pytest_terminal_summary(terminalreporter: Any) -> None:
    from tests.layers.harness import RESULTS

    for kind, what in (("parity", "parity cases"), ("refused", "refusals by name")):
        passed, failed = RESULTS[f"{kind} passed"], RESULTS[f"{kind} failed"]
        if passed + failed:
            rate = 100 * passed / (passed + failed)
            terminalreporter.write_line(
                f"layers: {passed} of {passed + failed} {what} pass ({rate:.1f} %)"
            )
