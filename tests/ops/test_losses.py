"""Cross-entropies from probabilities and from logits."""

import numpy as np
from harness import Case, floats, integers, parity_test
from keras import ops

TARGET = floats(4, 5, low=0, high=1)
ONE_HOT = np.eye(5, dtype="float32")[[0, 3, 2, 4]]
LOGITS = floats(4, 5, low=-6, high=6)
FAR = np.array([[100, -100, 0, 1], [-1000, 3, 1000, 2]], "float32")
P = floats(4, 5, low=0.01, high=1)
EDGES = np.array([[0, 1, 0, 1]], "float32")

FRAMES = floats(4, 6, 5, low=-3, high=3)
# Neighbours that are equal, fewer labels than places, none at all, as many as fit into the frames.
SENTENCES = np.array([[1, 1, 2, 4], [3, 2, 0, 0], [0, 0, 0, 0], [2, 2, 3, 3]], "int32")
LENGTHS = np.array([4, 2, 0, 4], "int32")
FRAME_COUNTS = np.array([6, 4, 5, 6], "int32")

CASES = [
    Case("binary", ops.binary_crossentropy, (TARGET, P * 0.99)),
    Case("binary edges", ops.binary_crossentropy, (np.array([[0, 0, 1, 1]], "float32"), EDGES)),
    Case(
        "binary logits",
        lambda t, x: ops.binary_crossentropy(t, x, from_logits=True),
        (TARGET, LOGITS),
    ),
    Case(
        "binary logits far",
        lambda t, x: ops.binary_crossentropy(t, x, from_logits=True),
        (np.array([[0, 1, 1, 0], [1, 0, 0, 1]], "float32"), FAR),
    ),
    Case("categorical", ops.categorical_crossentropy, (ONE_HOT, P)),
    Case(
        "categorical zeros",
        ops.categorical_crossentropy,
        (np.eye(4, dtype="float32")[[0, 1]], np.array([[0, 1, 0, 0], [0, 1, 0, 0]], "float32")),
    ),
    Case(
        "categorical logits",
        lambda t, x: ops.categorical_crossentropy(t, x, from_logits=True),
        (ONE_HOT, LOGITS),
    ),
    Case(
        "categorical axis 1",
        lambda t, x: ops.categorical_crossentropy(t, x, from_logits=True, axis=1),
        (floats(2, 3, 4, low=0), floats(2, 3, 4)),
    ),
    Case("sparse", ops.sparse_categorical_crossentropy, (integers(4, low=0, high=5), P)),
    Case(
        "sparse logits",
        lambda t, x: ops.sparse_categorical_crossentropy(t, x, from_logits=True),
        (integers(4, low=0, high=5), LOGITS),
    ),
    Case(
        "sparse logits far",
        lambda t, x: ops.sparse_categorical_crossentropy(t, x, from_logits=True),
        (np.array([1, 0], "int32"), FAR),
    ),
    Case(
        "sparse 3 axes",
        lambda t, x: ops.sparse_categorical_crossentropy(t, x, from_logits=True),
        (integers(2, 3, low=0, high=4), floats(2, 3, 4)),
    ),
    Case(
        "sparse of one column",
        ops.sparse_categorical_crossentropy,
        (integers(4, 1, low=0, high=5), P),
    ),
    Case("ctc", ops.ctc_loss, (SENTENCES, FRAMES, LENGTHS, FRAME_COUNTS)),
    Case(
        "ctc, the last class is blank",
        lambda *args: ops.ctc_loss(*args, mask_index=4),
        ((SENTENCES + 3) % 4, FRAMES, np.array([4, 2, 1, 3], "int32"), FRAME_COUNTS),
    ),
    Case(
        "ctc of more labels than fit into the frames",
        ops.ctc_loss,
        (np.full((2, 4), 2, "int32"), FRAMES[:2], np.array([4, 4], "int32"), FRAME_COUNTS[:2]),
        # NB: TensorFlow gives 0 the logarithm -707, and its float32 adds up numbers of that size.
        rtol=1e-3,
        atol=1e-3,
    ),
    Case(
        "ctc, a class in the middle is blank",
        lambda *args: ops.ctc_loss(*args, mask_index=2),
        (np.array([[1, 3, 3, 0]], "int32"), FRAMES[:1] * 5, LENGTHS[:1], FRAME_COUNTS[:1]),
    ),
    Case(
        "ctc of one place",
        ops.ctc_loss,
        (SENTENCES[:, :1], FRAMES[:, :1], np.minimum(LENGTHS, 1), np.minimum(FRAME_COUNTS, 1)),
    ),
]

test_parity = parity_test(CASES, __name__)
