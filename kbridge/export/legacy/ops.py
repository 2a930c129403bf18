"""Functions and layers of old Keras versions that Keras 3 no longer has, written in `keras.ops`.

They are registered with Keras, so a model that uses them can be saved and cloned.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="kbridge")
def hard_sigmoid_keras2(x: Any) -> Any:
    """Returns ``clip(0.2 x + 0.5, 0, 1)``, the hard sigmoid of Keras 1 and 2.

    Keras 3 changed `hard_sigmoid` to ``relu6(x + 3) / 6``, whose slope is 1/6 and not 1/5.
    """
    return ops.clip(x * 0.2 + 0.5, 0.0, 1.0)


@keras.saving.register_keras_serializable(package="kbridge")
class ThresholdedReLU(keras.layers.Layer):
    """``x`` where ``x > theta``, else 0: a layer of Keras 1 and 2.

    Args:
        theta: The threshold.
    """

    def __init__(self, theta: float = 1.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.theta = float(theta)
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        """Applies the threshold."""
        return ops.threshold(inputs, self.theta, 0.0)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the shape of the input."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns what a copy is made of."""
        return {**super().get_config(), "theta": self.theta}
