"""Which Keras layer is running: the one definition of *scope* that export and parity share.

The scope of a layer call is the path of layer names from the model downwards, joined by ``/``. The
root model's own name is not part of it. The call index counts the calls of one path from 0, in
execution order.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

OnEnter = Callable[["keras.layers.Layer", str, int], None]
OnExit = Callable[["keras.layers.Layer", str, int, Any], Any]

# The hook replaces an attribute of a class that the whole process shares. Re-entrant, so that one
# thread may nest hooks; they are then undone in reverse order.
_LOCK = threading.RLock()


class _ScopeStack:
    """The scopes of the layer calls that are running now, and how often each was called."""

    def __init__(self, root: keras.layers.Layer | None):
        self._root = root
        self._running: list[str] = []
        self._calls: Counter[str] = Counter()

    def push(self, layer: keras.layers.Layer) -> tuple[str, int]:
        scope = self._scope_of(layer)
        call = self._calls[scope]
        self._calls[scope] += 1
        self._running.append(scope)
        return scope, call

    def pop(self) -> None:
        self._running.pop()

    def _scope_of(self, layer: keras.layers.Layer) -> str:
        if not self._running:
            return "" if layer is self._root else layer.name
        parent = self._running[-1]
        return f"{parent}/{layer.name}" if parent else layer.name


@contextlib.contextmanager
def layer_calls(
    root: keras.layers.Layer | None = None,
    on_enter: OnEnter | None = None,
    on_exit: OnExit | None = None,
) -> Iterator[None]:
    """Reports every Keras layer call that this thread makes inside the ``with`` block.

    Works for every backend, and for eager as well as symbolic calls, because it hooks
    `keras.layers.Layer.__call__` itself. Calls of other threads run as usual and are not reported;
    another thread that wants to hook waits until this block ends. An exception in a layer leaves
    its scope without `on_exit`.

    Args:
        root: The model that scopes are told relative to. When the outermost call is this model's,
            its scope is ``""`` and its children start at their own name. A model that is run by
            its `call` method, past `__call__`, gives its children the same scopes.
        on_enter: Called as ``on_enter(layer, scope, call)`` before the layer runs.
        on_exit: Called as ``on_exit(layer, scope, call, outputs)`` after the layer returned; what
            it gives is the call's result, as a rule `outputs`.

    Example:
        >>> with layer_calls(model, on_enter=lambda layer, scope, call: print(scope, call)):
        ...     model(x)
    """
    import keras

    layer_class = keras.layers.Layer
    with _LOCK:
        original = layer_class.__call__
        thread = threading.get_ident()
        stack = _ScopeStack(root)

        @functools.wraps(original)
        def hooked_call(layer: keras.layers.Layer, *args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() != thread:
                return original(layer, *args, **kwargs)
            scope, call = stack.push(layer)
            try:
                if on_enter is not None:
                    on_enter(layer, scope, call)
                outputs = original(layer, *args, **kwargs)
                if on_exit is not None:
                    outputs = on_exit(layer, scope, call, outputs)
                return outputs
            finally:
                stack.pop()

        layer_class.__call__ = hooked_call
        try:
            yield
        finally:
            layer_class.__call__ = original
