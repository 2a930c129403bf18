"""Training of a model in the JVM, with the methods and arguments that Keras models have."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from kbridge import errors
from kbridge.bundle import read_bundle
from kbridge.jvm import progress, streams
from kbridge.jvm.batches import ArrayBatches, StepArrays, StreamBatches
from kbridge.jvm.bridge import Host, Jvm
from kbridge.jvm.callbacks import Callbacks, History, Logs, Progress
from kbridge.jvm.inputs import Inputs, TensorSpec
from kbridge.jvm.session import Session
from kbridge.jvm.trainer import TrainerSession

Batches = ArrayBatches | StreamBatches


class JvmOptimizer:
    """The optimizer of a model that is trained in the JVM, as far as callbacks look at it."""

    def __init__(self, trainer: TrainerSession):
        self._trainer = trainer

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next step."""
        return self._trainer.learning_rate

    @learning_rate.setter
    def learning_rate(self, rate: Any) -> None:
        self._trainer.learning_rate = float(rate)

    @property
    def iterations(self) -> int:
        """How many updates were done."""
        return self._trainer.iterations


class JvmMetric:
    """A metric of a model, as far as callbacks look at it.

    Attributes:
        name: Its name.
        class_name: Its class in Keras.
    """

    def __init__(self, name: str, class_name: str):
        self.name = name
        self.class_name = class_name


class Borrowed(Host):
    """The host of a model, for a second session that must not end it."""

    def __init__(self, host: Host):
        self._host = host

    def start(self, device: str) -> Jvm:
        """Returns the JVM that runs."""
        return self._host.start(device)

    def check(self) -> None:
        """Raises JvmStateError where this process may not use the JVM."""
        self._host.check()

    def leave(self) -> None:
        """Does nothing: the first session ends the host."""


