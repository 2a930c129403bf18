"""Finding what feeds a model's last activation."""

from kbridge.parity.logits import Logits, find_logits


def node(op, scope, inputs, output):
    return {"op": op, "scope": scope, "inputs": inputs, "outputs": [{"name": output}], "attrs": {}}


def entry(scope, call, *values):
    return {"scope": scope, "call": call, "values": list(values)}


def spec_of(nodes, layers, *outputs):
    return {
        "outputs": [{"name": f"out{i}", "value": value} for i, value in enumerate(outputs)],
        "graphs": {"inference": {"nodes": nodes}},
        "layer_outputs": layers,
    }


def test_logits_inside_of_a_layer():
    nodes = [node("Matmul", "d", ["x", "w"], "m"), node("Softmax", "d", ["m"], "s")]
    spec = spec_of(nodes, [entry("d", 0, "s")], "s")
    assert find_logits(spec) == [Logits("out0", "Softmax", "m", ("d", 0), None)]


def test_logits_that_are_the_output_of_a_layer():
    nodes = [node("Matmul", "d", ["x", "w"], "m"), node("Sigmoid", "a", ["m"], "s")]
    spec = spec_of(nodes, [entry("d", 0, "k", "m"), entry("a", 0, "s")], "s")
    assert find_logits(spec) == [Logits("out0", "Sigmoid", "m", ("a", 0), (("d", 0), 1))]


def test_followed_back_through_reshapes_and_casts():
    nodes = [
        node("Matmul", "d", ["x", "w"], "m"),
        node("Softmax", "d", ["m"], "s"),
        node("Reshape", "r", ["s"], "t"),
        node("Cast", "", ["t"], "u"),
    ]
    spec = spec_of(nodes, [entry("d", 0, "s"), entry("r", 0, "t")], "u")
    assert find_logits(spec) == [Logits("out0", "Softmax", "m", ("d", 0), None)]


def test_second_call_of_a_shared_layer():
    nodes = [
        node("Matmul", "d", ["x", "w"], "m"),
        node("Sigmoid", "d", ["m"], "s"),
        node("Matmul", "d", ["s", "w"], "m1"),
        node("Sigmoid", "d", ["m1"], "s1"),
    ]
    spec = spec_of(nodes, [entry("d", 0, "s"), entry("d", 1, "s1")], "s1")
    assert find_logits(spec) == [Logits("out0", "Sigmoid", "m1", ("d", 1), None)]


def test_outputs_without_a_saturating_function_have_no_logits():
    nodes = [node("Matmul", "d", ["x", "w"], "m"), node("Relu", "d", ["m"], "r")]
    assert find_logits(spec_of(nodes, [entry("d", 0, "r")], "m", "r", "x")) == []
