"""Drawing a bundle's graph with GraphViz: layers as nested boxes, operations as nodes."""

from __future__ import annotations

import bisect
import json
import os
import shutil
import tempfile
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pydot

from kbridge import errors
from kbridge.bundle import read_bundle
from kbridge.inspection import shape_text

FORMATS = ("svg", "png", "pdf", "dot")

_INK, _LINE, _FAINT, _NODE, _END = "#1e293b", "#64748b", "#cbd5e1", "#ffffff", "#d1fae5"
_BOXES = ("#e2e8f0", "#f1f5f9")  # of even and odd depth
_FONT = "Helvetica,Arial,sans-serif"
# Attributes that say what an operation does; the rest would only fill the picture.
_TELLING = (
    *("strides", "padding", "pool_size", "dilation_rate", "groups", "axis", "newshape", "axes"),
    *("key", "dtype", "subscripts", "negative_slope", "size", "interpolation"),
)

Chain = tuple[tuple[str, int], ...]
"""The layers around something, outermost first: scope and call of each."""


def plot(bundle: str | os.PathLike, target: str | os.PathLike, layers: bool = False) -> None:
    """Draws the inference graph of a bundle.

    Args:
        bundle: The bundle.
        target: The picture; its ending says the format: svg, png, pdf, or dot for the source.
        layers: Whether each layer is one node that lists its operations. Better for big models.

    Raises:
        OptionError: The ending is none of these.
        MissingPackageError: GraphViz is not installed.
        BundleNotFoundError: There is no such bundle.
        BundleFormatError: It is no bundle, or damaged.
    """
    target = Path(target)
    form = target.suffix.lstrip(".").lower()
    if form not in FORMATS:
        raise errors.OptionError(
            f"Expected a file name that ends in {', '.join(f'.{name}' for name in FORMATS)}. "
            f"Received: {str(target)!r}. The ending says the format."
        )
    with read_bundle(bundle) as opened:
        graph = draw(opened.spec, layers)
    if form == "dot":
        _publish(target, graph.to_string().encode("utf-8"))
        return
    if shutil.which("dot") is None:
        raise errors.MissingPackageError(
            "Expected GraphViz's program 'dot', which lays out the picture. Received: no such "
            "program. Install it (sudo apt-get install graphviz), or write the source with a name "
            "that ends in .dot and draw it elsewhere."
        )
    _publish(target, graph.create(prog="dot", format=form))


def draw(spec: Mapping[str, Any], layers: bool = False) -> pydot.Dot:
    """Returns the inference graph of a spec as a GraphViz graph; see `plot`."""
    groups = _layer_groups(spec) if layers else _op_groups(spec)
    return _Drawing(spec, groups).graph


@dataclass
class _Group:
    """Operations that are drawn as one node, the layers around it, and what it says."""

    boxes: Chain
    title: str
    scope: str = ""
    nodes: list[Mapping[str, Any]] = field(default_factory=list)


def _op_groups(spec: Mapping[str, Any]) -> list[_Group]:
    chains = _chains(spec)
    nodes = spec["graphs"]["inference"]["nodes"]
    return [
        _Group(chain, _op_title(node), nodes=[node])
        for chain, node in zip(chains, nodes, strict=True)
    ]


def _layer_groups(spec: Mapping[str, Any]) -> list[_Group]:
    """One group per layer call; a layer that computes itself takes its sublayers with it."""
    nodes = spec["graphs"]["inference"]["nodes"]
    computing = {node["scope"] for node in nodes}
    classes = {layer["path"]: layer["class_name"] for layer in spec["layers"]}
    groups: dict[Any, _Group] = {}
    for index, (chain, node) in enumerate(zip(_chains(spec), nodes, strict=True)):
        depth = next((i for i, (scope, _) in enumerate(chain) if scope in computing), None)
        key = index if depth is None else chain[: depth + 1]
        if key not in groups:
            title = _op_title(node)
            if depth is not None:
                scope, call = chain[depth]
                title = "\n".join(filter(None, (_label(scope, call), classes.get(scope, ""))))
            groups[key] = _Group(chain[:depth], title, "" if depth is None else chain[depth][0])
        groups[key].nodes.append(node)
    for key, group in groups.items():
        if isinstance(key, tuple):
            ops = Counter(node["op"] for node in group.nodes)
            listed = ", ".join(op if n == 1 else f"{op} x{n}" for op, n in ops.items())
            group.title += "\n" + textwrap.fill(listed, 40)
    return list(groups.values())


def _chains(spec: Mapping[str, Any]) -> list[Chain]:
    """For each node, the layer calls around it."""
    nodes = spec["graphs"]["inference"]["nodes"]
    position = {out["name"]: i for i, node in enumerate(nodes) for out in node["outputs"]}
    ends: dict[str, list[int]] = {}
    for entry in spec["layer_outputs"]:
        made = [position[name] for name in entry["values"] if name in position]
        ends.setdefault(entry["scope"], []).append(max(made, default=-1))
    chains = []
    for index, node in enumerate(nodes):
        parts = node["scope"].split("/") if node["scope"] else []
        scopes = ["/".join(parts[: i + 1]) for i in range(len(parts))]
        # NB: a call of a shared layer ends with the node that makes its last output.
        chains.append(tuple((s, bisect.bisect_left(ends.get(s, []), index)) for s in scopes))
    return chains


