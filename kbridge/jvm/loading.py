"""Loading a bundle into a JVM."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from kbridge import errors
from kbridge.jvm import devices, gpu
from kbridge.jvm.bridge import Host
from kbridge.jvm.model import JvmModel, positive
from kbridge.jvm.training import Borrowed

_ENGINES = ("auto", "nd4j", "onednn")
_HOSTS = ("inprocess", "process")
_PRECISIONS = ("float32", "bfloat16", "int8")


def load(
    path: str | os.PathLike,
    device: str = "auto",
    engine: str = "auto",
    threads: int | None = None,
    host: str | Host = "inprocess",
    precision: str = "float32",
    calibration: Any = None,
) -> JvmModel:
    """Loads a bundle into a JVM, which is started if it does not run yet.

    Args:
        path: A bundle written by `kbridge.export`.
        device: ``"cpu"``, ``"gpu"``, ``"gpu:1"`` (a GPU by its number), or ``"auto"``, which is the
            CPU as long as no machine has shown the GPU right (docs/gpu.md). One JVM has one kind;
            with ``host="process"`` there can be both.
        engine: ``"onednn"``, ``"nd4j"``, or ``"auto"``, which is ``"onednn"`` on the CPU;
            docs/engines.md says what they are.
        threads: The most CPU threads that one call may use; None for one on each core.
        host: Who runs the JVM. ``"inprocess"``: this process. ``"process"``: one of its own, which
            ends with the model; a `kbridge.JvmProcess` is one that several models share and that
            has options of its own. docs/hosts.md says when to take which.
        precision: What products are computed with. ``"bfloat16"`` is faster and less accurate, and
            needs a CPU that has it; `kbridge.check` says how accurate. ``"int8"`` is for models
            that Keras has quantised, which are computed exactly, and for others with `calibration`.
        calibration: Samples of real inputs, as `JvmModel.predict` takes them, for ``"int8"``: how
            large values get with them decides how they are rounded. docs/engines.md says more.

    Returns:
        The model. It is a context manager; close it to free its memory.

    Raises:
        OptionError: An argument has an unknown value.
        BundleNotFoundError: There is no such file.
        BundleFormatError: It is no bundle, or damaged.
        UnsupportedOpError: The engine lacks an operation of the model.
        DeviceUnavailableError: A GPU was asked for and cannot be used, or the CPU lacks the
            precision.
        JvmStateError: The JVM of this process cannot be used.
        JvmProcessError: The JVM's own process cannot be started.

    Example:
        >>> with kbridge.load("model.h5") as model:
        ...     y = model.predict(x)
    """
    _check_options(device, engine, threads, precision)
    options: dict[str, Any] = {"engine": engine, "threads": threads, "precision": precision}
    runs = _host(host)
    if calibration is not None:
        options["calibration"] = _calibrated(path, device, options, runs, calibration)
    return JvmModel(path, device, options, runs)


def _calibrated(
    path: str | os.PathLike, device: str, options: dict[str, Any], host: Host, samples: Any
) -> dict[str, list[float]]:
    """Returns the range of each value that is rounded, found out in float32."""
    if options["precision"] != "int8":
        raise errors.OptionError(
            f"Expected calibration with precision='int8' alone. Received: one with "
            f"{options['precision']!r}. Leave it out, or choose 'int8'."
        )
    try:
        full = {**options, "precision": "float32"}
        with JvmModel(path, device, full, Borrowed(host)) as model:
            return model.calibrate(samples)
    except BaseException:
        host.leave()
        raise


def _one_of(name: str, value: Any, known: Sequence[str]) -> None:
    if value not in known:
        raise errors.OptionError(
            f"Expected {name} to be one of {', '.join(map(repr, known))}. Received: {value!r}."
        )


def _host(chosen: str | Host) -> Host:
    if isinstance(chosen, Host):
        return chosen
    _one_of("host", chosen, _HOSTS)
    # NB: imported when chosen, so that neither host needs the other's Python package.
    if chosen == "process":
        from kbridge.jvm.process import OwnProcess

        return OwnProcess()
    from kbridge.jvm.inprocess import InProcess

    return InProcess()


def _check_options(device: str, engine: str, threads: int | None, precision: str) -> None:
    chosen = devices.parse(device)
    _one_of("engine", engine, _ENGINES)
    _one_of("precision", precision, _PRECISIONS)
    if threads is not None:
        positive("threads", threads)
    if chosen.kind == "gpu":
        gpu.require(chosen.index)
