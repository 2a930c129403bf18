"""Nesting of inputs and outputs; needs no JVM."""

import numpy as np
import pytest

from kbridge.jvm.structures import StructureError, flatten, pack

A, B, C = (np.full((2, 3), i) for i in range(3))


@pytest.mark.parametrize(
    ("structure", "nested"),
    [
        ("*", "a"),
        ([0], ["a"]),
        ([0, 1, 2], ["a", "b", "c"]),
        ([2, [0, 1]], ["c", ["a", "b"]]),
        ({"x": 0, "y": [1, 2]}, {"x": "a", "y": ["b", "c"]}),
        ([1, 1, 0], ["b", "b", "a"]),
    ],
)
def test_pack(structure, nested):
    assert pack(structure, ["a", "b", "c"]) == nested


@pytest.mark.parametrize(
    ("structure", "names", "values", "flat"),
    [
        ("*", ["a"], A, [A]),
        ("*", ["a"], [A], [A]),
        ("*", ["a"], (A,), [A]),
        ("*", ["a"], {"a": A}, [A]),
        ([0], ["a"], A, [A]),
        ([0], ["a"], [A], [A]),
        ([0, 1], ["a", "b"], [A, B], [A, B]),
        ([0, 1], ["a", "b"], (A, B), [A, B]),
        ([0, 1], ["a", "b"], {"b": B, "a": A}, [A, B]),
        ([2, [0, 1]], ["a", "b", "c"], (C, (A, B)), [A, B, C]),
        ([2, [0, 1]], ["a", "b", "c"], {"a": A, "b": B, "c": C}, [A, B, C]),
        ({"x": 0, "y": 1}, ["a", "b"], {"y": B, "x": A}, [A, B]),
        ({"x": 0, "y": 1}, ["a", "b"], [A, B], [A, B]),
        ({"x": 1, "y": [0, 2]}, ["a", "b", "c"], {"x": B, "y": [A, C]}, [A, B, C]),
    ],
)
def test_flatten(structure, names, values, flat):
    found = flatten(structure, values, names)
    assert len(found) == len(flat)
    assert all(x is y for x, y in zip(found, flat, strict=True))


def test_a_list_of_numbers_is_an_array():
    assert flatten("*", [[1, 2], [3, 4]], ["a"]) == [[[1, 2], [3, 4]]]


@pytest.mark.parametrize(
    ("structure", "names", "values", "message"),
    [
        ("*", ["a"], [A, B], r"one array for the input 'a', but a list of 2 arrays came"),
        ("*", ["a"], {"b": A}, r"keys \['a'\], .* missing: \['a'\]; unknown: \['b'\]"),
        ([0, 1], ["a", "b"], [A], r"a list of 2 at x, but a list of 1 came"),
        ([0, 1], ["a", "b"], A, r"a list of 2 at x, but one array of shape \(2, 3\) came"),
        ([0, 1], ["a", "b"], {"a": A}, r"missing: \['b'\]"),
        ({"x": 0, "y": 1}, ["a", "b"], {"x": A, "z": B}, r"missing: \['y'\]; unknown: \['z'\]"),
        ({"x": 0, "y": 1}, ["a", "b"], A, r"a dict with the keys \['x', 'y'\] at x, but one array"),
        ({"x": 0, "y": [1, 2]}, ["a", "b", "c"], {"x": A, "y": B}, r"a list of 2 at x\['y'\]"),
    ],
)
def test_flatten_says_what_is_wrong(structure, names, values, message):
    with pytest.raises(StructureError, match=message):
        flatten(structure, values, names)
