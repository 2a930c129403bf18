"""Scaled dot-product attention with all its options."""

import numpy as np
from harness import Case, booleans, floats, parity_test
from keras import ops

Q, K, V = floats(2, 5, 4, 6), floats(2, 7, 4, 6, low=-1), floats(2, 7, 4, 6, high=1)
MASK = booleans(2, 1, 5, 7)
ONE_ROW = MASK.copy()
ONE_ROW[0, 0, 2] = False
attention = ops.dot_product_attention

CASES = [
    Case("attention", lambda q, k, v: attention(q, k, v), (Q, K, V)),
    Case("scale", lambda q, k, v: attention(q, k, v, scale=0.3), (Q, K, V)),
    Case("bias", lambda q, k, v: attention(q, k, v, bias=floats(1, 4, 5, 7)), (Q, K, V)),
    Case("mask", lambda q, k, v, m: attention(q, k, v, mask=m), (Q, K, V, MASK)),
    Case(
        "row masked as a whole", lambda q, k, v, m: attention(q, k, v, mask=m), (Q, K, V, ONE_ROW)
    ),
    Case("causal", lambda q, k, v: attention(q, k, v, is_causal=True), (Q, K, V)),
    Case(
        "causal square and mask",
        lambda q, m: attention(q, q, q, mask=m, is_causal=True),
        (Q, booleans(2, 1, 5, 5)),
    ),
    Case(
        "grouped heads",
        lambda q, k, v: attention(q, k, v),
        (Q, K[:, :, :2].copy(), V[:, :, :2].copy()),
    ),
    Case(
        "float16",
        lambda q, k, v: attention(q, k, v),
        tuple(a.astype("float16") for a in (Q, K, V)),
        rtol=4e-3,
        atol=2e-3,
    ),
    Case("one query", lambda q, k, v: attention(q, k, v), (np.ascontiguousarray(Q[:, :1]), K, V)),
]

test_parity = parity_test(CASES, __name__)
