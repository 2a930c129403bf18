"""Recording what native Keras's layers give."""

import keras
import numpy as np
import pytest

from kbridge.parity.reference import record


def x(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def classifier():
    inputs = keras.Input((4,))
    hidden = keras.layers.Dense(3, name="hidden")(inputs)
    dropped = keras.layers.Dropout(0.5, name="drop")(hidden)
    return keras.Model(inputs, keras.layers.Dense(2, activation="softmax", name="top")(dropped))


def test_records_outputs_and_layers_in_execution_order():
    model, data = classifier(), x(3, 4)
    recording = record(model, data)
    assert list(recording.layers) == [("hidden", 0), ("drop", 0), ("top", 0)]
    kernel, bias = (np.asarray(w) for w in model.get_layer("hidden").get_weights())
    np.testing.assert_allclose(recording.layers["hidden", 0][0], data @ kernel + bias, rtol=1e-5)
    np.testing.assert_array_equal(recording.layers["drop", 0][0], recording.layers["hidden", 0][0])
    np.testing.assert_array_equal(recording.outputs[0], recording.layers["top", 0][0])
    np.testing.assert_allclose(recording.outputs[0], model.predict(data, verbose=0), rtol=1e-5)


def test_layers_can_be_chosen():
    recording = record(classifier(), x(3, 4), layers=lambda call: call == ("drop", 0))
    assert list(recording.layers) == [("drop", 0)]
    assert recording.calls == [("hidden", 0), ("drop", 0), ("top", 0)]


def test_what_a_layer_gives_can_be_changed_before_the_next_gets_it():
    model, data = classifier(), x(3, 4)
    recording = record(model, data, change=lambda array: array + np.float32(1))
    plain = record(model, data)
    hidden = plain.layers["hidden", 0][0] + 1
    np.testing.assert_array_equal(recording.layers["hidden", 0][0], hidden)
    np.testing.assert_array_equal(recording.layers["drop", 0][0], hidden + 1)
    top = np.asarray(model.get_layer("top")(hidden + 1)) + 1
    np.testing.assert_allclose(recording.layers["top", 0][0], top, rtol=1e-6)


def test_change_keeps_masks():
    inputs = keras.Input((4, 3))
    hidden = keras.layers.Masking()(inputs)
    model = keras.Model(inputs, keras.layers.LSTM(2)(hidden))
    data = x(2, 4, 3)
    data[:, 2:] = 0
    recording = record(model, data, change=lambda array: array * np.float32(1))
    np.testing.assert_array_equal(recording.outputs[0], record(model, data).outputs[0])


def test_logits_are_what_goes_into_the_activation_and_the_layer_is_left_as_it_was():
    model, data = classifier(), x(3, 4)
    top = model.get_layer("top")
    activation = top.activation
    recording = record(model, data, logits=[("top", 0)])
    kernel, bias = (np.asarray(w) for w in top.get_weights())
    expected = recording.layers["drop", 0][0] @ kernel + bias
    np.testing.assert_allclose(recording.logits["top", 0], expected, rtol=1e-5, atol=1e-6)
    assert top.activation is activation


def test_logits_of_one_call_of_a_shared_layer():
    shared = keras.layers.Dense(4, activation="sigmoid", name="shared")
    inputs = keras.Input((4,))
    model = keras.Model(inputs, shared(shared(inputs)))
    recording = record(model, x(3, 4), logits=[("shared", 1)])
    assert list(recording.logits) == [("shared", 1)]
    np.testing.assert_allclose(
        1 / (1 + np.exp(-recording.logits["shared", 1])), recording.outputs[0], rtol=1e-5
    )


def test_activation_that_is_a_layer_is_tapped_and_put_back():
    softmax = keras.layers.Softmax(name="softmax")
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(2, activation=softmax, name="top")(inputs))
    recording = record(model, x(3, 4), logits=[("top", 0)])
    assert recording.logits["top", 0].shape == (3, 2)
    assert model.get_layer("top").activation is softmax


class Failing(keras.layers.Layer):
    """Fails on concrete data."""

    activation = staticmethod(keras.activations.relu)

    def call(self, inputs):
        if keras.ops.is_tensor(inputs) and not isinstance(inputs, keras.KerasTensor):
            raise ArithmeticError("no")
        return inputs

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(inputs.shape, inputs.dtype)


def test_failure_puts_the_activation_back():
    layer = Failing(name="failing")
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layer(inputs))
    with pytest.raises(ArithmeticError, match="no"):
        record(model, x(3, 4), logits=[("failing", 0)])
    assert "activation" not in vars(layer)


def test_layers_with_several_outputs_are_flat():
    outputs = keras.layers.LSTM(2, return_sequences=True, return_state=True, name="lstm")(
        inputs := keras.Input((3, 4))
    )
    recording = record(keras.Model(inputs, outputs), x(2, 3, 4))
    assert [a.shape for a in recording.layers["lstm", 0]] == [(2, 3, 2), (2, 2), (2, 2)]
    assert [a.shape for a in recording.outputs] == [(2, 3, 2), (2, 2), (2, 2)]


def test_dict_inputs_and_outputs():
    inputs = {"b": keras.Input((2,), name="b"), "a": keras.Input((2,), name="a")}
    model = keras.Model(inputs, {"sum": inputs["a"] + inputs["b"], "b": inputs["b"] * 2})
    data = {"a": x(3, 2), "b": 2 * x(3, 2)}
    recording = record(model, data)
    np.testing.assert_array_equal(recording.outputs[0], data["b"] * 2)
    np.testing.assert_array_equal(recording.outputs[1], data["a"] + data["b"])
    assert recording.structure == {"b": 0, "sum": 1}


@pytest.mark.parametrize(
    ("outputs", "structure"),
    [
        (lambda a: a * 2, "*"),
        (lambda a: (a, {"z": a * 2, "y": [a * 3]}), [0, {"y": [1], "z": 2}]),
    ],
)
def test_structure_of_outputs(outputs, structure):
    inputs = keras.Input((2,))
    assert record(keras.Model(inputs, outputs(inputs)), x(3, 2)).structure == structure
