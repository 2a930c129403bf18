"""The exporter's flat graph: values, nodes, and the builder that names and collects them."""

from __future__ import annotations

import contextlib
import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras.src import backend

from kbridge import errors


@dataclasses.dataclass(eq=False)
class Value:
    """Something a node can read.

    Attributes:
        name: Its name in the spec's one name space.
        shape: Sizes; while traces are compared all of them are integers, None where they differ.
        dtype: Keras's name of the element type.
        kind: "input", "weight", "constant" or "node".
        data: A constant's value.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str
    kind: str
    data: Any = None

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)


@dataclasses.dataclass(eq=False)
class Node:
    """One operation of the graph; see docs/bundle-format.md, section 4."""

    name: str
    op: str
    scope: str
    inputs: list[Value | None]
    attrs: dict[str, Any]
    outputs: list[Value]


@dataclasses.dataclass(eq=False)
class Body:
    """The graph of a loop's step or of a branch; it may also read values of the graph around it.

    Attributes:
        name: Its key in the spec's ``graphs``.
        inputs: What is bound before each run.
        nodes: The operations.
        outputs: What a run gives.
    """

    name: str
    inputs: list[Value]
    nodes: list[Node]
    outputs: list[Value] = dataclasses.field(default_factory=list)

    def captured(self) -> list[Value]:
        """Values of the graph around it that the body reads, in the order of their first use."""
        own = {v.name for v in self.inputs}
        own |= {v.name for node in self.nodes for v in node.outputs}
        read = [v for node in self.nodes for v in node.inputs if v is not None] + self.outputs
        return list({v.name: v for v in read if v.name not in own}.values())


@dataclasses.dataclass(eq=False)
class LayerOutput:
    """Which values one call of a layer gave."""

    scope: str
    call: int
    class_name: str
    values: list[Value]


class GraphBuilder:
    """Collects the nodes of one graph and knows which value stands for which Keras object."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.bodies: dict[str, Body] = {}
        self.values: dict[str, Value] = {}
        self.variables: dict[str, keras.Variable] = {}
        self.scope = ""
        self.depth = 0
        self._names: Counter[str] = Counter()
        self._by_tensor: dict[int, Value] = {}
        # NB: a Python id is only unique while its object lives, so all objects are kept.
        self._alive: list[Any] = []

    def add(self, value: Value) -> Value:
        """Enters a value under its name."""
        self.values[value.name] = value
        self._names[value.name] += 1
        return value

    def bind(self, tensor: Any, value: Value) -> None:
        """Lets a Keras object (symbolic tensor, array) stand for a value."""
        self._alive.append(tensor)
        self._by_tensor[id(tensor)] = value

    def value_of(self, obj: Any, dtype: str | None = None) -> Value:
        """Returns the value that an operand stands for, entering constants on their first use.

        Args:
            obj: Symbolic tensor, array, backend tensor or Python scalar.
            dtype: Element type for a Python scalar or list.
        """
        if id(obj) in self._by_tensor and not isinstance(obj, (bool, int, float)):
            return self._by_tensor[id(obj)]
        if isinstance(obj, keras.KerasTensor):
            raise errors.ExportError(
                "Expected every tensor to come from the model's inputs, weights or constants. "
                f"Received: {obj} in {self.scope or 'the model'!r}, a symbolic tensor made "
                "elsewhere. Pass it to the layer as an input."
            )
        if isinstance(obj, (bool, int, float)):
            return self._scalar(obj, dtype or _scalar_dtype(obj))
        array = _as_array(obj, dtype)
        if array.ndim == 0 and array.dtype.kind in "bif":
            return self._scalar(array.item(), array.dtype.name)
        value = self.add(
            Value(self.unique("const"), array.shape, array.dtype.name, "constant", array)
        )
        self.bind(obj, value)
        return value

    def emit(
        self,
        op: str,
        inputs: Sequence[Value | None],
        attrs: dict[str, Any],
        *specs: tuple[Sequence[int], str],
    ) -> list[Value]:
        """Appends a node and returns its outputs.

        Args:
            op: Operation class name.
            inputs: Operands; trailing Nones are left out.
            attrs: Normalised attributes.
            *specs: Shape and dtype of each output.
        """
        inputs = list(inputs)
        while inputs and inputs[-1] is None:
            inputs.pop()
        name = self.unique(f"{self.scope}/{op}" if self.scope else op)
        outputs = [
            self.add(Value(name if i == 0 else f"{name}:{i}", tuple(shape), dtype, "node"))
            for i, (shape, dtype) in enumerate(specs)
        ]
        self.nodes.append(Node(name, op, self.scope, inputs, attrs, outputs))
        return outputs

    @contextlib.contextmanager
    def body(self, name: str, inputs: Sequence[tuple[Any, str]]) -> Iterator[Body]:
        """Collects the nodes emitted in the block as the body of a loop.

        Args:
            name: What the body is called, made unique.
            inputs: Symbolic tensors to bind on each step, with a name for each.
        """
        prefix = self.unique(f"{self.scope}/{name}" if self.scope else name)
        self._names[prefix] += 1
        values = []
        for tensor, short in inputs:
            value = Value(
                self.unique(f"{prefix}/{short}"), tuple(tensor.shape), tensor.dtype, "node"
            )
            self.bind(tensor, self.add(value))
            values.append(value)
        outer, body = self.nodes, Body(prefix, values, [])
        self.nodes = body.nodes
        self.depth += 1
        try:
            yield body
        finally:
            self.nodes = outer
            self.depth -= 1
        self.bodies[prefix] = body

    def bodies_of(self, node: Node) -> list[Body]:
        """The graphs a node of control flow runs, in the order its attributes name them."""
        names = [node.attrs["body"]] if "body" in node.attrs else node.attrs.get("bodies", [])
        return [self.bodies[name] for name in names]

    def all_nodes(self, nodes: Sequence[Node] | None = None) -> list[Node]:
        """The nodes of the graph in the order they run, those of a node's bodies before it."""
        found: list[Node] = []
        for node in self.nodes if nodes is None else nodes:
            for body in self.bodies_of(node):
                found += self.all_nodes(body.nodes)
            found.append(node)
        return found

    def cast(self, value: Value, dtype: str) -> Value:
        """Returns `value` in `dtype`, through a Cast node where that changes anything."""
        if value.dtype == dtype:
            return value
        return self.emit("Cast", [value], {"dtype": dtype}, (value.shape, dtype))[0]

    def reshape(self, value: Value, shape: Sequence[int]) -> Value:
        """Returns `value` in another shape."""
        attrs = {"newshape": list(shape)}
        return self.emit("Reshape", [value], attrs, (tuple(shape), value.dtype))[0]

    def size(self, size: Any) -> Value:
        """Returns an integer that may depend on sizes as a value of shape (1,)."""
        attrs = {"start": size, "stop": size + 1, "step": 1, "dtype": "int32"}
        return self.emit("Arange", [], attrs, ((1,), "int32"))[0]

    def unique(self, name: str) -> str:
        """Returns `name`, with a number behind it if it is taken."""
        if name not in self._names:
            return name
        while True:
            candidate = f"{name}_{self._names[name]}"
            self._names[name] += 1
            if candidate not in self._names:
                return candidate

    def _scalar(self, number: bool | int | float, dtype: str) -> Value:
        # NB: a scalar is taken in its own dtype (0.1 in float32 is not 0.1 in float64).
        number = bool(number) if dtype == "bool" else float(number) if "float" in dtype else number
        name = f"scalar_{dtype}_{number!r}"
        if name in self.values:
            return self.values[name]
        return self.add(Value(name, (), dtype, "constant", number))


def _scalar_dtype(number: bool | int | float) -> str:
    """The dtype Keras gives a Python number that stands alone."""
    if isinstance(number, bool):
        return "bool"
    return "int32" if isinstance(number, int) else backend.floatx()


def _as_array(obj: Any, dtype: str | None) -> np.ndarray:
    if isinstance(obj, (list, tuple)):
        array = np.asarray(obj)
        if dtype is None and array.dtype.kind in "if":
            dtype = "int32" if array.dtype.kind == "i" else backend.floatx()
        return array if dtype is None else array.astype(dtype)
    return np.asarray(backend.convert_to_numpy(obj))
