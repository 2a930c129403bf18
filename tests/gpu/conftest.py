"""What the tests that need a GPU share."""

from __future__ import annotations

import pytest

from kbridge.jvm import gpu


@pytest.fixture
def card() -> None:
    """Skips where the driver, asked in this process, has no GPU that can be used."""
    reason = gpu.refusal(gpu.probe())
    if reason is not None:
        pytest.skip(f"no GPU that can be used (CUDA_VISIBLE_DEVICES is heeded): {reason}")
    import tensorflow as tf

    # NB: native Keras is the reference, and TF32 has ten bits less.
    tf.config.experimental.enable_tensor_float_32_execution(False)
