"""Checking and converting of inputs; needs no JVM."""

import ml_dtypes
import numpy as np
import pytest

from kbridge.errors import InvalidInputError
from kbridge.jvm.inputs import Inputs, TensorSpec


def inputs_of(*specs, structure=None):
    made = [TensorSpec(name, shape, np.dtype(dtype)) for name, shape, dtype in specs]
    return Inputs(made, structure or ("*" if len(made) == 1 else list(range(len(made)))))


ONE = inputs_of(("x", (None, 3), "float32"))
TWO = inputs_of(("a", (None, 3), "float32"), ("b", (None,), "int32"))


@pytest.mark.parametrize(
    "given",
    [
        *(np.arange(6).reshape(2, 3).astype(t) for t in ("float64", "float32", "float16")),
        *(np.arange(6).reshape(2, 3).astype(t) for t in ("int64", "int32", "uint8", "int8")),
        np.arange(6).reshape(2, 3).astype(ml_dtypes.bfloat16),
        [[0, 1, 2], [3, 4, 5]],
        [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]],
        np.arange(6).reshape(2, 3, 1),
    ],
)
def test_values_are_converted_as_keras_does(given):
    (array,) = ONE.convert(ONE.check(given))
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, np.arange(6).reshape(2, 3))


def test_a_last_axis_of_one_is_added():
    inputs = inputs_of(("x", (None, 1), "float32"))
    (array,) = inputs.check(np.arange(4.0))
    assert array.shape == (4, 1)


def test_nothing_is_copied_without_need():
    x = np.ones((4, 3), np.float32)
    (array,) = ONE.convert(ONE.check(x))
    assert array is x


@pytest.mark.parametrize(
    ("wanted", "given"),
    [
        ("int32", np.array([1, 2], np.int64)),
        ("int32", np.array([1.0, 2.0])),
        ("uint8", np.array([0, 255])),
        ("int8", np.array([-128, 127])),
        ("bool", np.array([0, 1])),
        ("bool", np.array([0.0, 1.0])),
        ("int64", np.array([True, False])),
        ("uint64", np.array([2**64 - 1], np.uint64)),
        ("bfloat16", np.array([1.5, 2.5])),
    ],
)
def test_values_that_fit_are_converted(wanted, given):
    wanted = np.dtype(ml_dtypes.bfloat16) if wanted == "bfloat16" else np.dtype(wanted)
    inputs = Inputs([TensorSpec("x", (None,), wanted)], "*")
    (array,) = inputs.convert(inputs.check(given))
    assert array.dtype == wanted
    np.testing.assert_array_equal(array.astype(given.dtype), given)


@pytest.mark.parametrize(
    ("wanted", "given", "why"),
    [
        ("int32", np.array([1.5]), "with fractions, which int32 cannot hold"),
        ("int32", np.array([np.nan]), "from nan to nan, which int32 cannot hold"),
        ("int32", np.array([np.inf]), "which int32 cannot hold"),
        ("int32", np.array([2**31]), "from 2147483648 to 2147483648, which int32 cannot hold"),
        ("int64", np.array([2.0**63]), "which int64 cannot hold"),
        ("uint8", np.array([-1]), "from -1 to -1, which uint8 cannot hold"),
        ("bool", np.array([0, 2]), "from 0 to 2, which bool cannot hold"),
        ("float32", np.array([1j]), "dtype complex128, which holds no real numbers"),
        ("float32", np.array(["a"]), "which holds no real numbers"),
        ("float32", np.array([None]), "dtype object, which holds no real numbers"),
    ],
)
def test_values_that_would_change_are_refused(wanted, given, why):
    with pytest.raises(InvalidInputError, match=why):
        inputs_of(("x", (None,), wanted)).check(given)


@pytest.mark.parametrize(
    ("inputs", "given", "why"),
    [
        (ONE, np.ones(3), r"Expected 'x': float32 \(any, 3\). Received: shape \(3,\)"),
        (ONE, np.ones((2, 4)), r"Received: shape \(2, 4\)"),
        (ONE, np.ones((2, 3, 4)), r"Received: shape \(2, 3, 4\)"),
        (ONE, None, r"Expected values for 'x'.* Received: None"),
        (ONE, [[1, 2, 3], [1, 2]], r"Expected an array for 'x'.* Received: list"),
        (TWO, [np.ones((2, 3))], r"Expected a list of 2 at x, but a list of 1 came"),
        (TWO, {"a": 1, "c": 2}, r"missing: \['b'\]; unknown: \['c'\]"),
        (
            TWO,
            [np.ones((2, 3)), np.ones(3)],
            r"same number of samples in all inputs. Received: 'a': 2, 'b': 3",
        ),
    ],
)
def test_wrong_inputs_are_refused(inputs, given, why):
    with pytest.raises(InvalidInputError, match=why):
        inputs.check(given)


def test_all_problems_are_told_at_once():
    with pytest.raises(InvalidInputError) as caught:
        TWO.check({"a": np.ones((2, 4)), "b": np.array([0.5, 1.0])})
    message = str(caught.value)
    assert "Received: shape (2, 4)" in message
    assert "with fractions, which int32 cannot hold" in message
    assert "'a': float32 (any, 3)" in message


def test_an_optional_input_may_be_none():
    spec = TensorSpec("m", (None, 2), np.dtype("float32"), optional=True)
    inputs = Inputs([ONE.specs[0], spec], [0, 1])
    array, absent = inputs.convert(inputs.check([np.ones((2, 3)), None]))
    assert absent is None
    assert array.shape == (2, 3)


def test_several_batches_of_a_fixed_size():
    inputs = inputs_of(("x", (4, 3), "float32"))
    assert inputs.fixed_batch == 4
    assert inputs.rows(inputs.check(np.ones((8, 3)))) == 8
    with pytest.raises(InvalidInputError, match=r"Received: shape \(6, 3\)"):
        inputs.check(np.ones((6, 3)))
