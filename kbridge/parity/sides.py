"""The two sides of a check in this process: native Keras, and the JVM."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from kbridge.jvm.structures import flatten, pack
from kbridge.parity.case import Case, Flat, read_case
from kbridge.parity.comparison import wanted_calls, wanted_taps
from kbridge.parity.recording import LayerCall, Recording
from kbridge.parity.rounding import Change, record_moved


class NativeSide:
    """Runs the live Keras model, which stays as it is.

    Each batch starts from the states of stateful layers that the one before has left.

    Args:
        model: The model.
        spec: The spec of the bundle it is compared with.
    """

    def __init__(self, model: Any, spec: dict[str, Any]):
        from kbridge.export import metadata

        self._model = model
        self._structure = spec["input_structure"]
        self._calls = wanted_calls(spec)
        self._taps = wanted_taps(spec)
        self._after = [(state.variable, state.array()) for state in metadata.layer_states(model)]
        self._before = self._after

    @property
    def keeps_states(self) -> bool:
        """Whether batches depend on those before."""
        return bool(self._after)

    def record(self, inputs: Flat) -> Recording:
        """Returns what the model and its layers give for the next batch."""
        import keras

        scope = keras.StatelessScope(state_mapping=self._after)
        recording = self._record(inputs, self._calls, None, scope)
        self._before = self._after
        self._after = [
            (variable, keras.ops.convert_to_numpy(scope.get_current_value(variable)))
            for variable, _ in self._before
        ]
        return recording

    def record_moved(
        self, inputs: Flat, calls: Collection[LayerCall]
    ) -> tuple[Recording, Recording]:
        """Returns the same twice, changed by more than what rounding changes.

        Args:
            inputs: The batch of flat inputs that was recorded last.
            calls: The layer calls that are recorded.
        """
        import keras

        def record(inputs: Flat, change: Change) -> Recording:
            scope = keras.StatelessScope(state_mapping=self._before)
            return self._record(inputs, calls, change, scope)

        return record_moved(inputs, record)

    def _record(
        self, inputs: Flat, calls: Collection[LayerCall], change: Change | None, scope: Any
    ) -> Recording:
        from kbridge.parity.reference import record

        packed = pack(self._structure, inputs)
        return record(self._model, packed, calls.__contains__, self._taps, change, scope)


class JvmSide:
    """Runs a bundle in a JVM; a context manager.

    Args:
        case: What is checked.
        options: See `kbridge.load`.
    """

    def __init__(self, case: Case, **options: Any):
        from kbridge.jvm.loading import load

        self._spec = case.spec
        if options.get("precision") == "int8" and not _is_quantised(case.spec):
            options.setdefault("calibration", self._packed(case.batches[0]))
        self._model = load(case.bundle, **options)
        self._before: dict[str, np.ndarray] = {}

    def __enter__(self) -> JvmSide:
        return self

    def __exit__(self, *exc: object) -> None:
        self._model.close()

    def outputs(self, inputs: Flat) -> list[np.ndarray]:
        """Returns the model's flat outputs for the next batch."""
        self._before = self._model.states
        answer = self._model.predict_on_batch(self._packed(inputs))
        names = [output["name"] for output in self._spec["outputs"]]
        return flatten(self._spec["output_structure"], answer, names)

    def values(self, inputs: Flat, names: list[str]) -> dict[str, np.ndarray]:
        """Returns values inside the model for the same batch."""
        given = {d["name"]: array for d, array in zip(self._spec["inputs"], inputs, strict=True)}
        # NB: a layer that does nothing at inference (Dropout) may give the model's own input.
        asked = [name for name in names if name not in given]
        found = self._values(inputs, asked) if asked else {}
        return {name: given[name] if name in given else found[name] for name in names}

    def _values(self, inputs: Flat, names: list[str]) -> dict[str, np.ndarray]:
        after = self._model.states
        self._model.set_states(self._before)
        found = self._model.values(self._packed(inputs), names)
        self._model.set_states(after)
        return found

    def _packed(self, inputs: Flat) -> Any:
        return pack(self._spec["input_structure"], inputs)


def _is_quantised(spec: dict[str, Any]) -> bool:
    """Whether Keras has quantised the model: it is then exact as it is."""
    return any(weight["dtype"] == "int8" for weight in spec["weights"].values())


@contextmanager
def bundle_for(model: Any, bundle: str | os.PathLike | None, x: Any) -> Iterator[Path]:
    """Gives the path of a model's bundle; without one, of a temporary one that is made of it."""
    if bundle is not None:
        yield Path(bundle)
        return
    import kbridge

    with tempfile.TemporaryDirectory(prefix="kbridge-check-") as folder:
        path = Path(folder) / "model.h5"
        kbridge.export(model, path, sample=_sample(model, x))
        yield path


def live_model(model_or_path: Any) -> Any:
    """Returns a live Keras model; files are opened as `kbridge.export` opens them."""
    from kbridge.export.sources import open_source

    return open_source(model_or_path).model


def open_case(
    model: Any, bundle: Path, x: Any, batch_size: int, seed: int
) -> tuple[Case, NativeSide]:
    """Returns what is checked and its native side."""
    case = read_case(bundle, x, batch_size, seed)
    return case, NativeSide(model, case.spec)


def _sample(model: Any, x: Any) -> Any:
    """Inputs for the export, for a model that does not tell them itself."""
    from kbridge.export.signature import functional_of

    if x is None or functional_of(model) is not None:
        return None
    import keras

    return keras.tree.map_structure(lambda array: np.asarray(array)[:2], x)
