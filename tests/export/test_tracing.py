"""What a trace of a model holds, told without a JVM."""

from __future__ import annotations

from collections import Counter

import keras
import numpy as np
import pytest
from keras import layers, ops

import kbridge
from kbridge import errors
from kbridge.bundle import read_bundle
from kbridge.export.exporter import export


@pytest.fixture
def spec_of(tmp_path):
    """Exports a model and returns its spec."""

    def run(model, **kwargs):
        path = tmp_path / "model.h5"
        export(model, path, **kwargs)
        with read_bundle(path) as bundle:
            return bundle.spec

    return run


def nodes_of(spec, graph="inference"):
    return spec["graphs"][graph]["nodes"]


def ops_of(spec):
    return [node["op"] for node in nodes_of(spec)]


def test_every_value_is_defined_once_and_before_its_use(spec_of):
    x = keras.Input((6, 6, 3))
    y = layers.Conv2D(4, 3, activation="relu")(x)
    y = layers.BatchNormalization()(y)
    y = layers.Dense(3)(layers.Flatten()(y))
    spec = spec_of(keras.Model(x, y))
    known = [i["name"] for i in spec["inputs"]]
    known += [*spec["weights"], *spec["constants"]]
    for node in nodes_of(spec):
        assert all(name in known for name in node["inputs"] if name is not None)
        known += [output["name"] for output in node["outputs"]]
    assert len(known) == len(set(known))


def test_a_shared_layer_becomes_nodes_that_name_one_weight(spec_of):
    a, b = keras.Input((4,)), keras.Input((4,))
    shared = layers.Dense(3, name="shared")
    spec = spec_of(keras.Model([a, b], ops.concatenate([shared(a), shared(b)])))
    matmuls = [n for n in nodes_of(spec) if n["op"] == "Matmul"]
    assert [n["inputs"][1] for n in matmuls] == ["shared/kernel"] * 2
    calls = [(o["scope"], o["call"]) for o in spec["layer_outputs"]]
    assert calls == [("shared", 0), ("shared", 1)]


def test_a_nested_model_is_flattened_and_its_layers_keep_their_path(spec_of):
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="d")], name="inner")
    x = keras.Input((4,))
    spec = spec_of(keras.Model(x, inner(x)))
    assert {n["scope"] for n in nodes_of(spec)} == {"inner/d"}
    assert [o["scope"] for o in spec["layer_outputs"]] == ["inner/d", "inner"]


def test_the_users_model_is_left_as_it_was(spec_of):
    x = keras.Input((4,))
    layer = layers.Dense(3)
    model = keras.Model(x, layer(x))
    nodes, before = len(layer._inbound_nodes), [w.copy() for w in model.get_weights()]
    spec_of(model)
    assert len(layer._inbound_nodes) == nodes
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    assert float(ops.sum(ops.ones((2, 2)))) == 4.0


def test_masks_travel_as_keras_carries_them(spec_of):
    x = keras.Input((None,), dtype="int32")
    y = layers.Embedding(9, 4, mask_zero=True)(x)
    y = layers.GlobalAveragePooling1D()(layers.Dropout(0.5)(y))
    assert "NotEqual" in ops_of(spec_of(keras.Model(x, y)))


def test_a_mask_nobody_reads_is_left_out(spec_of):
    x = keras.Input((None,), dtype="int32")
    spec = spec_of(keras.Model(x, layers.Embedding(9, 4, mask_zero=True)(x)))
    assert ops_of(spec) == ["Take"]


def test_no_cast_that_changes_nothing_and_one_where_dtypes_meet(spec_of):
    x, n = keras.Input((4,)), keras.Input((4,), dtype="int32")
    spec = spec_of(keras.Model([x, n], ops.add(layers.Activation("relu")(x), n)))
    assert Counter(ops_of(spec)) == {"Relu": 1, "Cast": 1, "Add": 1}


@pytest.mark.parametrize("axis", [-1, None, (1, -1)])
def test_axes_are_counted_from_the_front(spec_of, axis):
    x = keras.Input((4, 5))
    (node,) = nodes_of(spec_of(keras.Model(x, ops.sum(x, axis=axis, keepdims=True))))
    expected = {-1: [2], None: [0, 1, 2], (1, -1): [1, 2]}
    assert node["attrs"]["axis"] == expected[axis]


class TestSizes:
    """Sizes known at call time only."""

    def test_a_flattened_batch_names_the_dimension(self, spec_of):
        x = keras.Input((4, 5))
        (node,) = nodes_of(spec_of(keras.Model(x, layers.Flatten()(x))))
        assert node["attrs"]["newshape"] == [{"dims": [[x.name, 0]]}, 20]
        assert node["outputs"][0]["shape"] == [None, 20]

    def test_a_product_of_free_sizes(self, spec_of):
        class Rows(layers.Layer):
            def call(self, x):
                batch, height, width, channels = ops.shape(x)
                return ops.reshape(x, (batch, height * width, channels))

            def compute_output_shape(self, shape):
                return (shape[0], None, shape[3])

        x = keras.Input((None, None, 3))
        (node,) = nodes_of(spec_of(keras.Model(x, Rows()(x))))
        assert node["attrs"]["newshape"][1] == {"dims": [[x.name, 1], [x.name, 2]]}

    def test_positions_made_from_a_length(self, spec_of):
        class Positions(layers.Layer):
            def call(self, x):
                return x + ops.cast(ops.arange(ops.shape(x)[1]), "float32")

        x = keras.Input((None,))
        nodes = nodes_of(spec_of(keras.Model(x, Positions()(x))))
        (arange,) = [n for n in nodes if n["op"] == "Arange"]
        assert arange["attrs"]["stop"] == {"dims": [[x.name, 1]]}

    def test_halved_lengths_are_told_with_their_rounding(self, spec_of):
        class Halves(layers.Layer):
            def call(self, x):
                half = ops.shape(x)[1] // 2
                return ops.concatenate([x[:, half:], x[:, :half]], axis=1)

        x = keras.Input((None, 2))
        nodes = nodes_of(spec_of(keras.Model(x, Halves()(x))))
        stop = nodes[1]["attrs"]["key"][1]["slice"][1]
        assert stop == {"dims": [[x.name, 1]], "den": 2}

    def test_control_flow_on_a_size_is_refused(self, spec_of):
        class Unrolled(layers.Layer):
            def call(self, x):
                total = x[:, 0]
                for i in range(1, ops.shape(x)[1]):
                    total = total * 2 + x[:, i]
                return total

            def compute_output_shape(self, shape):
                return (shape[0],)

        x = keras.Input((None,))
        with pytest.raises(errors.UnsupportedModelError, match="depends on the size of the input"):
            spec_of(keras.Model(x, Unrolled()(x)))


