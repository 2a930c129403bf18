"""Layers around models of other frameworks: what they run is no Keras operation."""

from __future__ import annotations

from typing import Any

from keras import layers

from kbridge.export.registry import lowers
from kbridge.export.trace import UnsupportedCall


def _refuse(cls: type, what: str) -> None:
    @lowers(cls)
    def refuse_foreign(layer: Any, *args: Any, **kwargs: Any) -> Any:
        raise UnsupportedCall(
            f"it runs {what}, which is no Keras operation and cannot leave Python",
            f"Write the same computation with keras.layers and keras.ops and copy its weights, or "
            f"register a lowering rule for your subclass of {cls.__name__} with @kbridge.lowers.",
        )


_refuse(layers.JaxLayer, "a JAX function")
_refuse(layers.FlaxLayer, "a Flax module")
_refuse(layers.TorchModuleWrapper, "a PyTorch module")
_refuse(layers.TFSMLayer, "a TensorFlow SavedModel")
