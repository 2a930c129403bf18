"""NumPy arrays into the JVM and back: every element type, every memory layout, lifetimes."""

import gc

import ml_dtypes
import numpy as np
import pytest

from kbridge.errors import BundleFormatError
from kbridge.jvm import arrays


def sample(name, shape=(4, 6), seed=0):
    """Returns values that use the type's whole range, so that a wrong width or sign shows."""
    rng = np.random.default_rng(seed)
    dtype = arrays.dtype(name)
    if name == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype.kind in "iu":
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
        return rng.integers(low, high, shape, dtype, endpoint=True)
    return rng.normal(0, 100, shape).astype(dtype)


def same_bits(a, b):
    assert a.dtype == b.dtype
    assert a.shape == b.shape
    assert a.tobytes() == b.tobytes()


LAYOUTS = {
    "c": lambda x: x,
    "fortran": np.asfortranarray,
    "strided": lambda x: np.repeat(np.repeat(x, 2, axis=0), 3, axis=1)[::2, ::3],
    "reversed": lambda x: x[::-1, ::-1].copy()[::-1, ::-1],
    "transposed": lambda x: x.T.copy().T,
    "byte-swapped": lambda x: x if x.dtype.kind == "V" else x.astype(x.dtype.newbyteorder(">")),
    "read-only": lambda x: _read_only(x),
    "unaligned": lambda x: _unaligned(x),
    "broadcast": lambda x: np.broadcast_to(x[:1], x.shape),
}


def _read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


def _unaligned(x):
    memory = np.zeros(x.nbytes + 1, np.uint8)
    view = memory[1:].view(x.dtype).reshape(x.shape)
    view[...] = x
    return view


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", arrays.NAMES)
def test_round_trip(identity, name, layout):
    given = LAYOUTS[layout](sample(name))
    before = given.tobytes()
    model = identity([("x", (None, 6), name)])
    for _ in range(2):  # the first call for a shape takes another way than the next ones
        y = model.predict_on_batch(given)
        same_bits(y, np.ascontiguousarray(given).astype(arrays.dtype(name), copy=False))
    assert given.tobytes() == before


@pytest.mark.parametrize("name", ["float16", "float32", "float64", "bfloat16"])
def test_special_values_keep_their_bits(identity, name):
    dtype = arrays.dtype(name)
    info = ml_dtypes.finfo(dtype)
    values = [np.nan, np.inf, -np.inf, 0.0, -0.0, info.max, info.min, info.smallest_subnormal]
    given = np.array([values], dtype)
    same_bits(identity([("x", (None, 8), name)]).predict_on_batch(given), given)


@pytest.mark.parametrize("name", arrays.NAMES)
def test_many_sizes_and_values_in_order(identity, name):
    model = identity([("x", (None, None), name)])
    for rows in (1, 2, 7, 64):
        given = sample(name, (rows, 5), seed=rows)
        same_bits(model.predict_on_batch(given), given)


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 1, 3), (1, 1, 1, 1), (2, 3, 1, 2, 2)])
def test_ranks(identity, shape):
    given = sample("float32", shape)
    same_bits(identity([("x", (None, *shape[1:]), "float32")]).predict_on_batch(given), given)


@pytest.mark.parametrize("name", arrays.NAMES)
def test_scalar(identity, name):
    given = sample(name, ())
    model = identity([("x", (), name)])
    for _ in range(2):
        same_bits(model.predict_on_batch(given), np.asarray(given))


def test_no_rows(identity):
    y = identity([("x", (None, 6), "int16")]).predict(np.zeros((0, 6), np.int16))
    same_bits(y, np.zeros((0, 6), np.int16))


def test_input_memory_is_shared_and_not_copied():
    x = np.ones((5, 4), np.float32)
    assert arrays.address(arrays.contiguous(x, x.dtype)) == x.ctypes.data


def test_outputs_can_be_written(identity):
    model = identity([("x", (None, 6), "float32")])
    x = sample("float32")
    kept = model.predict_on_batch(x)
    for _ in range(3):
        y = model.predict_on_batch(x)
        y[...] = 7
        assert np.all(y == 7)
    same_bits(kept, x)


def test_outputs_do_not_share_memory_between_calls(identity):
    model = identity([("x", (None, 6), "float32")])
    one, two = sample("float32", seed=1), sample("float32", seed=2)
    first, second = model.predict_on_batch(one), model.predict_on_batch(two)
    same_bits(first, one)
    same_bits(second, two)


def test_outputs_outlive_the_model(identity):
    x = sample("float64", (300, 200))
    model = identity([("x", (None, 200), "float64")])
    rows = model.predict_on_batch(x)[17:19]
    model.close()
    del model
    for _ in range(3):
        gc.collect()
        java_gc()
    same_bits(np.ascontiguousarray(rows), x[17:19])


def test_a_result_is_freed_with_its_last_array(identity):
    model = identity([("x", (None, 6), "float32"), ("y", (None, 6), "float32")], [0, 1])
    x = sample("float32")
    now = model._session._now
    call = model._session._call(now, [x, x]).java
    result = now.jvm.ask(call, "run", [arrays.address(x), arrays.address(x)])
    one, two = now.jvm.collect(result)
    part = one[1:, 2:]
    del one, two
    assert not result.closed(), "a view still looks at the memory"
    same_bits(np.ascontiguousarray(part), np.ascontiguousarray(x[1:, 2:]))
    del part
    assert result.closed()
    result.close()


def java_gc():
    import jpype

    jpype.JClass("java.lang.System").gc()


def test_unknown_element_type():
    with pytest.raises(BundleFormatError, match="Received: 'float8'"):
        arrays.dtype("float8")


@pytest.mark.parametrize("given", [5, 5.0, True, [1, 2], ((1, 2), (3, 4))])
def test_python_numbers_become_arrays(given):
    np.testing.assert_array_equal(arrays.as_numpy(given), np.asarray(given))
