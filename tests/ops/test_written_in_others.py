"""Operations that the export says in others, and those that it refuses by name."""

from __future__ import annotations

import inspect
import pkgutil
from typing import Any

import keras
import numpy as np
import pytest
from harness import Case, floats, integers, parity_test
from keras import ops

import kbridge

NAN = np.asarray([[1.0, np.nan, 3.0], [np.nan, np.nan, np.nan], [2.0, 5.0, 4.0]], "float32")
PARTLY = np.where(floats(4, 7) > 1.2, np.float32("nan"), floats(4, 7, low=0.5))
SPD = (lambda x: (x @ x.swapaxes(-1, -2) + 4 * np.eye(4)).astype("float32"))(floats(3, 4, 4))
BLOCK, TABLE = (floats(2, 3, 4),), (floats(3, 4),)
BYTES = (integers(3, 4, dtype="uint8", low=0, high=200),)
PLACES = (integers(5, low=0, high=24),)


def _rearranged(x: Any) -> Any:
    return ops.rearrange(x, "b (h p) c -> b h (p c)", p=2)


CASES = [
    Case("rearrange", _rearranged, (floats(2, 6, 3),)),
    *[
        Case(f"rot90 {a}", lambda x, a=a: [ops.rot90(x, k, a) for k in (0, 1, 3, -1)], BLOCK)
        for a in ((1, 2), (2, 1))
    ],
    Case("rot90 of the batch", lambda x: ops.rot90(x, 1, (-1, 0)), BLOCK, dynamic=False),
    Case("rot90 half a turn", lambda x: ops.rot90(x, 2, (1, 2)), (floats(2, 3, 3),)),
    Case("abs", lambda x: keras.src.ops.numpy.Abs()(x), (floats(3, 4),)),
    Case("allclose", lambda x: ops.allclose(x, x * 1.000001), (floats(3, 4),)),
    Case("heaviside", lambda x: ops.heaviside(ops.relu(x), 0.5), (floats(3, 4),)),
    Case("heaviside integers", lambda x: ops.heaviside(x, 2), (integers(3, 40, low=-1, high=2),)),
    Case("fmax", lambda x: ops.fmax(x, x[::-1]), (NAN,), dynamic=False),
    Case("fmin", lambda x: ops.fmin(x, 2.5), (NAN,)),
    Case("fmod", ops.fmod, (floats(3, 4), floats(3, 4, low=0.5))),
    Case("fmod integers", ops.fmod, (integers(3, 4), integers(3, 4, low=1))),
    Case("logaddexp2", ops.logaddexp2, (floats(3, 4), floats(3, 4, low=-5))),
    Case(
        "parts of real numbers",
        lambda x: [ops.conj(x), ops.imag(x), ops.isreal(x), ops.angle(x)],
        (floats(3, 4),),
    ),
    Case("isin", lambda x: ops.isin(x, np.asarray([1, 3, -4])), (integers(3, 9),), functional=True),
    Case(
        "not isin",
        lambda x: ops.isin(x, [2, 5], invert=True),
        (integers(3, 9),),
        functional=True,
    ),
    Case("digitize", lambda x: ops.digitize(x, np.asarray([-1.0, 0.0, 1.5])), (floats(3, 9),)),
    Case("digitize integers", lambda x: ops.digitize(x, np.asarray([-3.0, 4.0])), (integers(9),)),
    Case("append", lambda x, y: ops.append(x, y, axis=1), (floats(3, 4), floats(3, 2))),
    Case("append all", ops.append, (floats(3, 4), floats(3, 2)), dynamic=False),
    Case("hstack", lambda x, y: ops.hstack([x, y]), (floats(3, 4), floats(3, 2))),
    Case("vstack", lambda x, y: ops.vstack([x, y]), (floats(3, 4), floats(2, 4)), dynamic=False),
    Case("dstack", lambda x, y: ops.dstack([x, y]), (floats(3, 4), floats(3, 4, low=0))),
    Case("array", lambda x: ops.array(x) * 2, (floats(3, 4),)),
    Case("size and ndim", lambda x: x + ops.cast(ops.size(x) * ops.ndim(x), x.dtype), TABLE),
    Case("kron", ops.kron, (floats(2, 3), floats(4, 2)), dynamic=False, functional=True),
    Case("ptp", lambda x: ops.ptp(x, axis=1), (floats(3, 4),)),
    Case("cross", ops.cross, (floats(5, 3), floats(5, 3, low=0))),
    Case("cross of two", ops.cross, (floats(5, 2), floats(5, 2, low=0))),
    *[
        Case(
            name,
            lambda x, f=name: [getattr(ops, f)(x, axis=a) for a in (1, (0, 1), None)],
            (PARTLY,),
        )
        for name in ("nansum", "nanprod", "nanmax", "nanmin", "nanmean", "nanvar", "nanstd")
    ],
    Case("nanmean of nothing", lambda x: ops.nanmean(x, axis=1, keepdims=True), (NAN,)),
    Case("nanmax of nothing", lambda x: ops.nanmax(x, axis=1), (NAN,)),
    Case("nansum of integers", lambda x: ops.nansum(x, axis=0), (integers(3, 4, dtype="int8"),)),
    Case("median", lambda x: ops.median(x, axis=1), (floats(3, 6),)),
    Case("median of two axes", lambda x: ops.median(x, (1, 2), keepdims=True), (floats(3, 4, 3),)),
    Case(
        "quantiles",
        lambda x: [
            ops.quantile(x, [0.0, 0.3, 0.75, 1.0], axis=1, method=method)
            for method in ("linear", "lower", "higher", "nearest", "midpoint")
        ],
        (floats(3, 8),),
    ),
    Case("quantile with nan", lambda x: ops.quantile(x, 0.4, axis=1), (NAN,)),
    Case("quantile of all", lambda x: ops.quantile(x, 0.4), (floats(3, 5),), dynamic=False),
    Case("percentile", lambda x: ops.percentile(x, 30, axis=-1), (floats(3, 5),)),
    Case(
        "nanquantiles",
        lambda x: [
            ops.nanquantile(x, 0.3, axis=1, method=method)
            for method in ("linear", "lower", "nearest")
        ],
        (PARTLY,),
        dynamic=False,
        functional=True,
    ),
    Case(
        "nanquantiles of numbers",
        lambda x: ops.nanquantile(x, 0.3, axis=1),
        (floats(4, 7),),
        dynamic=False,
        functional=True,
    ),
    Case("fmax of numbers", ops.fmax, (floats(3, 4), floats(3, 4, low=-1))),
    Case("fliplr and flipud", lambda x: [ops.fliplr(x), ops.flipud(x)], (floats(3, 4),)),
    Case("average", lambda x: ops.average(x, axis=1), (floats(3, 4),)),
    Case("average of all", ops.average, (floats(3, 4),)),
    Case(
        "average by weights of an axis",
        lambda x: ops.average(x, axis=1, weights=np.asarray([1.0, 2.0, 0.5, 3.0], "float32")),
        (floats(3, 4, 2),),
        functional=True,
    ),
    Case(
        "average by weights of all",
        lambda x, w: ops.average(x, axis=-1, weights=w),
        (floats(3, 4), floats(3, 4, low=1, high=2)),
    ),
    Case("bitwise_not", ops.bitwise_not, (integers(3, 4),)),
    Case(
        "bitwise_invert bytes",
        ops.bitwise_invert,
        BYTES,
    ),
    Case("cbrt", ops.cbrt, (floats(3, 4),)),
    Case("cbrt integers", ops.cbrt, (integers(3, 4),)),
    Case("diagflat", lambda x: ops.diagflat(x, 1), (floats(2, 2),), dynamic=False),
    Case("hsplit", lambda x: ops.hsplit(x, 2), (floats(3, 4, 2),)),
    Case("vsplit", lambda x: ops.vsplit(x, [1, 2]), (floats(4, 3),), dynamic=False),
    Case("dsplit", lambda x: ops.dsplit(x, [1]), (floats(2, 3, 4),)),
    Case("array_split", lambda x: ops.array_split(x, 3, axis=-1), (floats(2, 8),)),
    # TensorFlow's own gradient at 0 is NaN.
    Case(
        "sinc",
        lambda x: ops.sinc(ops.concatenate([x, x * 0], axis=-1)),
        (floats(3, 4),),
        gradient="differences",
    ),
    Case("ldexp", ops.ldexp, (floats(3, 4), integers(3, 4, low=-3, high=4))),
    Case("trapezoid", lambda x: ops.trapezoid(x, dx=0.5, axis=1), (floats(3, 5, 2),)),
    Case(
        "trapezoid at places",
        lambda x: ops.trapezoid(x, x=np.asarray([0.0, 1.0, 3.0, 3.5], "float32")),
        (floats(3, 4),),
    ),
    Case("vander", lambda x: ops.vander(x, 4), (floats(3),), dynamic=False),
    Case("vander increasing", lambda x: ops.vander(x, 3, True), (integers(4),), dynamic=False),
    Case("unravel_index", lambda x: ops.unravel_index(x, (2, 3, 4)), PLACES),
    Case("nancumsum", lambda x: ops.nancumsum(x, axis=1), (NAN,)),
    Case("nancumprod", lambda x: ops.nancumprod(x, axis=1), (NAN,)),
    Case("nanargmax", lambda x: ops.nanargmax(x, axis=1), (NAN,)),
    Case("nanargmin", lambda x: ops.nanargmin(x, axis=1, keepdims=True), (NAN,)),
    Case("corrcoef", ops.corrcoef, (floats(3, 9),), dynamic=False, functional=True),
    Case("logdet", ops.logdet, (SPD,)),
    Case("extract_sequences", lambda x: ops.extract_sequences(x, 5, 2), (floats(3, 12),)),
    Case("cdist", ops.cdist, (floats(2, 4, 3), floats(2, 5, 3))),
    Case(
        "crop_images",
        lambda x: ops.image.crop_images(x, 1, 2, target_height=3, target_width=2),
        (floats(2, 6, 5, 3),),
    ),
    Case(
        "pad_images",
        lambda x: ops.image.pad_images(x, 1, 2, target_height=8, target_width=9),
        (floats(2, 6, 5, 3),),
    ),
    Case("fft2", lambda re, im: ops.fft2((re, im)), (floats(2, 6, 5), floats(2, 6, 5))),
]

