"""Comparing arrays: every kind of difference is found, named and counted."""

import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kbridge.parity import compare
from kbridge.parity.compare import compare_arrays, compare_groups
from kbridge.parity.tolerance import Tolerance

DEFAULT = Tolerance()


def f32(*values):
    return np.array(values, "float32")


def kinds(findings):
    return [f.kind for f in findings]


def test_equal_arrays_agree():
    result = compare_arrays("y", f32(1, -2, 0), f32(1, -2, 0), DEFAULT)
    assert result.ok
    assert (result.size, result.outside, result.max_abs, result.max_ratio) == (3, 0, 0.0, 0.0)
    assert result.worst is None


@pytest.mark.parametrize(
    ("tested", "ok"),
    # The rule's two halves, at a reference of 1 and of 0, just inside and just outside.
    [([1.000109, 0], True), ([1.000112, 0], False), ([1, 9.9e-6], True), ([1, 1.01e-5], False)],
)
def test_rule_is_atol_plus_rtol_times_reference(tested, ok):
    result = compare_arrays("y", np.array(tested), np.array([1.0, 0.0]), DEFAULT)
    assert result.ok is ok
    assert result.outside == (0 if ok else 1)
    assert (result.max_ratio <= 1) is ok


def test_tolerance_scales_with_the_reference_not_the_tested_value():
    tolerance = Tolerance(rtol=0.1, atol=0)
    assert not compare_arrays("y", np.array([1.11]), np.array([1.0]), tolerance).ok
    assert compare_arrays("y", np.array([1.0]), np.array([1.11]), tolerance).ok


def test_errors_are_measured_and_the_worst_is_named():
    tested, reference = f32([1, 2], [3, 4.5]), f32([1, 2.25], [3, 4])
    result = compare_arrays("y", tested, reference, Tolerance(rtol=1e-2, atol=1e-3))
    assert result.max_abs == 0.5
    assert result.max_rel == 0.125
    assert result.outside == 2
    assert result.worst == ((1, 1), 4.5, 4.0)
    assert kinds(result.findings) == ["value"]
    assert "2 of 4 elements" in result.findings[0].message
    assert "the worst at [1, 1]: 4.5 instead of 4." in result.findings[0].message


def test_relative_error_of_tiny_values_is_taken_against_a_hundredth_of_the_largest():
    reference = np.array([2.0, 0.0, 1e-9])
    result = compare_arrays("y", reference + [0, 1e-6, 1e-6], reference, DEFAULT)
    assert result.max_rel == pytest.approx(1e-6 / 2e-2)


def test_relative_error_of_small_probabilities_is_their_own():
    reference = np.full(1000, 1e-3)
    result = compare_arrays("y", reference * 1.01, reference, DEFAULT)
    assert result.max_rel == pytest.approx(0.01)


def test_relative_error_against_nothing():
    assert compare_arrays("y", f32(0, 0), f32(0, 0), DEFAULT).max_rel == 0
    assert compare_arrays("y", f32(0, 1), f32(0, 0), DEFAULT).max_rel > 1e30


def test_zero_tolerance_asks_for_equality():
    tolerance = Tolerance(rtol=0, atol=0)
    assert compare_arrays("y", f32(1, 0), f32(1, 0), tolerance).ok
    result = compare_arrays("y", f32(1, 1e-30), f32(1, 0), tolerance)
    assert result.outside == 1
    assert result.max_ratio == np.inf


def test_dtype_is_found_and_values_still_compared():
    result = compare_arrays("y", np.array([1.0, 3.0]), f32(1, 2), DEFAULT)
    assert kinds(result.findings) == ["dtype", "value"]
    assert "expected dtype float32. Received: float64" in result.findings[0].message


def test_shape_is_found_even_when_values_would_broadcast():
    result = compare_arrays("y", f32([1], [1]), f32(1, 1), DEFAULT)
    assert kinds(result.findings) == ["shape"]
    assert "expected shape (2,). Received: (2, 1)" in result.findings[0].message


def test_dtype_and_shape_are_both_found():
    result = compare_arrays("y", np.zeros((3,)), f32(0, 0), DEFAULT)
    assert kinds(result.findings) == ["dtype", "shape"]


def test_nan_in_the_reference_is_never_equal_silently():
    result = compare_arrays("y", f32(np.nan, 1), f32(np.nan, 1), DEFAULT)
    assert kinds(result.findings) == ["nan"]
    assert result.nonfinite == 1
    assert "1 NaN or Inf of 2" in result.findings[0].message
    assert "allow_nan=True" in result.findings[0].message


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_allowed_nan_has_to_be_the_same_on_both_sides(value):
    allowed = Tolerance(allow_nan=True)
    assert compare_arrays("y", f32(value, 1), f32(value, 1), allowed).ok
    for tested in (f32(0, 1), f32(-value if np.isinf(value) else np.inf, 1)):
        result = compare_arrays("y", tested, f32(value, 1), allowed)
        assert kinds(result.findings) == ["nan", "value"]
        assert result.outside == 1


