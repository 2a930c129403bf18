"""Paths of layers and names of weights: unique, safe, and the same however a model came to be."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers as L

from kbridge.export import metadata
from tests.export.models import nested


def test_paths_of_layers():
    paths = [entry["path"] for entry in metadata.layers_metadata(nested())]
    assert len(paths) == len(set(paths))
    assert {
        "x",
        "td",
        "td/first",
        "td/first/dense",
        "both/forward_lstm/lstm_cell",
        "both/backward_lstm/lstm_cell",
        "second/dense",
        "shared",
        "rnn/stacked_rnn_cells/a",
        "rnn/stacked_rnn_cells/b",
        "drop",
    } <= set(map(without_numbers, paths))
    for path in paths:
        parent = path.rpartition("/")[0]
        assert parent == "" or paths.index(parent) < paths.index(path)


def without_numbers(path):
    return "/".join(part.rstrip("0123456789").rstrip("_") for part in path.split("/"))


def test_paths_are_the_scopes_of_calls():
    """The definition of a scope is shared with parity; each called layer has an entry.

    NB: TimeDistributed and StackedRNNCells run what they hold past `__call__`; a scope then lacks
    the name of the layer that was passed over.
    """
    from kbridge.export.scopes import layer_calls

    inner = keras.Sequential([keras.Input((4,)), L.Dense(4), L.Dense(3)], name="inner")
    inputs = keras.Input((3, 4), name="x")
    x = L.Bidirectional(L.LSTM(2, return_sequences=True, name="lstm"), name="both")(inputs)
    x = L.MultiHeadAttention(2, 2, name="attention")(x, x)
    x = L.RNN(L.GRUCell(2, name="a"), name="rnn")(x)
    model = keras.Model(inputs, inner(L.Dense(4)(x)), name="root")
    scopes = []
    with layer_calls(model, on_enter=lambda layer, scope, call: scopes.append(scope)):
        model(np.zeros((1, 3, 4), "float32"))
    assert set(scopes) - {""} <= {entry["path"] for entry in metadata.layers_metadata(model)}
    assert len(scopes) > 8


def test_names_of_weights():
    model = nested()
    names = metadata.weight_names(model)
    assert set(names) == {id(v) for v in model.variables}
    assert len(set(names.values())) == len(names)
    assert {"td/first/dense/kernel", "second/dense/kernel", "shared/bias"} <= set(names.values())
    seeds = [n for n in names.values() if n.endswith("seed_generator_state")]
    assert "drop/seed_generator_state" in seeds
    assert not any("seed_generator_" in n.replace("seed_generator_state", "") for n in seeds)


def test_names_leave_out_the_root_only():
    model = keras.Sequential([keras.Input((4,)), L.Dense(3, name="dense")], name="dense")
    assert set(metadata.weight_names(model).values()) == {"dense/kernel", "dense/bias"}
    inputs = keras.Input((4,))
    model = keras.Model(inputs, L.Dense(3, name="same")(inputs), name="same")
    assert set(metadata.weight_names(model).values()) == {"same/kernel", "same/bias"}


class Holder(L.Layer):
    def __init__(self, names, **kwargs):
        super().__init__(**kwargs)
        self.held = [self.add_weight(shape=(), name=name) for name in names]

    def call(self, x):
        return x


@pytest.mark.parametrize("names", [["..", "."], ["a", "a"], ["a\x00b", "a\nb"], ["x"] * 4])
def test_names_are_safe_and_unique(names):
    inputs = keras.Input((2,))
    outputs = Holder(names, name="..")(inputs)
    found = list(metadata.weight_names(keras.Model(inputs, outputs)).values())
    assert len(set(found)) == len(names)
    for name in found:
        parts = name.split("/")
        assert all(part not in ("", ".", "..") for part in parts)
        assert name.isprintable()


def test_no_name_is_a_group_of_another():
    """An HDF5 file cannot hold a dataset `a/b` and a dataset `a/b/c`."""
    held = Holder(["b"], name="a")
    held.inner = Holder(["c"], name="b")
    inputs = keras.Input((2,))
    names = set(metadata.weight_names(keras.Model(inputs, held(inputs))).values())
    assert names == {"a/b", "a.b.c_1"}
    for name in names:
        assert not any(other.startswith(f"{name}/") for other in names), names


def test_names_do_not_depend_on_how_the_model_came_to_be(tmp_path):
    """Keras's own paths of variables do."""
    inputs = keras.Input((6, 4))
    x = L.Bidirectional(L.GRU(3, dropout=0.1), name="both")(inputs)
    inner = keras.Sequential([keras.Input((6,)), L.Dense(2, name="d")], name="inner")
    model = keras.Model(inputs, inner(x), name="m")
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    assert [v.path for v in loaded.variables] != [v.path for v in model.variables]
    names, again = metadata.weight_names(model), metadata.weight_names(loaded)
    assert [again[id(v)] for v in loaded.variables] == [names[id(v)] for v in model.variables]
