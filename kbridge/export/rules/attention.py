"""Attention, said in matrix products, where and softmax.

The formula is that of Keras's own portable implementation (`dot_product_attention` of the
TensorFlow backend): softmax in float32 or wider, masked scores replaced by a large negative number.
"""

from __future__ import annotations

import math
from typing import Any

from keras import ops
from keras.src import backend
from keras.src.ops.nn import DotProductAttention

from kbridge.export.registry import lowers


@lowers(DotProductAttention)
def lower_dot_product_attention(
    op: Any, query: Any, key: Any, value: Any, bias: Any = None, mask: Any = None, scale: Any = None
) -> Any:
    """Tensors are (batch, length, heads, head size); fewer key heads than query heads repeat."""
    dtype = backend.result_type(query.dtype, key.dtype, value.dtype)
    query, key, value = (ops.cast(x, dtype) for x in (query, key, value))
    groups = query.shape[2] // key.shape[2]
    if groups > 1 and key.shape[2] > 1:
        key, value = (ops.repeat(x, groups, axis=2) for x in (key, value))
    wide = backend.result_type(dtype, "float32")
    scores = ops.cast(ops.einsum("btnh,bsnh->bnts", query, key), wide)
    scores = ops.multiply(scores, 1.0 / math.sqrt(key.shape[-1]) if scale is None else scale)
    if bias is not None:
        scores = ops.add(scores, ops.cast(ops.cast(bias, dtype), wide))
    if op.is_causal:
        causal = _causal(scores)
        mask = causal if mask is None else ops.logical_and(mask, causal)
    if mask is not None:
        scores = ops.where(mask, scores, _large_negative(wide))
    probabilities = ops.cast(ops.softmax(scores, axis=-1), dtype)
    return ops.einsum("bnts,bsnh->btnh", probabilities, value)


def _causal(scores: Any) -> Any:
    rows = ops.arange(ops.shape(scores)[2])
    columns = ops.arange(ops.shape(scores)[3])
    return ops.greater_equal(rows[:, None], columns[None, :])[None, None]


def _large_negative(dtype: str) -> float:
    # NB: Keras's own numbers; a row that is masked altogether must come out the same.
    return -0.7 * (65500.0 if dtype == "float16" else 3.38953e38)
