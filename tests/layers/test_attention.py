"""Attention: dot-product, additive, multi-head and grouped; masks, causal, scores, several axes."""

from __future__ import annotations

from typing import Any

from tests.layers.harness import Case, In, layer_test

Q, V, K = In((5, 8)), In((7, 8)), In((7, 8))
QUERY_MASK, VALUE_MASK, PAIR_MASK = In((5,), "bool"), In((7,), "bool"), In((5, 7), "bool")


def _masked(layer: Any, q: Any, v: Any, q_mask: Any, v_mask: Any) -> Any:
    return layer([q, v], mask=[q_mask, v_mask])


def _value_masked(layer: Any, q: Any, v: Any, v_mask: Any) -> Any:
    return layer([q, v], mask=[None, v_mask])


def _scores(layer: Any, *tensors: Any) -> Any:
    return layer(list(tensors), return_attention_scores=True)


def _causal(layer: Any, *tensors: Any) -> Any:
    return layer(list(tensors), use_causal_mask=True)


def _simple(layer: str, config: dict) -> list[Case]:
    both = (Q, V, QUERY_MASK, VALUE_MASK)
    return [
        Case(layer, "default", (Q, V)),
        Case(layer, "key", (Q, V, K), config),
        Case(layer, "scores", (Q, V, K), config, call=_scores),
        Case(layer, "masks", both, config, call=_masked),
        Case(layer, "value mask", (Q, V, VALUE_MASK), config, call=_value_masked),
        Case(layer, "causal", (Q, V), config, call=_causal),
        Case(layer, "dropout", (Q, V), {"dropout": 0.5}),
        Case(layer, "free sizes", (In((None, 8)), In((None, 8))), config),
    ]


_SIMPLE = [
    *_simple("Attention", {"use_scale": True}),
    *_simple("AdditiveAttention", {"use_scale": True}),
    Case("Attention", "concat scores", (Q, V), {"score_mode": "concat", "use_scale": True}),
    Case(
        "Attention",
        "scaled concat masks",
        (Q, V, QUERY_MASK, VALUE_MASK),
        {"score_mode": "concat"},
        call=_masked,
    ),
    Case("AdditiveAttention", "no scale", (Q, V), {"use_scale": False}),
]


def _self(layer: Any, x: Any) -> Any:
    return layer(x, x)


def _self_causal(layer: Any, x: Any) -> Any:
    return layer(x, x, use_causal_mask=True)


def _cross(layer: Any, *tensors: Any) -> Any:
    return layer(*tensors)


def _cross_scores(layer: Any, q: Any, v: Any, mask: Any) -> Any:
    return layer(q, v, attention_mask=mask, return_attention_scores=True)


def _cross_mask(layer: Any, q: Any, v: Any, mask: Any) -> Any:
    return layer(q, v, attention_mask=mask)


def _every_mask(layer: Any, q: Any, v: Any, q_mask: Any, v_mask: Any, k_mask: Any) -> Any:
    return layer(q, v, query_mask=q_mask, value_mask=v_mask, key_mask=k_mask, use_causal_mask=True)


HEADS = {"num_heads": 2, "key_dim": 4}
GROUPS = {"head_dim": 4, "num_query_heads": 4, "num_key_value_heads": 2}


def _headed(layer: str, config: dict) -> list[Case]:
    every = (Q, V, QUERY_MASK, VALUE_MASK, VALUE_MASK)
    return [
        Case(layer, "default", (Q,), config, call=_self),
        Case(layer, "cross", (Q, V), config, call=_cross),
        Case(layer, "key", (Q, V, K), config, call=_cross),
        Case(layer, "causal", (Q,), config, call=_self_causal),
        Case(layer, "mask", (Q, V, PAIR_MASK), config, call=_cross_mask),
        Case(layer, "mask and scores", (Q, V, PAIR_MASK), config, call=_cross_scores),
        Case(layer, "padding masks", every, config, call=_every_mask),
        Case(layer, "no bias", (Q, V), {**config, "use_bias": False}, call=_cross),
        Case(layer, "dropout", (Q, V), {**config, "dropout": 0.3}, call=_cross),
        Case(layer, "no flash", (Q, V), {**config, "flash_attention": False}, call=_cross),
        Case(layer, "free sizes", (In((None, 8)), In((None, 8))), config, call=_cross),
    ]


_HEADED = [
    *_headed("MultiHeadAttention", HEADS),
    *_headed("GroupQueryAttention", GROUPS),
    Case("MultiHeadAttention", "value dim", (Q, V), {**HEADS, "value_dim": 3}, call=_cross),
    Case(
        "MultiHeadAttention", "output shape", (Q, V), {**HEADS, "output_shape": (6,)}, call=_cross
    ),
    Case(
        "MultiHeadAttention",
        "output of two axes",
        (Q, V),
        {**HEADS, "output_shape": (3, 2)},
        call=_cross,
    ),
    Case("MultiHeadAttention", "other widths", (In((5, 6)), In((7, 9))), HEADS, call=_cross),
    Case(
        "MultiHeadAttention",
        "axes of an image",
        (In((4, 3, 8)),),
        {**HEADS, "attention_axes": 2},
        call=_self,
    ),
    Case(
        "MultiHeadAttention",
        "several axes",
        (In((4, 3, 8)),),
        {**HEADS, "attention_axes": (1, 2)},
        call=_self,
    ),
    Case("MultiHeadAttention", "gated", (Q, V), {**HEADS, "use_gate": True}, call=_cross),
    Case("MultiHeadAttention", "sliding window", (Q,), {**HEADS, "sliding_window": 2}, call=_self),
    Case(
        "GroupQueryAttention",
        "sliding window",
        (Q,),
        {**GROUPS, "sliding_window": 2},
        call=_self_causal,
    ),
    Case("GroupQueryAttention", "gated", (Q, V), {**GROUPS, "use_gate": True}, call=_cross),
    Case(
        "GroupQueryAttention",
        "one group",
        (Q, V),
        {**GROUPS, "num_key_value_heads": 1},
        call=_cross,
    ),
    Case(
        "GroupQueryAttention",
        "as many heads",
        (Q, V),
        {**GROUPS, "num_key_value_heads": 4},
        call=_cross,
    ),
]

CASES = [*_SIMPLE, *_HEADED]

test_layer = layer_test(CASES)
