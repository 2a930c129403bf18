"""A bundle loaded into the JVM of this process, used as one would use the Keras model."""

from __future__ import annotations

import json
import os
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from kbridge import errors
from kbridge.bundle import read_bundle
from kbridge.jvm import arrays, gpu, host, progress, streams
from kbridge.jvm.inputs import Inputs, TensorSpec
from kbridge.jvm.structures import pack

_DEVICES = ("auto", "cpu", "gpu")
_ENGINES = ("auto", "nd4j", "onednn")
_HOSTS = ("inprocess", "process")
_CALLS_KEPT = 64

Flat = list[np.ndarray | None]


def load(
    path: str | os.PathLike,
    device: str = "auto",
    engine: str = "auto",
    threads: int | None = None,
    host: str = "inprocess",
) -> JvmModel:
    """Loads a bundle into the JVM of this process, which is started if it does not run yet.

    Args:
        path: A bundle written by `kbridge.export`.
        device: ``"cpu"``, ``"gpu"``, or ``"auto"`` for the best one that this version can use,
            which is the CPU.
        engine: ``"onednn"``, ``"nd4j"``, or ``"auto"``; docs/engines.md says what they are.
        threads: CPU threads to use; None leaves it to the engine.
        host: Who runs the JVM. ``"inprocess"``: this process.

    Returns:
        The model. It is a context manager; close it to free its memory.

    Raises:
        OptionError: An argument has an unknown value.
        BundleNotFoundError: There is no such file.
        BundleFormatError: It is no bundle, or damaged.
        UnsupportedOpError: The engine lacks an operation of the model.
        DeviceUnavailableError: ``device="gpu"`` and no GPU can be used.
        JvmStateError: The JVM of this process cannot be used.

    Example:
        >>> with kbridge.load("model.h5") as model:
        ...     y = model.predict(x)
    """
    _check_options(device, engine, threads, host)
    return JvmModel(path, device, engine, threads)


@dataclass
class _Call:
    """Calls of a model with inputs of certain shapes.

    Attributes:
        java: The Java side's prepared call.
        outputs: Shape and dtype of each output, known after the first run.
    """

    java: Any
    outputs: list[tuple[tuple[int, ...], np.dtype]] | None = None