def test_nan_only_in_the_jvm_is_found():
    result = compare_arrays("y", f32(np.nan, 5), f32(1, 1), DEFAULT)
    assert kinds(result.findings) == ["nan", "value"]
    assert result.outside == 2
    assert result.nonfinite == 0


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64", "uint64", "bool"])
def test_integers_have_to_be_equal(dtype):
    reference = np.array([1, 0, 1], dtype)
    assert compare_arrays("y", reference.copy(), reference, DEFAULT).ok
    other = np.array([1, 1, 1], dtype)
    result = compare_arrays("y", other, reference, Tolerance(rtol=1, atol=10))
    assert (result.outside, kinds(result.findings)) == (1, ["value"])


def test_large_integers_are_not_compared_as_floats():
    reference = np.array([2**62 + 1], "int64")
    result = compare_arrays("y", np.array([2**62], "int64"), reference, DEFAULT)
    assert result.outside == 1
    assert not result.ok


def test_half_precision():
    reference = np.array([1.0, 2.0], ml_dtypes.bfloat16)
    assert compare_arrays("y", reference.copy(), reference, DEFAULT).ok
    result = compare_arrays("y", np.array([1.0, 2.0625], ml_dtypes.bfloat16), reference, DEFAULT)
    assert result.max_abs == 0.0625
    assert (result.dtype, result.outside) == ("bfloat16", 1)


@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3)])
def test_scalars_and_empty_arrays(shape):
    result = compare_arrays("y", np.zeros(shape), np.zeros(shape), DEFAULT)
    assert result.ok
    assert result.size == int(np.prod(shape))


def test_every_chunk_is_compared(monkeypatch):
    monkeypatch.setattr(compare, "_CHUNK", 4)
    reference = np.arange(11, dtype="float32").reshape(11, 1)
    tested = reference.copy()
    tested[[2, 10]] += [[1.0], [2.0]]
    result = compare_arrays("y", tested, reference, DEFAULT)
    assert (result.size, result.outside, result.max_abs) == (11, 2, 2.0)
    assert result.worst == ((2, 0), 3.0, 2.0)


# NB: inputs are drawn slowly on a machine that does other work.
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.data(),
    hnp.arrays(np.float64, st.integers(1, 30), elements=st.floats(-1e6, 1e6, width=32)),
)
def test_agrees_with_numpy_allclose(data, reference):
    noise = data.draw(hnp.arrays(np.float64, reference.shape, elements=st.floats(-1e-3, 1e-3)))
    tested = reference + noise
    within = np.isclose(tested, reference, rtol=1e-4, atol=1e-5)
    result = compare_arrays("y", tested, reference, DEFAULT)
    assert result.outside == np.count_nonzero(~within)
    assert result.ok == bool(within.all())


def test_group_finds_count_names_and_values():
    reference = {"a": f32(1), "b": f32(2), "c": f32(3)}
    group = compare_groups({"b": f32(9), "a": f32(1)}, reference, DEFAULT)
    assert kinds(group.all_findings) == ["count", "names", "value"]
    assert "Expected 3 arrays ('a', 'b', 'c'). Received: 2 ('b', 'a')" in group.findings[0].message
    assert [a.name for a in group.arrays] == ["a", "b"]
    assert not group.ok


def test_group_finds_the_order_of_names():
    reference = {"a": f32(1), "b": f32(2)}
    group = compare_groups({"b": f32(2), "a": f32(1)}, reference, DEFAULT)
    assert kinds(group.all_findings) == ["names"]


def test_group_merges_batches():
    first = compare_groups({"a": f32(1, 2)}, {"a": f32(1, 2)}, DEFAULT)
    second = compare_groups({"a": f32(3, 5)}, {"a": f32(3, 4)}, DEFAULT)
    first.merge(second)
    assert (first.size, first.outside, first.max_abs) == (4, 1, 1.0)
    assert first.arrays[0].worst == ((1,), 5.0, 4.0)
    assert not first.ok


@pytest.mark.parametrize("bad", [{"rtol": -1}, {"atol": float("nan")}, {"rtol": float("inf")}])
def test_tolerance_refuses_what_is_none(bad):
    with pytest.raises(ValueError, match="Expected [ra]tol to be a finite number >= 0. Received:"):
        Tolerance(**bad)
