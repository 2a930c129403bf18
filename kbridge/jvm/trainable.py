"""Training of a model in the JVM, with the methods and arguments that Keras models have."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kbridge import errors
from kbridge.bundle import read_bundle
from kbridge.jvm import progress
from kbridge.jvm.callbacks import Callbacks, History, Logs, Progress
from kbridge.jvm.trainer import TrainerSession
from kbridge.jvm.training import Batches, Training, keras_weights, split


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


class Trainable(Training):
    """What a `JvmModel` can do besides predicting.

    The first call of one of these opens the model's training steps; they start from the weights and
    the optimizer's state in the bundle. Nothing is written to the bundle: `save` makes a new one.
    """

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
            batches = split(batches, validation_split)[0]
            validation = split(plain, validation_split)[1]
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
        self._stepping().train(batch)
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
        self._stepping().test(batch)
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
        return self._stepping().gradients(self._step_arrays.make(x, y, sample_weight))

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
            self._stepping().save(os.path.abspath(path))
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

    def _answer(self, logs: Logs, return_dict: bool) -> Any:
        """Numbers as Keras returns them: by name, or in the order of the metrics."""
        if return_dict:
            return logs
        names = self.metrics_names
        found = [logs[name] for name in names if name in logs]
        found += [logs[name] for name in sorted(logs) if name not in names]
        return found[0] if len(found) == 1 else found


def _check_fit(verbose: Any, epochs: Any, fraction: float) -> None:
    progress.check_verbose(verbose)
    if isinstance(epochs, bool) or not isinstance(epochs, (int, np.integer)) or epochs < 1:
        raise errors.OptionError(f"Expected epochs to be a positive integer. Received: {epochs!r}.")
    if not 0 <= fraction < 1:
        raise errors.OptionError(
            f"Expected validation_split from 0 to below 1. Received: {fraction!r}."
        )
