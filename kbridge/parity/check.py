"""`kbridge.check`: native Keras and the JVM on the same inputs, compared layer by layer."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from kbridge import errors
from kbridge.bundle.tolerances import coarsest
from kbridge.parity.case import Case
from kbridge.parity.comparison import ModelComparison, compare_batch
from kbridge.parity.report import ParityReport
from kbridge.parity.rounding import calls_to_move, excuse_rounding
from kbridge.parity.tolerance import Tolerance, tolerance_of

Progress = Callable[[str], None]
# What still counts as equal, for a bundle's spec.
Tolerances = Callable[[Mapping[str, Any]], Tolerance]


def check(
    model_or_path: Any,
    x: Any = None,
    y: Any = None,
    steps: int = 0,
    rtol: float | None = None,
    atol: float | None = None,
    engine: str = "auto",
    isolated: bool = False,
    *,
    device: str = "auto",
    bundle: str | os.PathLike | None = None,
    allow_nan: bool = False,
    batch_size: int = 32,
    seed: int = 0,
    progress: Progress | None = None,
    precision: str = "float32",
    calibration: Any = None,
) -> ParityReport:
    """Runs a model natively and in the JVM on the same inputs and compares every number.

    All outputs are compared, what feeds a final softmax or sigmoid, and each layer's output by
    scope: count, names, dtype, shape, NaN and Inf, value. Nothing stops at the first difference.
    Elements out of tolerance are excused only where native Keras's own numbers move as far when
    inputs and results of layers are changed a little (`kbridge.parity.rounding`).

    Args:
        model_or_path: A live Keras model, or a file that `kbridge.export` takes.
        x: Inputs as Keras takes them; three samples of seeded random ones by default.
        y: Labels for the training steps, as `fit` takes them; random ones by default.
        steps: How many training steps to compare, of a compiled model: gradients, loss and metrics,
            every weight and every variable of the optimizer after each. Their numbers are held to
            `rtol` of the largest in their array. The model is left as it was.
        rtol: Tolerance relative to native Keras's value; 1e-4, or what `precision` allows and the
            numbers that the model computes with: 0.0025 for float16, 0.02 for bfloat16.
        atol: Absolute tolerance: ``|jvm - keras| <= atol + rtol * |keras|``, element by element;
            1e-5. With a `precision` other than float32, or a model that computes in half precision,
            it is a share of the largest value of each array, and as large as `rtol` by default.
        engine: The JVM's engine; see `kbridge.load`.
        device: What the JVM computes on; see `kbridge.load`.
        isolated: Whether each side runs in a process of its own. (Of a live model, native Keras
            stays in this one.)
        bundle: A bundle to check against the model; by default the model is exported for it.
        allow_nan: Whether NaN and Inf in native Keras's answer are accepted where the JVM gives
            the same. Otherwise they fail the check.
        batch_size: Most samples to run at once.
        seed: Seed of random inputs.
        progress: Called with a few words on what is being done.
        precision: What the JVM computes products with; see `kbridge.load`. The report says how far
            the numbers are from native Keras's in full precision.
        calibration: Samples for ``"int8"``, see `kbridge.load`; by default the first batch of `x`
            calibrates a model that Keras has not quantised.

    Returns:
        The report; `ParityReport.ok` says whether everything agrees.

    Raises:
        UnsupportedModelError: The model cannot be exported.
        InvalidInputError: The inputs do not fit the model.
        OptionError: An argument has a value that it cannot have.

    Example:
        >>> report = kbridge.check(model)
        >>> print(report)
        >>> report.to_html("parity.html")
    """
    wanted = (rtol, atol, precision)
    tolerances = _checked(y, steps, wanted, allow_nan, batch_size, isolated)
    options = {"engine": engine, "device": device, "precision": precision}
    if calibration is not None:
        options["calibration"] = calibration
    say = progress or (lambda text: None)
    if isolated:
        from kbridge.parity.isolated import check_isolated

        return check_isolated(model_or_path, bundle, x, options, tolerances, batch_size, seed, say)
    from kbridge.parity.sides import JvmSide, bundle_for, live_model, open_case

    say("opening the model")
    model = live_model(model_or_path)
    if bundle is None:
        say("exporting")
    with bundle_for(model, bundle, x) as path:
        case, native = open_case(model, path, x, batch_size, seed)
        say("loading the bundle in the JVM")
        with JvmSide(case, **options) as jvm:
            report = _compare(case, native, jvm, options, tolerances, say)
        if steps:
            from kbridge.parity.steps import compare_steps

            report.comparison.layers += compare_steps(
                model, case, y, steps, engine, report.tolerance, seed, say
            )
        return report


def _checked(
    y: Any,
    steps: int,
    wanted: tuple[float | None, float | None, str],
    allow_nan: bool,
    batch_size: int,
    isolated: bool,
) -> Tolerances:
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 0:
        raise errors.OptionError(f"Expected steps to be a number from 0. Received: {steps!r}.")
    if y is not None and not steps:
        raise errors.OptionError(
            "Expected steps= with y: labels are for training steps. Received: steps=0."
        )
    if steps and wanted[2] != "float32":
        raise errors.OptionError(
            f"Expected precision='float32' with steps=. Received: {wanted[2]!r}. Training computes "
            "in float32; check the inference in another precision."
        )
    if steps and isolated:
        raise errors.OptionError(
            "Expected isolated=False with steps=: both sides train in this process. Received: "
            "isolated=True. Check the inference isolated, and the steps without it."
        )
    if batch_size < 1:
        raise errors.OptionError(f"Expected batch_size >= 1. Received: {batch_size!r}.")
    try:
        tolerance_of(*wanted, allow_nan, "float32")
    except ValueError as e:
        raise errors.OptionError(str(e)) from e
    return lambda spec: tolerance_of(*wanted, allow_nan, coarsest(spec))


def _compare(
    case: Case,
    native: Any,
    jvm: Any,
    options: dict[str, Any],
    tolerances: Tolerances,
    say: Progress,
) -> ParityReport:
    comparison = ModelComparison()
    tolerance = tolerances(case.spec)
    clock = _Clock()
    for number, batch in enumerate(case.batches, 1):
        which = f" (batch {number} of {len(case.batches)})" if len(case.batches) > 1 else ""
        say(f"running native Keras{which}")
        recording = clock.time("native", native.record, batch)
        say(f"running the JVM{which}")
        outputs = clock.time("jvm", jvm.outputs, batch)
        say(f"comparing layers{which}")
        values = functools.partial(jvm.values, batch)
        compared = compare_batch(case.spec, recording, outputs, values, tolerance)
        # NB: everything that the layers gave, which can be gigabytes.
        del recording
        if not compared.ok:
            say(f"asking native Keras how far rounding moves it{which}")
            calls = calls_to_move(compared, case.spec)
            moved = clock.time("native", native.record_moved, batch, calls)
            excuse_rounding(compared, case.spec, moved)
        comparison.merge(compared)
    return make_report(case, comparison, options, tolerance, clock.seconds)


def make_report(
    case: Case,
    comparison: ModelComparison,
    options: dict[str, Any],
    tolerance: Tolerance,
    seconds: dict[str, float],
) -> ParityReport:
    """Returns the report of finished comparisons."""
    from kbridge.doctor import environment

    return ParityReport(
        model_name=case.spec["name"],
        tolerance=tolerance,
        comparison=comparison,
        samples=case.samples,
        generated=case.generated,
        engine=options["engine"],
        precision=options["precision"],
        environment=environment(case.provenance),
        seconds=seconds,
    )


class _Clock:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def time(self, name: str, run: Callable[..., Any], *args: Any) -> Any:
        started = time.perf_counter()
        result = run(*args)
        spent = time.perf_counter() - started
        self.seconds[name] = self.seconds.get(name, 0.0) + spent
        return result
