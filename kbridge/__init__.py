"""kbridge runs Keras models inside a JVM and proves that the numbers are the same.

Importing this package starts nothing: no JVM, no Keras, no HDF5. Each name below is loaded when it
is first used.

Example:
    >>> import kbridge
    >>> kbridge.export(model, "model.h5")
    >>> with kbridge.load("model.h5") as jvm_model:
    ...     y = jvm_model.predict(x)
    >>> kbridge.check(model).ok
    True
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kbridge import errors as errors
    from kbridge.export.exporter import export as export
    from kbridge.export.registry import lowers as lowers
    from kbridge.export.tracing import emit_node as emit_node
    from kbridge.importer import import_model as import_model
    from kbridge.importer import import_weights as import_weights
    from kbridge.jvm.loading import load as load
    from kbridge.jvm.model import JvmModel as JvmModel
    from kbridge.jvm.process import JvmProcess as JvmProcess
    from kbridge.parity.check import check as check

# Public name -> the module that has it. Errors are found by name in `kbridge.errors`.
_HOMES = {
    "JvmModel": "kbridge.jvm.model",
    "JvmProcess": "kbridge.jvm.process",
    "check": "kbridge.parity.check",
    "emit_node": "kbridge.export.tracing",
    "import_model": "kbridge.importer",
    "import_weights": "kbridge.importer",
    "load": "kbridge.jvm.loading",
    "lowers": "kbridge.export.registry",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        value = _version()
    elif name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
    elif name in _error_names():
        value = getattr(importlib.import_module("kbridge.errors"), name)
    elif name in ("export", "jvm", "parity"):
        # NB: `kbridge.export` is a package and the function too: that package can be called.
        value = importlib.import_module(f"kbridge.{name}")
    else:
        raise AttributeError(f"module 'kbridge' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, *_error_names(), "__version__", "export"})


def _error_names() -> list[str]:
    errors = importlib.import_module("kbridge.errors")
    return [name for name in vars(errors) if name.endswith("Error")]


def _version() -> str:
    from importlib import metadata
    from pathlib import Path

    # NB: a checkout is asked first: it may lie before an older installed version on the path.
    checkout = Path(__file__).resolve().parent.parent / "VERSION"
    if checkout.is_file():
        return checkout.read_text(encoding="utf-8").strip()
    return metadata.version("kbridge")