def _op_title(node: Mapping[str, Any]) -> str:
    attrs = [f"{name}: {_short(node['attrs'][name])}" for name in _TELLING if name in node["attrs"]]
    return "\n".join([node["op"], *attrs])


def _short(value: Any) -> str:
    text = json.dumps(value).replace('"', "")
    return text if len(text) <= 40 else f"{text[:40]}..."


def _label(scope: str, call: int) -> str:
    return scope.rsplit("/", 1)[-1] + (f" (call {call})" if call else "")


class _Drawing:
    """Builds the picture: boxes, nodes, arrows, the model's inputs and outputs."""

    def __init__(self, spec: Mapping[str, Any], groups: list[_Group]):
        self._spec = spec
        self.graph = _new_graph(spec["name"])
        self._boxes: dict[Chain, pydot.Graph] = {(): self.graph}
        self._types = dict(_types(spec))
        self._makers: dict[str, str] = {}
        self._drawn: set[tuple[str, str, str]] = set()
        for i, tensor in enumerate(spec["inputs"]):
            self._add_end(f"input{i}", tensor["name"])
            self._makers[tensor["name"]] = f"input{i}"
        for i, group in enumerate(groups):
            self._add_group(f"n{i}", group)
        for i, group in enumerate(groups):
            self._connect(f"n{i}", [name for node in group.nodes for name in node["inputs"]])
        for i, tensor in enumerate(spec["outputs"]):
            self._add_end(f"output{i}", tensor["name"])
            self._connect(f"output{i}", [tensor["value"]])
        # NB: pydot copies a box into its parent, so the innermost have to go first.
        for chain in sorted(self._boxes, key=len, reverse=True)[:-1]:
            self._boxes[chain[:-1]].add_subgraph(self._boxes[chain])

    def _add_end(self, name: str, label: str) -> None:
        node = pydot.Node(name, label=quoted(label), shape="ellipse", fillcolor=quoted(_END))
        self.graph.add_node(node)

    def _add_group(self, name: str, group: _Group) -> None:
        label = "\n".join([group.title, *self._operands(group)])
        self._box(group.boxes).add_node(pydot.Node(name, label=quoted(label)))
        for node in group.nodes:
            self._makers.update((output["name"], name) for output in node["outputs"])

    def _connect(self, to: str, values: Iterable[str | None]) -> None:
        for value in values:
            maker, label = self._makers.get(value), self._types.get(value, "")
            # NB: what passes between two nodes more than once needs one arrow only.
            if maker is None or maker == to or (maker, to, label) in self._drawn:
                continue
            self._drawn.add((maker, to, label))
            self.graph.add_edge(pydot.Edge(maker, to, label=quoted(f" {label}")))

    def _box(self, chain: Chain) -> pydot.Graph:
        for depth in range(1, len(chain) + 1):
            if chain[:depth] not in self._boxes:
                self._boxes[chain[:depth]] = pydot.Cluster(
                    f"b{len(self._boxes)}",
                    label=quoted(_label(*chain[depth - 1])),
                    style=quoted("rounded,filled"),
                    fillcolor=quoted(_BOXES[depth % 2]),
                    color=quoted(_FAINT),
                    fontname=quoted(_FONT),
                    fontcolor=quoted(_LINE),
                    fontsize="10",
                    labeljust="l",
                )
        return self._boxes[chain]

    def _operands(self, group: _Group) -> list[str]:
        """The weights that a group reads; for a single operation, its constants too."""
        weights, constants = self._spec["weights"], self._spec["constants"]
        scope = group.nodes[0]["scope"] if len(group.nodes) == 1 else group.scope
        lines = []
        for name in dict.fromkeys(n for node in group.nodes for n in node["inputs"]):
            if name in weights:
                short = name.removeprefix(f"{scope}/")
                lines.append(f"{short} {shape_text(weights[name]['shape'])}")
            elif name in constants and len(group.nodes) == 1:
                told = constants[name].get("value", shape_text(constants[name]["shape"]))
                lines.append(f"constant {told}")
        return lines


def _new_graph(title: str) -> pydot.Dot:
    common = {"fontname": quoted(_FONT), "fontcolor": quoted(_INK), "color": quoted(_LINE)}
    graph = pydot.Dot(
        "model",
        graph_type="digraph",
        label=quoted(title),
        labelloc="t",
        fontname=quoted(_FONT),
        fontcolor=quoted(_INK),
        ranksep="0.35",
        nodesep="0.3",
    )
    graph.set_node_defaults(
        shape="box",
        style=quoted("rounded,filled"),
        fillcolor=quoted(_NODE),
        fontsize="10",
        margin=quoted("0.14,0.07"),
        **common,
    )
    graph.set_edge_defaults(fontsize="8", arrowsize="0.6", **common)
    return graph


def _types(spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Shape and dtype of everything that an arrow can stand for."""
    for node in spec["graphs"]["inference"]["nodes"]:
        for tensor in node["outputs"]:
            yield tensor["name"], f"{shape_text(tensor['shape'])} {tensor['dtype']}"
    for tensor in spec["inputs"]:
        yield tensor["name"], f"{shape_text(tensor['shape'])} {tensor['dtype']}"


def quoted(text: str) -> str:
    """Returns any text as a GraphViz string; names come from the model and can hold anything."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _publish(target: Path, content: bytes) -> None:
    """Writes the picture whole or not at all."""
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
