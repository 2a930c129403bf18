"""How the command line talks: exit codes, consoles, JSON, and a clean standard output."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from kbridge import errors

if TYPE_CHECKING:
    from rich.console import Console

# Columns of tables that go into a file or another program.
_FILE_WIDTH = 110


class Exit(IntEnum):
    """Exit codes, for scripts."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNSUPPORTED = 3
    FILE = 4
    ENVIRONMENT = 5
    INTERNAL = 6
    INTERRUPTED = 130


EXITS: dict[type[errors.KBridgeError], Exit] = {
    errors.ParityError: Exit.FAILED,
    errors.SelfTestError: Exit.FAILED,
    errors.InvalidInputError: Exit.USAGE,
    errors.OptionError: Exit.USAGE,
    errors.UnsupportedModelError: Exit.UNSUPPORTED,
    errors.UnsupportedOpError: Exit.UNSUPPORTED,
    errors.NotTrainableError: Exit.UNSUPPORTED,
    errors.NotANumberError: Exit.FAILED,
    errors.BundleNotFoundError: Exit.FILE,
    errors.BundleFormatError: Exit.FILE,
    errors.ExportError: Exit.FILE,
    errors.DeviceUnavailableError: Exit.ENVIRONMENT,
    errors.JavaNotFoundError: Exit.ENVIRONMENT,
    errors.JarsNotFoundError: Exit.ENVIRONMENT,
    errors.JvmStateError: Exit.ENVIRONMENT,
    errors.JvmProcessError: Exit.INTERNAL,
    errors.JvmOutOfMemoryError: Exit.ENVIRONMENT,
    errors.MissingPackageError: Exit.ENVIRONMENT,
    errors.PythonUnavailableError: Exit.ENVIRONMENT,
    errors.PythonFailedError: Exit.INTERNAL,
}


def exit_code(e: errors.KBridgeError) -> Exit:
    """Returns the exit code of an error: that of its nearest class which has one."""
    return next((EXITS[cls] for cls in type(e).__mro__ if cls in EXITS), Exit.INTERNAL)


def console(stderr: bool = False) -> Console:
    """Returns a console for tables and progress."""
    from rich.console import Console

    made = Console(stderr=stderr, highlight=False)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = _FILE_WIDTH
    return made


@contextlib.contextmanager
def working(what: str, as_json: bool) -> Iterator[Callable[[str], None]]:
    """Shows on stderr that work goes on, while stdout is kept for results."""
    with quiet_stdout(as_json), console(stderr=True).status(what) as status:
        yield lambda text: status.update(f"{what}: {text}")


@contextlib.contextmanager
def quiet_stdout(as_json: bool) -> Iterator[None]:
    """Sends what libraries print to stderr, so that stdout holds nothing but the JSON."""
    if not as_json:
        yield
        return
    # NB: the file descriptor too, because native libraries and the JVM print past sys.stdout.
    sys.stdout.flush()
    saved = os.dup(1)
    try:
        os.dup2(2, 1)
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(saved, 1)
        os.close(saved)


def print_json(document: Any) -> None:
    """Writes a JSON document to standard output."""
    print(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))