test_parity = parity_test(CASES, __name__)


REFUSED = {
    "SVD": lambda x: ops.svd(x, compute_uv=False),
    "Qr": lambda x: ops.qr(x)[1],
    "Slogdet": lambda x: ops.slogdet(x)[1],
    "Pinv": ops.linalg.pinv,
    "I0": ops.i0,
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_jvm_has_not_is_refused(name: str, tmp_path: Any) -> None:
    x = keras.Input((4, 4))
    model = keras.Model(x, REFUSED[name](x * 2.0) + 1.0)
    with pytest.raises(kbridge.UnsupportedModelError, match=name) as told:
        kbridge.export(model, tmp_path / "model.h5")
    assert "Compute it in Python" in told.value.problems[0].advice


def test_every_operation_is_known_or_refused(jvm: Any) -> None:
    """None is written into a bundle that no runtime can run."""
    from test_coverage import known_ops

    from kbridge.export import normalise, registry, rules

    rules.load()
    known = known_ops() | set(normalise.forms()) | {"StopGradient", "Copy"}  # give what they get
    unknown = [
        f"{module}.{cls.__name__}"
        for module, cls in _operations()
        if cls.__name__ not in known and registry.rule_for(object.__new__(cls)) is None
    ]
    assert not unknown, "neither lowered nor refused (kbridge/export/refused.py): " + str(unknown)


def test_nothing_that_the_jvm_has_is_refused(jvm: Any) -> None:
    from test_coverage import known_ops

    from kbridge.export import normalise, refused

    forms = normalise.forms().items()
    refusals = {name for name, form in forms if form in (refused.refuse, refused.refuse_sizes)}
    assert refusals
    # NB: from numbers alone Linspace is computed, from tensors it is refused.
    assert refusals & known_ops() <= {"Linspace"}


def _operations() -> list[tuple[str, type]]:
    """The operations of `keras.src.ops`, but for the bases."""
    import importlib

    import keras.src.ops as package
    from keras.src.ops.operation import Operation

    found = {}
    for info in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        if not info.name.endswith("_test"):
            module = importlib.import_module(info.name)
            for cls in vars(module).values():
                if inspect.isclass(cls) and issubclass(cls, Operation):
                    found[cls] = cls.__module__.rpartition(".")[2]
    bases = ("Operation", "Function", "SegmentReduction")
    return [(module, cls) for cls, module in found.items() if cls.__name__ not in bases]
