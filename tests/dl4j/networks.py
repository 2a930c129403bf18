"""Runs the checks of DL4J networks in a process of their own: its JVM has DL4J on its class path.

Prints one JSON object: for each check its name and what went wrong, or null.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import sys
import tempfile
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

import checks  # noqa: E402
import dl4j_table  # noqa: E402
import jpype  # noqa: E402
from checks.common import CHECKS  # noqa: E402

import kbridge  # noqa: E402


def main() -> None:
    for module in pkgutil.iter_modules(checks.__path__):
        importlib.import_module(f"checks.{module.name}")
    dl4j_table.start_jvm("dl4j")
    told = {}
    wanted = sys.argv[1:] or list(CHECKS)
    for name in wanted:
        with tempfile.TemporaryDirectory() as folder:
            try:
                CHECKS[name](Path(folder))
                told[name] = None
            except (
                AssertionError,
                AttributeError,
                jpype.JException,
                kbridge.KBridgeError,
                ValueError,
                TypeError,
            ):
                told[name] = traceback.format_exc()
        print(name, "ok" if told[name] is None else told[name], file=sys.stderr, flush=True)
    print(json.dumps(told))


if __name__ == "__main__":
    main()