class Trainable:
    """What a `JvmModel` can do besides predicting.

    The first call of one of these opens the model's training steps; they start from the weights and
    the optimizer's state in the bundle. Nothing is written to the bundle: `save` makes a new one.
    """

    _spec: dict[str, Any]
    _path: str
    _inputs: Inputs
    _session: Session
    outputs: list[TensorSpec]

    _opened: tuple[Any, str, dict[str, Any]]
    _stale = False
    _trained: Session | None = None

    stop_training = False
    """Set by a callback to end `fit` after the epoch or batch."""

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: str | int = "auto",
        callbacks: Sequence[Any] | None = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Mapping[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int = 1,
        seed: int | None = None,
    ) -> History:
        """Trains the model, as Keras's `fit` does.

        Args:
            x: Inputs, as for `predict`; or batches of (x, y) or (x, y, sample_weight): a generator,
                a `tf.data.Dataset`, a `PyDataset`, a `DataLoader`.
            y: Labels: an array, a list in the order of the outputs, or a dict by their names.
            batch_size: Samples of a step; None is 32.
            epochs: The epoch to stop before.
            verbose: 0 prints nothing, 1 shows numbers as they come, 2 one line an epoch;
                ``"auto"`` is 1.
            callbacks: Callbacks of Keras, or objects with their methods.
            validation_split: Which part of the samples, the last ones, to evaluate on.
            validation_data: What to evaluate on: (x, y), (x, y, sample_weight), or batches.
            shuffle: Whether to take the samples in another order in each epoch.
            class_weight: The weight of each class number; others have 1.
            sample_weight: One weight for each sample, or for each value of the loss.
            initial_epoch: The epoch to start with.
            steps_per_epoch: How many batches an epoch has.
            validation_steps: How many batches to evaluate on.
            validation_batch_size: Samples of a batch in evaluation; None is `batch_size`.
            validation_freq: After how many epochs to evaluate.
            seed: What the order of the samples comes from; None for another one each time.

        Returns:
            The history: `history`, a list of numbers by name.

        Raises:
            NotTrainableError: The model was not compiled, or cannot be trained outside of Keras.
            NotANumberError: The loss is no number; weights are those before that step.
            InvalidInputError: Something does not fit.
        """
        _check_fit(verbose, epochs, validation_split)
        size = 32 if batch_size is None else batch_size
        rng = np.random.default_rng(seed) if shuffle else None
        batches = self._batches(x, y, sample_weight, class_weight, size, steps_per_epoch, rng)
        validation: Batches | None = None
        if validation_split and validation_data is None:
            # NB: as in Keras, classes have no weights in evaluation.
            plain = self._batches(x, y, sample_weight, None, size, None, None)
            batches = _split(batches, validation_split)[0]
            validation = _split(plain, validation_split)[1]
        elif validation_data is not None:
            wide = validation_batch_size or size
            validation = self._validation(validation_data, wide, validation_steps)
        history = History()
        shown = [] if verbose == 0 else [Progress(1 if verbose == "auto" else int(verbose))]
        params = {"epochs": epochs, "steps": len(batches) or None, "verbose": verbose}
        # NB: as in Keras, callbacks may add to the logs that the history keeps.
        run = Callbacks([*(callbacks or []), history, *shown], self, params)
        self.stop_training = False
        run.on_train_begin({})
        logs: Logs = {}
        for epoch in range(initial_epoch, epochs):
            run.on_epoch_begin(epoch, {})
            logs = self._train_epoch(batches, steps_per_epoch, run)
            if validation is not None and (epoch + 1 - initial_epoch) % validation_freq == 0:
                found = self._evaluate(validation, run)
                logs |= {f"val_{name}": value for name, value in found.items()}
            run.on_epoch_end(epoch, logs)
            if self.stop_training:
                break
        self._trainer.finish()
        run.on_train_end(logs)
        return history

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Mapping[int, float] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """Does one training step, as Keras's method of this name.

        Args:
            x: As for `predict_on_batch`.
            y: As for `fit`.
            sample_weight: As for `fit`.
            class_weight: As for `fit`.
            return_dict: Whether to return numbers by name.

        Returns:
            Loss and metrics of this batch: one number, a list, or a dict.
        """
        batch = self._step_arrays.make(x, y, sample_weight, class_weight)
        self._trainer.reset_metrics()
        self._changed()
        self._trainer.train(batch)
        return self._answer(self._trainer.logs(), return_dict)

    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """Computes loss and metrics of one batch, as Keras's method of this name.

        Args:
            x: As for `predict_on_batch`.
            y: As for `fit`.
            sample_weight: As for `fit`.
            return_dict: Whether to return numbers by name.

        Returns:
            As `train_on_batch` does.
        """
        batch = self._step_arrays.make(x, y, sample_weight)
        self._trainer.reset_metrics()
        self._trainer.test(batch)
        return self._answer(self._trainer.logs(), return_dict)

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Sequence[Any] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """Computes loss and metrics, as Keras's `evaluate` does.

        Args:
            x: As for `fit`.
            y: As for `fit`.
            batch_size: Samples of a batch; None is 32.
            verbose: 0 prints nothing; otherwise one line is printed.
            sample_weight: As for `fit`.
            steps: How many batches to evaluate.
            callbacks: As for `fit`.
            return_dict: Whether to return numbers by name.

        Returns:
            One number, a list, or a dict.
        """
        progress.check_verbose(verbose)
        size = 32 if batch_size is None else batch_size
        batches = self._batches(x, y, sample_weight, None, size, steps, None)
        params = {"epochs": 1, "steps": len(batches) or None, "verbose": verbose}
        logs = self._evaluate(batches, Callbacks(callbacks or [], self, params))
        if verbose != 0:
            print(" - ".join(f"{name}: {value:.4f}" for name, value in logs.items()))
        return self._answer(logs, return_dict)

    def gradients(self, x: Any, y: Any = None, sample_weight: Any = None) -> dict[str, np.ndarray]:
        """Computes the gradient of each trained weight for one batch; changes nothing.

        Args:
            x: As for `predict_on_batch`.
            y: As for `fit`.
            sample_weight: As for `fit`.

        Returns:
            The gradients by the weights' names in the bundle.
        """
        return self._trainer.gradients(self._step_arrays.make(x, y, sample_weight))

    def get_weights(self) -> list[np.ndarray]:
        """Returns copies of the weights, in the order of Keras's `get_weights`."""
        names = keras_weights(self._spec)
        if "_trainer" in self.__dict__:
            return self._trainer.values(names)
        with read_bundle(self._path) as bundle:
            return [bundle.weight(name) for name in names]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Gives the weights other values.

        Args:
            weights: Arrays in the order of `get_weights`.
        """
        names = keras_weights(self._spec)
        entries = [self._spec["weights"][name] for name in names]
        given = [np.asarray(array) for array in weights]
        shapes = [list(array.shape) for array in given]
        if shapes != [list(entry["shape"]) for entry in entries]:
            raise errors.InvalidInputError(
                f"Expected {len(entries)} arrays of the shapes {[e['shape'] for e in entries]}. "
                f"Received: {shapes}. Give what get_weights() returns."
            )
        pairs = zip(names, entries, given, strict=True)
        self._changed()
        self._trainer.assign({n: array.astype(e["dtype"]) for n, e, array in pairs})

    def save(self, path: str | os.PathLike, overwrite: bool = True) -> None:
        """Writes a bundle with the weights and the optimizer's state as they are now.

        The file is either the old one or a whole new one, whatever happens meanwhile. What was
        trained goes back to Keras with `kbridge.import_weights`.

        Args:
            path: The bundle.
            overwrite: Whether an existing file may be replaced.
        """
        path = Path(path)
        if path.exists() and not overwrite:
            raise errors.ExportError(
                f"Expected no file at {str(path)!r}, because overwrite=False. Received: there is "
                "one. Choose another name."
            )
        if "_trainer" in self.__dict__:
            self._trainer.save(os.path.abspath(path))
            return
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        os.close(handle)
        try:
            shutil.copyfile(self._path, temporary)
            os.replace(temporary, path)
        finally:
            Path(temporary).unlink(missing_ok=True)

    @property
    def optimizer(self) -> JvmOptimizer:
        """The optimizer, whose learning rate may be changed."""
        return JvmOptimizer(self._trainer)

    @property
    def metrics(self) -> list[JvmMetric]:
        """The metrics, the loss first."""
        return [JvmMetric(m["name"], m["class_name"]) for m in self._steps_document["metrics"]]

    @property
    def metrics_names(self) -> list[str]:
        """Names of the metrics."""
        return [metric.name for metric in self.metrics]

    def reset_metrics(self) -> None:
        """Lets all metrics start anew."""
        self._trainer.reset_metrics()

    # How it is done.

    @cached_property
    def _steps_document(self) -> dict[str, Any]:
        with read_bundle(self._path) as bundle:
            return bundle.steps() or {}

    @cached_property
    def _trainer(self) -> TrainerSession:
        if "calibration" in self._opened[2]:
            raise errors.OptionError(
                "Expected a model that was loaded without calibration= for training and "
                "evaluation, which compute in float32 and change what was calibrated. Received: "
                "one for precision='int8'. Load it again with precision='float32'."
            )
        trainer = self._session.trainer()
        weakref.finalize(self, trainer.close).atexit = False
        return trainer

    @cached_property
    def _step_arrays(self) -> StepArrays:
        trainer = self._trainer
        classes = {
            i["of"]: (i["classes"], i.get("ignored"))
            for i in self._steps_document["training"]["inputs"]
            if i.get("classes") is not None
        }
        names = [output.name for output in self.outputs]
        return StepArrays(self._inputs, trainer.inputs, names, classes)

    @cached_property
    def _folder(self) -> tempfile.TemporaryDirectory:
        return tempfile.TemporaryDirectory(prefix="kbridge-trained-")

    def _changed(self) -> None:
        """Notes that predictions have to use other weights than before."""
        self._session.check()
        self._stale = True

    def _predicting(self) -> Session:
        """What predicts with the weights as they are now: the bundle, or what was trained of it."""
        if self._stale:
            path = os.path.join(self._folder.name, "trained.h5")
            self._trainer.save(path)
            host, device, options = self._opened
            trained = Session(Borrowed(host), path, device, options, self._inputs.specs)
            weakref.finalize(self, trained.close).atexit = False
            if self._trained is not None:
                self._trained.close()
            self._trained = trained
            self._stale = False
        return self._trained or self._session

    def _reinitialized(self, seed: int) -> None:
        if "_trainer" in self.__dict__:
            self._trainer.reinitialize(seed)
            self._changed()

    def _end_training(self) -> None:
        if self._trained is not None:
            self._trained.close()
        if "_trainer" in self.__dict__ and not self._session.closed:
            self._trainer.close()
        if "_folder" in self.__dict__:
            self._folder.cleanup()

    def _batches(
        self,
        x: Any,
        y: Any,
        sample_weight: Any,
        class_weight: Any,
        size: int,
        steps: int | None,
        shuffle: np.random.Generator | None,
    ) -> Batches:
        self._session.check()
        if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 1:
            raise errors.OptionError(
                f"Expected batch_size to be a positive integer. Received: {size!r}."
            )
        if streams.is_stream(x):
            return StreamBatches(x, self._step_arrays, steps, class_weight)
        whole = self._step_arrays.make(x, y, sample_weight, class_weight)
        return ArrayBatches(whole, self._inputs.fixed_batch or int(size), shuffle)

    def _validation(self, data: Any, size: int, steps: int | None) -> Batches:
        if streams.is_stream(data):
            return StreamBatches(data, self._step_arrays, steps)
        if not isinstance(data, (tuple, list)) or not 2 <= len(data) <= 3:
            raise errors.InvalidInputError(
                "Expected validation_data to be (x, y) or (x, y, sample_weight). Received: "
                f"{type(data).__name__}."
            )
        return self._batches(
            *data[:2], data[2] if len(data) == 3 else None, None, size, steps, None
        )

    def _train_epoch(self, batches: Batches, steps: int | None, run: Callbacks) -> Logs:
        trainer, watched = self._trainer, run.want_batches("train")
        trainer.reset_metrics()
        self._changed()
        step = -1
        for step, batch in enumerate(batches):
            run.on_train_batch_begin(step, {})
            trainer.train(batch)
            run.on_train_batch_end(step, trainer.logs() if watched else {})
            if self.stop_training or step + 1 == steps:
                break
        if step < 0:
            raise errors.InvalidInputError(
                "Expected at least one batch in an epoch. Received: none. A generator ends with "
                "its first epoch: give steps_per_epoch, or a dataset that can be read again."
            )
        return trainer.logs()

    def _evaluate(self, batches: Batches, run: Callbacks) -> Logs:
        trainer, watched = self._trainer, run.want_batches("test")
        trainer.reset_metrics()
        run.on_test_begin({})
        for step, batch in enumerate(batches):
            run.on_test_batch_begin(step, {})
            trainer.test(batch)
            run.on_test_batch_end(step, trainer.logs() if watched else {})
        logs = trainer.logs()
        run.on_test_end(logs)
        return logs

    def _answer(self, logs: Logs, return_dict: bool) -> Any:
        """Numbers as Keras returns them: by name, or in the order of the metrics."""
        if return_dict:
            return logs
        names = self.metrics_names
        found = [logs[name] for name in names if name in logs]
        found += [logs[name] for name in sorted(logs) if name not in names]
        return found[0] if len(found) == 1 else found


def _split(batches: Batches, fraction: float) -> tuple[Batches, Batches]:
    if isinstance(batches, StreamBatches):
        raise errors.OptionError(
            "Expected arrays with validation_split. Received: batches that come ready-made. Give "
            "validation_data."
        )
    return batches.split(fraction)


def _check_fit(verbose: Any, epochs: Any, fraction: float) -> None:
    progress.check_verbose(verbose)
    if isinstance(epochs, bool) or not isinstance(epochs, (int, np.integer)) or epochs < 1:
        raise errors.OptionError(f"Expected epochs to be a positive integer. Received: {epochs!r}.")
    if not 0 <= fraction < 1:
        raise errors.OptionError(
            f"Expected validation_split from 0 to below 1. Received: {fraction!r}."
        )


def keras_weights(spec: dict[str, Any]) -> list[str]:
    """Names of what Keras counts as weights: all variables but states of seed generators."""
    return [
        name
        for name, entry in spec["weights"].items()
        if (entry.get("initializer") or {}).get("class_name") != "SeedGenerator"
    ]
