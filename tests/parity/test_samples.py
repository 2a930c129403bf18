"""Inputs that are made when the user gives none."""

import numpy as np
import pytest

from kbridge.parity.samples import sample_inputs


def spec_of(*inputs, nodes=(), weights=None):
    return {
        "inputs": [{"name": n, "shape": s, "dtype": d, "optional": False} for n, s, d in inputs],
        "weights": {name: {"shape": shape} for name, shape in (weights or {}).items()},
        "constants": {},
        "graphs": {"inference": {"nodes": list(nodes)}},
    }


def node(op, inputs, output, shape=(None,), **attrs):
    outputs = [{"name": output, "shape": list(shape), "dtype": "float32"}]
    return {"name": output, "op": op, "inputs": inputs, "attrs": attrs, "outputs": outputs}


def test_floats_are_seeded_and_negative_ones_are_among_them():
    spec = spec_of(("x", [None, 4], "float32"))
    first, second = sample_inputs(spec, seed=1)[0], sample_inputs(spec, seed=1)[0]
    np.testing.assert_array_equal(first, second)
    assert first.shape == (3, 4)
    assert first.dtype == np.float32
    assert first.min() < 0 < first.max()
    assert not np.array_equal(first, sample_inputs(spec, seed=2)[0])


@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [
        *[("bool", 0, 1), ("uint8", 0, 255), ("uint16", 0, 9), ("int8", -5, 9), ("int32", -5, 9)],
        *[("int64", -5, 9)],
    ],
)
def test_integers_by_dtype(dtype, low, high):
    array = sample_inputs(spec_of(("x", [500], dtype)))[0]
    assert array.dtype == np.dtype(dtype)
    assert array.shape == (500,)
    assert (int(array.min()), int(array.max())) == (low, high)


@pytest.mark.parametrize("dtype", ["float16", "float64", "bfloat16"])
def test_other_floats(dtype):
    assert sample_inputs(spec_of(("x", [None, 2], dtype)))[0].dtype.name == dtype


def test_open_sizes_come_from_shapes_known_to_work():
    spec = spec_of(("x", [None, None, 2], "float32"), ("y", [None, None], "float32"))
    x, y = sample_inputs(spec, {"x": (1, 31, 2)}, batch=5)
    assert (x.shape, y.shape) == ((5, 31, 2), (5, 8))


def test_fixed_batch_is_kept():
    assert sample_inputs(spec_of(("x", [1, 2], "float32")))[0].shape == (1, 2)


def test_embedding_indices_stay_within_the_smallest_table():
    nodes = [
        node("Cast", ["ids"], "cast", dtype="int32"),
        node("Take", ["large", "cast"], "a", axis=0),
        node("Reshape", ["cast"], "flat", newshape=[-1]),
        node("Take", ["small", "flat"], "b", axis=0),
        node("Relu", ["x"], "c"),
    ]
    spec = spec_of(
        ("ids", [None, 100], "float32"),
        ("x", [None, 100], "float32"),
        nodes=nodes,
        weights={"large": [50, 2], "small": [7, 2]},
    )
    ids, x = sample_inputs(spec)
    assert set(np.unique(ids)) == set(range(7))
    assert x.min() < 0


def test_one_hot_indices_stay_within_the_classes():
    nodes = [node("OneHot", ["ids"], "a", num_classes=3)]
    spec = spec_of(("ids", [None, 50], "int32"), nodes=nodes)
    assert set(np.unique(sample_inputs(spec)[0])) == {0, 1, 2}


def test_computed_indices_do_not_limit_the_input():
    nodes = [node("Argmax", ["x"], "at", axis=1), node("Take", ["table", "at"], "a", axis=0)]
    spec = spec_of(("x", [None, 50], "float32"), nodes=nodes, weights={"table": [50, 2]})
    assert sample_inputs(spec)[0].min() < 0
