"""The command line: ``kbridge export | inspect | run | check | plot | doctor | jars``.

Heavy imports are inside of the commands, so that ``kbridge --help`` answers at once.
"""

from __future__ import annotations

from kbridge.cli import bundles, running, setup
from kbridge.cli.app import app

__all__ = ["app", "bundles", "main", "running", "setup"]


def main() -> None:
    """Runs the command line; the ``kbridge`` program."""
    app(prog_name="kbridge")
