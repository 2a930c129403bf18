"""Pictures of graphs."""

from __future__ import annotations

import re
import shutil

import pydot
import pytest

from kbridge import errors
from kbridge.bundle import read_bundle
from kbridge.plot import draw, plot, quoted


def tree(graph):
    """The boxes of a picture with their labels, nested."""
    found = {}
    for box in graph.get_subgraphs():
        found[box.get_label().strip('"')] = (
            sorted(str(node.get_label()).strip('"').split("\\n")[0] for node in box.get_nodes()),
            tree(box),
        )
    return found


@pytest.fixture
def spec(files):
    with read_bundle(files.bundle) as bundle:
        return bundle.spec


def test_layers_are_nested_boxes_per_call(spec):
    ops = ["Add", "Matmul", "Relu"]
    assert tree(draw(spec)) == {
        "inner": ([], {"d1": (ops, {})}),
        "inner (call 1)": ([], {"d1 (call 1)": (ops, {})}),
        "top": (["Add", "Matmul", "Softmax"], {}),
    }


def test_layers_as_nodes(spec):
    graph = draw(spec, layers=True)
    assert tree(graph) == {
        "inner": (["d1"], {}),
        "inner (call 1)": (["d1 (call 1)"], {}),
    }
    text = graph.to_string()
    assert r"top\nDense\nMatmul, Add, Softmax\nkernel [4, 3]\nbias [3]" in text


def test_arrows_say_shapes_and_dtypes_and_lead_from_input_to_output(spec):
    for layers in (False, True):
        graph = draw(spec, layers)
        arrows = {(e.get_source(), e.get_destination()): e.get_label() for e in graph.get_edges()}
        assert '" [?, 4] float32"' in arrows.values()
        assert '" [?, 3] float32"' in arrows.values()
        reached, frontier = set(), {"input0"}
        while frontier:
            reached |= frontier
            frontier = {to for source, to in arrows if source in frontier} - reached
        assert "output0" in reached
        nodes = {n for pair in arrows for n in pair}
        assert nodes == reached


def test_constants_are_told(spec):
    assert r"Multiply\nconstant 2.0" in draw(spec).to_string()


@pytest.mark.parametrize("text", ['a"b', "a\\b", "a\\", "<b>", "new\nline", "{x|y}", "é"])
def test_any_text_is_quoted(text, tmp_path):
    graph = pydot.Dot("g")
    graph.add_node(pydot.Node("n", label=quoted(text)))
    svg = graph.create(prog="dot", format="svg").decode("utf-8")
    shown = re.findall(r"<text[^>]*>([^<]*)</text>", svg)
    unescaped = [
        s.replace("&quot;", '"').replace("&lt;", "<").replace("&gt;", ">").replace("&#45;", "-")
        for s in shown
    ]
    assert "\n".join(unescaped) == text


@pytest.mark.parametrize(
    ("form", "start"),
    [("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF"), ("dot", b"digraph")],
)
def test_formats(files, tmp_path, form, start):
    target = tmp_path / f"graph.{form}"
    plot(files.bundle, target)
    assert target.read_bytes().startswith(start)
    assert [p.name for p in tmp_path.iterdir()] == [target.name]


def test_missing_graphviz(files, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(errors.MissingPackageError, match="apt-get install graphviz"):
        plot(files.bundle, tmp_path / "graph.svg")
    plot(files.bundle, tmp_path / "graph.dot")
    assert [p.name for p in tmp_path.iterdir()] == ["graph.dot"]


def test_command(cli, files, tmp_path):
    target = tmp_path / "graph.svg"
    assert str(target) in cli("plot", files.bundle, target, "--layers").output.replace("\n", "")
    assert target.stat().st_size > 1000
