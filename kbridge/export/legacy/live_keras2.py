"""Turns a live Keras 2 model (tf_keras) into a Keras 3 one, by way of a temporary HDF5 file."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from kbridge.errors import ExportError


def convert_live(model: Any) -> Any:
    """Saves a tf_keras model and opens what was saved.

    Args:
        model: The live model.

    Returns:
        A `Source` of kind ``"live"``.

    Raises:
        ExportError: If the model cannot be saved.
    """
    from kbridge.export.sources import open_source

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.h5"
        try:
            model.save(str(path), save_format="h5")
        except (NotImplementedError, ValueError) as error:
            raise ExportError(
                "Expected a Keras 3 model, or a tf_keras model that can be saved. Received: "
                f"{type(model).__name__} '{model.name}', and tf_keras says: {error} "
                "Build it with functional layers, or rewrite it in Keras 3."
            ) from error
        source = open_source(path)
    source.kind, source.file, source.sha256 = "live", None, None
    source.notes.insert(0, "the live tf_keras model was converted to Keras 3")
    return source