class JvmModel:
    """A Keras model that runs in the JVM; made by `kbridge.load`.

    It may be used from several threads. After `close` every use raises `JvmStateError`; arrays it
    has given stay valid.

    Args:
        path: The bundle.
        device: See `load`.
        engine: See `load`.
        threads: See `load`.
    """

    def __init__(self, path: str | os.PathLike, device: str, engine: str, threads: int | None):
        # NB: read before the JVM is started, so that a bad file costs neither that nor a download.
        with read_bundle(path) as bundle:
            self._spec = bundle.spec
        self._path = os.fspath(path)
        self.outputs = [TensorSpec.of(output) for output in self._spec["outputs"]]
        self._inputs = Inputs(
            [TensorSpec.of(i) for i in self._spec["inputs"]], self._spec["input_structure"]
        )
        device = "cpu" if device == "auto" else device
        host.start(device)
        options = {"device": device, "engine": engine, "threads": threads}
        self._door = _java(
            host.java_class(host.DOOR).load, os.path.abspath(path), json.dumps(options)
        )
        self._calls: dict[tuple, _Call] = {}
        self._closer = weakref.finalize(self, _close_door, self._door)
        # NB: at the interpreter's end the JVM ends too, and takes the model with it.
        self._closer.atexit = False

    @property
    def name(self) -> str:
        """The Keras model's name."""
        return self._spec["name"]

    @property
    def inputs(self) -> list[TensorSpec]:
        """Name, shape and dtype of each input, in the order in which Keras flattens them."""
        return list(self._inputs.specs)

    @property
    def layer_outputs(self) -> list[dict[str, Any]]:
        """Which values each call of each layer gives; docs/bundle-format.md, section 2."""
        return self._spec["layer_outputs"]

    @property
    def closed(self) -> bool:
        """Whether the model was closed."""
        return not self._closer.alive

    def close(self) -> None:
        """Frees the model's memory in the JVM. May be called again."""
        self._calls = {}
        self._closer()

    def __enter__(self) -> Self:
        self._check_open()
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = ", closed" if self.closed else ""
        takes = ", ".join(map(str, self._inputs.specs))
        gives = ", ".join(map(str, self.outputs))
        return f"<JvmModel {self.name!r} of {self._path!r}: {takes} -> {gives}{state}>"

    def predict(
        self,
        x: Any,
        batch_size: int | None = 32,
        verbose: str | int = "auto",
        steps: int | None = None,
    ) -> Any:
        """Computes the model's outputs, as Keras's `predict` does.

        Args:
            x: An array, or several in a list, tuple or dict by name as the model nests them; NumPy
                arrays, lists of numbers and tensors of TensorFlow, JAX and PyTorch. Or batches of
                these: a generator, a `tf.data.Dataset`, a `PyDataset`, a `DataLoader`.
            batch_size: Samples to run at once; None is 32. Batches that come ready-made keep
                their size, and so do models whose batch size is fixed.
            verbose: ``"auto"``, 0, 1 or 2; see `kbridge.jvm.progress.track`.
            steps: How many batches to run; None for all there are.

        Returns:
            The outputs, nested as the model nests them, as NumPy arrays.

        Raises:
            InvalidInputError: Inputs of a wrong name, count, rank, size or dtype.
            OptionError: Another argument has a wrong value.
            JvmStateError: The model was closed.
        """
        self._check_open()
        progress.check_verbose(verbose)
        batch_size = _positive("batch_size", 32 if batch_size is None else batch_size)
        if steps is not None:
            _positive("steps", steps)
        if streams.is_stream(x):
            flat = self._predict_stream(x, steps, verbose)
        else:
            flat = self._predict_arrays(self._inputs.check(x), batch_size, steps, verbose)
        return pack(self._spec["output_structure"], flat)

    def predict_on_batch(self, x: Any) -> Any:
        """Computes the model's outputs for one batch of any size, at once.

        Args:
            x: As for `predict`, but no generators.

        Returns:
            As `predict` does.
        """
        self._check_open()
        return pack(self._spec["output_structure"], self._run(self._inputs.check(x)))

    __call__ = predict_on_batch

    def values(self, x: Any, names: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """Computes values inside the model, for one batch.

        Args:
            x: As for `predict_on_batch`.
            names: Names of values in the bundle's spec; None for what the layers give.

        Returns:
            The values by name, in the order asked for.
        """
        self._check_open()
        if names is None:
            names = [value for layer in self.layer_outputs for value in layer["values"]]
        names = list(dict.fromkeys(names))
        checked = self._inputs.convert(self._inputs.check(x))
        where = [arrays.address(array) for array in checked if array is not None]
        result = self._ask(self._call(checked).java.values, where, names)
        return dict(zip(names, arrays.from_java(result), strict=True))

    def plan_steps(self, x: Any, runs: int = 0) -> list[dict[str, Any]]:
        """Tells what a prediction does in the JVM, step by step.

        Args:
            x: One batch, as for `predict_on_batch`.
            runs: How often to run it, to find out how long each step takes.

        Returns:
            For each step the ``node`` it computes (the last one of several), all of them as
            ``members``, the ``ops``, the layer's ``scope``, the ``implementation``, and with
            `runs` the shortest time in ``microseconds``.
        """
        self._check_open()
        ready = self._inputs.convert(self._inputs.check(x))
        where = [arrays.address(array) for array in ready if array is not None]
        return json.loads(str(self._ask(self._call(ready).java.planSteps, where, runs)))

    def self_test(self) -> dict[str, Any]:
        """Runs the bundle's golden samples and compares with what native Keras answered.

        Returns:
            ``ok``, the tolerances ``rtol`` and ``atol``, and ``outputs``: for each its ``name``,
            ``ok``, ``elements``, how many are ``wrong``, ``max_absolute_error`` and
            ``max_relative_error``.

        Raises:
            BundleFormatError: The bundle has no golden samples.
        """
        self._check_open()
        report = json.loads(str(self._ask(self._door.selfTest)))
        for output in report["outputs"]:
            for error in ("max_absolute_error", "max_relative_error"):
                output[error] = float(output[error])  # NB: infinity is a string in JSON
        return report

    def _check_open(self) -> None:
        host.check_process()
        if self.closed:
            raise errors.JvmStateError(
                f"Expected an open model. Received: a call of {self.name!r} after close(). "
                "Load the bundle again with kbridge.load."
            )

    def _ask(self, method: Any, *args: Any) -> Any:
        """Calls Java; an error is one of a closed model if another thread has closed it."""
        try:
            return _java(method, *args)
        except errors.InternalError:
            self._check_open()
            raise

    def _run(self, checked: Flat, into: list[np.ndarray] | None = None) -> list[np.ndarray]:
        """Runs one batch; the outputs are put into the arrays given, or into new ones."""
        ready = self._inputs.convert(checked)
        call = self._call(ready)
        # NB: `ready` holds the arrays, so their memory stays until the JVM is done with it.
        where = [arrays.address(array) for array in ready if array is not None]
        if call.outputs is None:
            found = arrays.from_java(self._ask(call.java.run, where))
            call.outputs = [(array.shape, array.dtype) for array in found]
            for target, array in zip(into or [], found, strict=into is not None):
                target[...] = array
            return found if into is None else into
        if into is None:
            into = [np.empty(shape, dtype) for shape, dtype in call.outputs]
        elif [(array.shape, array.dtype) for array in into] != call.outputs:
            raise errors.InvalidInputError(
                "Expected outputs whose shapes differ between batches in the number of samples "
                f"only. Received: {call.outputs}. Predict all samples at once (predict_on_batch)."
            )
        self._ask(call.java.runInto, where, [arrays.address(array) for array in into])
        return into

    def _call(self, ready: Flat) -> _Call:
        """Returns the prepared call for inputs of these shapes."""
        key = tuple(None if array is None else array.shape for array in ready)
        call = self._calls.get(key)
        if call is None:
            shapes = [None if shape is None else list(shape) for shape in key]
            call = _Call(self._ask(self._door.call, _long_matrix(shapes)))
            if len(self._calls) >= _CALLS_KEPT:
                self._calls.clear()
            self._calls[key] = call
        return call

    def _predict_arrays(
        self, checked: Flat, batch_size: int, steps: int | None, verbose: str | int
    ) -> list[np.ndarray]:
        rows = self._inputs.rows(checked)
        size = self._inputs.fixed_batch or batch_size
        if rows is not None and steps is not None:
            rows = min(rows, steps * size)
        if rows == 0:
            return self._nothing()
        if rows is None or (rows <= size and steps is None):
            return self._run(checked)
        starts = range(0, rows, size)
        outputs: list[np.ndarray] = []
        for start in progress.track(starts, len(starts), verbose):
            stop = min(start + size, rows)
            batch = [a if a is None else a[start:stop] for a in checked]
            if outputs:
                self._run(batch, [whole[start:stop] for whole in outputs])
                continue
            for i, part in enumerate(self._run(batch)):
                outputs.append(self._room(rows, stop - start, i, part))
                outputs[i][start:stop] = part
        return outputs

    def _predict_stream(
        self, batches: Any, steps: int | None, verbose: str | int
    ) -> list[np.ndarray]:
        total = steps if steps is not None else streams.length(batches)
        parts: list[list[np.ndarray]] = [[] for _ in self.outputs]
        for batch in progress.track(streams.each(batches, steps), total, verbose):
            # NB: as in Keras, a tuple is (x,), (x, y) or (x, y, sample_weight); a list is x.
            x = batch[0] if isinstance(batch, tuple) else batch
            for part, output in zip(parts, self._run(self._inputs.check(x)), strict=True):
                part.append(output)
        if not parts[0]:
            raise errors.InvalidInputError(
                "Expected at least one batch. Received: an iterator that gave none."
            )
        return [np.concatenate(part) for part in parts]

    def _room(self, rows: int, in_batch: int, i: int, first: np.ndarray) -> np.ndarray:
        if first.ndim == 0 or first.shape[0] != in_batch:
            raise errors.InvalidInputError(
                f"Expected output {self.outputs[i].name!r} to have one row per sample. Received: "
                f"shape {first.shape} for a batch of {in_batch}. Such outputs of several batches "
                "cannot be joined: predict all samples at once (predict_on_batch)."
            )
        return np.empty((rows, *first.shape[1:]), first.dtype)

    def _nothing(self) -> list[np.ndarray]:
        unknown = [o.name for o in self.outputs if None in o.shape[1:] or not o.batched]
        if unknown:
            raise errors.InvalidInputError(
                f"Expected at least one sample, because the shapes of {unknown} depend on it. "
                "Received: inputs with 0 samples."
            )
        return [np.empty((0, *o.shape[1:]), o.dtype) for o in self.outputs]


def _java(method: Any, *args: Any) -> Any:
    """Calls Java and turns its exceptions into kbridge's."""
    import jpype

    try:
        return method(*args)
    except jpype.JException as e:
        raise host.java_error(e) from e


def _long_matrix(rows: list[list[int] | None]) -> Any:
    import jpype

    matrix = jpype.JArray(jpype.JLong, 2)(len(rows))
    for i, row in enumerate(rows):
        matrix[i] = None if row is None else jpype.JArray(jpype.JLong)(row)
    return matrix


def _close_door(door: Any) -> None:
    import jpype

    if host.is_started() and jpype.isJVMStarted():
        _java(door.close)


def _positive(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise errors.OptionError(f"Expected {name} to be a positive integer. Received: {value!r}.")
    return int(value)


def _check_options(device: str, engine: str, threads: int | None, host_name: str) -> None:
    for name, value, known in (
        ("device", device, _DEVICES),
        ("engine", engine, _ENGINES),
        ("host", host_name, _HOSTS),
    ):
        if value not in known:
            raise errors.OptionError(
                f"Expected {name} to be one of {', '.join(map(repr, known))}. Received: {value!r}."
            )
    if threads is not None:
        _positive("threads", threads)
    if host_name == "process":
        raise errors.OptionError(
            "Expected host='inprocess'. Received: host='process', which this version of kbridge "
            "does not have yet. Use 'inprocess'."
        )
    if device == "gpu":
        found = gpu.probe()
        if found.count == 0:
            raise errors.DeviceUnavailableError(
                f"Expected a usable NVIDIA GPU for device='gpu'. Received: {found.detail}. "
                "Load with device='cpu', or install the driver; `kbridge doctor` shows more."
            )