class _UsesNumpy(layers.Layer):
    def call(self, x):
        return np.tanh(x)

    def compute_output_shape(self, shape):
        return shape


class _DrawsRandomNumbers(layers.Layer):
    def call(self, x):
        return x + keras.random.normal(ops.shape(x))


def test_all_problems_are_told_at_once_with_path_and_line(spec_of):
    x = keras.Input((4,))
    inner = keras.Sequential([keras.Input((4,)), _UsesNumpy(name="bad")], name="inner")
    y = layers.Dense(4)(_DrawsRandomNumbers(name="noisy")(inner(x)))
    with pytest.raises(errors.UnsupportedModelError) as caught:
        spec_of(keras.Model(x, y))
    assert [p.path for p in caught.value.problems] == ["inner/bad", "noisy"]
    assert "np.tanh(x)" in str(caught.value)
    assert "random numbers" in str(caught.value)
    assert str(caught.value).count("What to do:") == 2


def test_parameters_of_a_normalisation_that_do_not_fit_are_told(spec_of):
    class Norm(layers.Layer):
        def call(self, x):
            return ops.batch_normalization(x, ops.zeros(4), ops.ones(4), 1, offset=ops.ones(2))

        def compute_output_shape(self, shape):
            return shape

    x = keras.Input((4, 5))
    with pytest.raises(errors.UnsupportedModelError, match=r"\(4,\), \(2,\), where vectors"):
        spec_of(keras.Model(x, Norm()(x)))


def test_a_subclassed_model_with_sublayers(spec_of):
    class Block(layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.a, self.b = layers.Dense(4, name="a"), layers.Dense(4, name="b")

        def call(self, x):
            return self.b(ops.relu(self.a(x))) + x

    class Net(keras.Model):
        def __init__(self):
            super().__init__(name="net")
            self.first, self.second = Block(name="first"), Block(name="second")

        def call(self, x):
            return self.second(self.first(x))

    model = Net()
    x = np.ones((2, 4), "float32")
    model(x)
    spec = spec_of(model, sample=x)
    assert [o["scope"] for o in spec["layer_outputs"]] == [
        *("first/a", "first/b", "first"),
        *("second/a", "second/b", "second"),
    ]
    assert spec["inputs"] == [
        {"name": "input", "shape": [None, 4], "dtype": "float32", "optional": False}
    ]


def test_a_recurrent_layer_is_one_scan(spec_of):
    x = keras.Input((None, 3))
    spec = spec_of(keras.Model(x, layers.LSTM(4, name="lstm")(x)))
    (scan,) = [n for n in nodes_of(spec) if n["op"] == "Scan"]
    body = spec["graphs"][scan["attrs"]["body"]]
    assert [i["shape"] for i in body["inputs"][:1]] == [[None, 3]]
    assert {n["op"] for n in body["nodes"]} >= {"Matmul", "Sigmoid", "Tanh"}
    assert {"lstm/lstm_cell/kernel", "lstm/lstm_cell/recurrent_kernel"} <= set(scan["inputs"])


def test_the_first_operation_of_a_process_has_its_own_spec(run_python):
    script = (
        "import keras\nfrom keras.src.ops import nn\nfrom kbridge.export import normalise\n"
        "pool = nn.AdaptiveAveragePool((1,), 'channels_last')\n"
        "print(normalise.output_spec(pool, (keras.KerasTensor((None, 9, 3)),), {}).shape)"
    )
    assert run_python(script, env={"KERAS_BACKEND": "numpy"}).stdout == "(None, 1, 3)\n"


class Shifts(keras.layers.Layer):
    """Adds what it is given besides its input, if anything."""

    def call(self, x, shift=None):
        return x if shift is None else x + shift


@pytest.mark.parametrize("read", [False, True])
def test_an_optional_input_may_be_left_out_where_nothing_reads_it(read, jvm, tmp_path):
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b", optional=True)
    model = keras.Model([a, b], Shifts()(a, b) if read else a * 2.0)
    kbridge.export(model, tmp_path / "m.h5")
    x = np.ones((3, 4), "float32")
    with kbridge.load(tmp_path / "m.h5") as loaded:
        assert [i.optional for i in loaded.inputs] == [False, not read]
        if read:
            with pytest.raises(kbridge.InvalidInputError, match="'b'"):
                loaded.predict_on_batch([x, None])
        else:
            np.testing.assert_array_equal(loaded.predict_on_batch([x, None]), x * 2)
            assert kbridge.check(model, [x, None]).ok
