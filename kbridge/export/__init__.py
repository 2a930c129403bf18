"""Export of Keras models to bundles.

`kbridge.export` is this package and, by the design's fixed names, also the function that exports:
the package can be called. Python binds a package to its parent's attribute of that name when any
module in it is imported, so a function of the same name would be lost at the next import.
"""

from __future__ import annotations

import sys
import types
from typing import Any


class _CallablePackage(types.ModuleType):
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Exports a model; see `kbridge.export.exporter.export`."""
        from kbridge.export.exporter import export

        return export(*args, **kwargs)


sys.modules[__name__].__class__ = _CallablePackage
