"""A bundle loaded into a JVM, used as one would use the Keras model."""

from __future__ import annotations

import os
import weakref
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from kbridge import errors
from kbridge.bundle import read_bundle
from kbridge.jvm import devices, progress, streams
from kbridge.jvm.bridge import Flat, Host
from kbridge.jvm.inputs import Inputs, TensorSpec
from kbridge.jvm.predicting import Predictions
from kbridge.jvm.session import Session
from kbridge.jvm.structures import pack
from kbridge.jvm.trainable import Trainable
from kbridge.jvm.trainer import TrainerSession

_CALIBRATION_ROWS = 8


class JvmModel(Trainable):
    """A Keras model that runs in the JVM; made by `kbridge.load`.

    It may be used from several threads. After `close` every use raises `JvmStateError`; arrays it
    has given stay valid. With stateful layers calls run one after the other, each from the states
    that the one before has left; whoever uses several threads settles which call comes first.

    Args:
        path: The bundle.
        device: See `load`.
        options: How to run it: ``engine``, ``threads`` and ``precision`` of `load`.
        host: Who runs the JVM.
    """

    def __init__(self, path: str | os.PathLike, device: str, options: dict[str, Any], host: Host):
        # NB: read before the JVM is started, so that a bad file costs neither that nor a download.
        with read_bundle(path) as bundle:
            self._spec = bundle.spec
        self._path = os.fspath(path)
        self.outputs = [TensorSpec.of(output) for output in self._spec["outputs"]]
        self._inputs = Inputs(
            [TensorSpec.of(i) for i in self._spec["inputs"]], self._spec["input_structure"]
        )
        structures = (self._spec["input_structure"], self._spec["output_structure"])
        self._is_plain = structures == ("*", "*")
        chosen = devices.parse(device)
        options = {"device": str(chosen), **options}
        path = os.path.abspath(path)
        self._session = Session(host, path, chosen.kind, options, self._inputs.specs)
        self._opened = (host, chosen.kind, options)
        closer = weakref.finalize(self, self._session.close)
        # NB: at the interpreter's end the JVM ends too, and takes the model with it.
        closer.atexit = False

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
        return self._session.closed

    def close(self) -> None:
        """Frees the model's memory in the JVM. May be called again."""
        self._end_training()
        self._session.close()

    def __enter__(self) -> Self:
        self._session.check()
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
        self._session.check()
        progress.check_verbose(verbose)
        batch_size = positive("batch_size", 32 if batch_size is None else batch_size)
        if steps is not None:
            positive("steps", steps)
        by_batches = Predictions(self._inputs, self.outputs, self._run)
        if streams.is_stream(x):
            flat = by_batches.of_stream(x, steps, verbose)
        else:
            flat = by_batches.of_arrays(self._inputs.check(x), batch_size, steps, verbose)
        return pack(self._spec["output_structure"], flat)

    def predict_on_batch(self, x: Any) -> Any:
        """Computes the model's outputs for one batch of any size, at once.

        Args:
            x: As for `predict`, but no generators.

        Returns:
            As `predict` does.
        """
        if self._is_plain:
            y = self._predicting().run_array(x)
            if y is not None:
                return y
        self._session.check()
        return pack(self._spec["output_structure"], self._predicting().run(self._inputs.check(x)))

    __call__ = predict_on_batch

    def warm_up(self, *shapes: Sequence[int] | None) -> None:
        """Gets ready for inputs of certain shapes: the first prediction is then as fast as others.

        A plan is compiled, weights are packed, and the clock decides between algorithms. Without
        this, the first prediction for each set of shapes does all that.

        Args:
            shapes: One for each of `inputs`, with the batch, in that order; None for an optional
                one that is left out.

        Raises:
            InvalidInputError: Shapes of a wrong count, rank or size.
            JvmStateError: The model was closed.

        Example:
            >>> model.warm_up((1, 224, 224, 3))
        """
        self._session.check()
        specs = self._inputs.specs
        fits = len(shapes) == len(specs) and all(
            spec.optional if shape is None else spec.accepts(tuple(shape))
            for shape, spec in zip(shapes, specs, strict=True)
        )
        if not fits:
            raise errors.InvalidInputError(
                f"Expected a shape for each of the inputs {', '.join(map(str, specs))}. Received: "
                f"{', '.join(map(str, shapes)) or 'nothing'}. Give them in this order."
            )
        states = self.states
        self._predicting().run(
            [
                None if shape is None else np.zeros(tuple(shape), spec.dtype)
                for shape, spec in zip(shapes, specs, strict=True)
            ]
        )
        self.set_states(states)

    def values(self, x: Any, names: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """Computes values inside the model, for one batch.

        Args:
            x: As for `predict_on_batch`.
            names: Names of values in the bundle's spec; None for what the layers give.

        Returns:
            The values by name, in the order asked for.
        """
        self._session.check()
        if names is None:
            names = [value for layer in self.layer_outputs for value in layer["values"]]
        names = list(dict.fromkeys(names))
        return dict(
            zip(names, self._predicting().values(self._inputs.check(x), names), strict=True)
        )

    @property
    def states(self) -> dict[str, np.ndarray]:
        """The states that stateful layers keep from call to call, by name; empty without such."""
        self._session.check()
        names = self._state_names
        return dict(zip(names, self._states_holder.states(names), strict=True)) if names else {}

    def set_states(self, states: Mapping[str, Any]) -> None:
        """Lets the next call start from other states, as of a sequence that was put aside.

        Args:
            states: Arrays by name, as `states` gives them; those that are left out stay.

        Raises:
            InvalidInputError: There is no such state, or an array does not fit.
        """
        now = self.states
        given = {name: np.asarray(array) for name, array in states.items()}
        for name, array in given.items():
            if name not in now or array.shape != now[name].shape:
                shapes = ", ".join(f"{n!r} {list(a.shape)}" for n, a in now.items()) or "none"
                raise errors.InvalidInputError(
                    f"Expected states of this model: {shapes}. Received: {name!r} "
                    f"{list(array.shape)}. Give arrays as `states` has them."
                )
        if now:
            self._states_holder.set_states(
                {name: given.get(name, old).astype(old.dtype) for name, old in now.items()}
            )

    def reset_states(self) -> None:
        """Sets the states of stateful layers to zero: the next call begins a sequence.

        As in Keras nothing else does that: states stay from batch to batch, from call to call, and
        between `predict`, `fit` and `evaluate`.
        """
        self._session.check()
        if self._state_names:
            self._states_holder.reset_states()

    reset_state = reset_states

    @property
    def _states_holder(self) -> Session | TrainerSession:
        return self._states_at or self._predicting()

    def calibrate(self, x: Any) -> dict[str, list[float]]:
        """Finds out how large the values get that convolutions and products read.

        Args:
            x: Samples, as for `predict`, but no generators.

        Returns:
            The smallest and the largest number of each value, over all samples.
        """
        self._session.check()
        ranges: dict[str, list[float]] = {}
        checked = self._inputs.check(x)
        rows = self._inputs.rows(checked)
        size = self._inputs.fixed_batch or _CALIBRATION_ROWS
        if rows == 0:
            raise errors.InvalidInputError(
                "Expected at least one sample to calibrate with. Received: none."
            )
        for start in range(0, rows or 1, size):
            stop = None if rows is None else min(start + size, rows)
            batch = [a if a is None or rows is None else a[start:stop] for a in checked]
            for name, (least, most) in self._predicting().calibrate(batch).items():
                known = ranges.get(name, [least, most])
                ranges[name] = [min(known[0], least), max(known[1], most)]
        return ranges

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
        self._session.check()
        return self._predicting().plan_steps(self._inputs.check(x), runs)

    def self_test(self) -> dict[str, Any]:
        """Runs the bundle's golden samples and compares with what native Keras answered.

        Returns:
            ``ok``, the tolerances ``rtol`` and ``atol``, ``scaled`` (whether ``atol`` is a share of
            each output's largest magnitude, as for models in half precision), and ``outputs``: for
            each its ``name``, ``ok``, ``elements``, how many are ``wrong``, ``max_absolute_error``
            and ``max_relative_error``.

        Raises:
            BundleFormatError: The bundle has no golden samples.
        """
        self._session.check()
        report = self._predicting().self_test()
        for output in report["outputs"]:
            for error in ("max_absolute_error", "max_relative_error"):
                output[error] = float(output[error])  # NB: infinity is a string in JSON
        return report

    def reinitialize(self, seed: int) -> None:
        """Gives the model new weights, as if Keras had just built it.

        Each weight is drawn from the distribution that its initializer names; what a layer has
        learned by ``adapt()`` stays. The bundle is not changed.

        Args:
            seed: Decides the weights: the same seed gives the same.

        Raises:
            UnsupportedOpError: A weight has an initializer that is not one of Keras's. Nothing is
                changed then.
        """
        self._session.check()
        if isinstance(seed, bool) or not isinstance(seed, int) or not -(2**63) <= seed < 2**63:
            raise errors.OptionError(
                f"Expected the seed to be an integer of 64 bits. Received: {seed!r}."
            )
        self._session.reinitialize(seed)
        self._reinitialized(seed)

    def save_same_diff(self, path: str | os.PathLike) -> None:
        """Saves the model as a SameDiff graph, for Java code that wants `SameDiff.load`.

        Its placeholders carry the names of the inputs, its variables those of the weights, and its
        outputs those of the outputs. It has answered the golden samples as Keras did.

        Args:
            path: The file, most often with the extension ``.fb``; replaced if it is there.

        Raises:
            UnsupportedOpError: SameDiff does not compute some operations as Keras does; all of
                them are listed.
            InvalidInputError: The file cannot be written.
        """
        self._session.check()
        self._session.save_same_diff(os.path.abspath(path))

    def _run(self, given: Flat, into: list[np.ndarray] | None = None) -> list[np.ndarray]:
        """Runs one batch, with the weights as they are by then."""
        return self._predicting().run(given, into)


def positive(name: str, value: Any) -> int:
    """Returns an argument that has to be a positive integer; raises `OptionError` otherwise."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise errors.OptionError(f"Expected {name} to be a positive integer. Received: {value!r}.")
    return int(value)
