"""How a model is trained in the JVM: its session there, the batches, one epoch."""

from __future__ import annotations

import os
import tempfile
import threading
import weakref
from functools import cached_property
from typing import Any

import numpy as np

from kbridge import errors
from kbridge.bundle import read_bundle
from kbridge.jvm import streams
from kbridge.jvm.batches import ArrayBatches, StepArrays, StreamBatches
from kbridge.jvm.bridge import Host, Jvm
from kbridge.jvm.callbacks import Callbacks, Logs
from kbridge.jvm.inputs import Inputs, TensorSpec
from kbridge.jvm.session import Session
from kbridge.jvm.trainer import TrainerSession

Batches = ArrayBatches | StreamBatches


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


class Training:
    """What the methods of a `kbridge.jvm.trainable.Trainable` share.

    The trainer is opened when it is first asked for. Once weights have changed, predictions come
    from a bundle that is saved of them, which is opened beside the first.

    As in Keras, predicting and training carry the same states of stateful layers on: whoever runs
    next gets them from whoever ran last.
    """

    _spec: dict[str, Any]
    _path: str
    _inputs: Inputs
    _session: Session
    outputs: list[TensorSpec]

    _opened: tuple[Any, str, dict[str, Any]]
    _stale = False
    _trained: Session | None = None
    _states_at: Session | TrainerSession | None = None
    # NB: of all models, since they are moved seldom.
    _moving_states = threading.RLock()

    stop_training = False
    """Set by a callback to end `fit` after the epoch or batch."""

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
            self._stepping().save(path)
            host, device, options = self._opened
            trained = Session(Borrowed(host), path, device, options, self._inputs.specs)
            weakref.finalize(self, trained.close).atexit = False
            if self._trained is not None:
                self._trained.close()
            self._trained = trained
            self._stale = False
        return self._with_states(self._trained or self._session)

    def _stepping(self) -> TrainerSession:
        """What trains and evaluates, with the states of layers as they are now."""
        return self._with_states(self._trainer)

    def _with_states(self, runner: Any) -> Any:
        """Returns who is about to run, with the states that the last one has left."""
        if self._states_at is runner or not self._state_names:
            return runner
        with self._moving_states:
            last = self._states_at
            if last is not None and last is not runner:
                names = self._state_names
                runner.set_states(dict(zip(names, last.states(names), strict=True)))
            self._states_at = runner
        return runner

    @cached_property
    def _state_names(self) -> list[str]:
        return list(self._spec.get("states", {}))

    def _reinitialized(self, seed: int) -> None:
        self._states_at = self._session  # Where they are zero now.
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
            self._stepping().train(batch)
            self._stale = True  # NB: a callback may have predicted since the last batch.
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
            self._stepping().test(batch)
            run.on_test_batch_end(step, trainer.logs() if watched else {})
        logs = trainer.logs()
        run.on_test_end(logs)
        return logs


def split(batches: Batches, fraction: float) -> tuple[Batches, Batches]:
    """Parts batches of arrays into those before and those of the last `fraction` of the samples."""
    if isinstance(batches, StreamBatches):
        raise errors.OptionError(
            "Expected arrays with validation_split. Received: batches that come ready-made. Give "
            "validation_data."
        )
    return batches.split(fraction)


def keras_weights(spec: dict[str, Any]) -> list[str]:
    """Names of what Keras counts as weights: all variables but states of seed generators."""
    return [
        name
        for name, entry in spec["weights"].items()
        if (entry.get("initializer") or {}).get("class_name") != "SeedGenerator"
    ]
