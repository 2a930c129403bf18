"""From a configuration to a model without memory for its weights yet, or a list of reasons."""

from __future__ import annotations

from typing import Any

from kbridge.errors import ExportError, UnsupportedModelError
from kbridge.export.legacy import allocation
from kbridge.export.legacy.context import Context
from kbridge.export.legacy.graph import Built, build_model


def build_unallocated(config: dict[str, Any], context: Context, stored: int) -> Built:
    """Builds the model of a file; the weights it claims have to be no larger than the file.

    Args:
        config: The checked configuration.
        context: What is known of the file.
        stored: Bytes of its weights.

    Returns:
        The model; `allocation.allocate_rest` gives memory to weights that nobody has set.

    Raises:
        UnsupportedModelError: Parts of it cannot be said in Keras 3; all of them are listed.
        ExportError: It was saved before it was built.
    """
    with allocation.unallocated():
        built = build_model(config, context)
        if context.problems or built.layer is None:
            raise UnsupportedModelError(context.problems)
    if not built.layer.built:
        allocation.discard()
        raise ExportError(
            f"Expected a model with a known input shape. Received: '{built.layer.name}', saved "
            "before it was built. Build it, train or set its weights, and save it again."
        )
    allocation.check_claim(built.layer, stored)
    return built
