"""Calls through a Py4J gateway: one entry point, one method, text in and text out."""

from __future__ import annotations

import os
import weakref
from collections import deque
from typing import Any

from kbridge import errors

_gateways: weakref.WeakSet[Gateway] = weakref.WeakSet()


class Disconnected(Exception):
    """The other side is gone; the text says how it was noticed."""


class TookTooLong(Exception):
    """The other side has not answered in time."""


class Gateway:
    """Connections to a gateway on this machine; as many as there are calls at once.

    Args:
        port: Where it listens, on the loopback interface.
        token: What every connection shows.
        timeout: Seconds that a call may take; None for no limit.

    Raises:
        MissingPackageError: The package py4j is not installed.
    """

    def __init__(self, port: int, token: str, timeout: float | None):
        _py4j()
        from py4j.java_gateway import GatewayParameters

        self._parameters = GatewayParameters(
            address="127.0.0.1", port=port, auth_token=token, read_timeout=timeout
        )
        self._idle: deque[Any] = deque()
        _gateways.add(self)

    def call(self, method: str, text: str) -> str:
        """Calls a method of the entry point, from any thread.

        Raises:
            Disconnected: There is nobody there.
            TookTooLong: There is no answer yet, and nobody waits for it any more.
            JvmProcessError: It wants another token.
        """
        from py4j import protocol

        command = "\n".join(
            (
                protocol.CALL_COMMAND_NAME + protocol.ENTRY_POINT_OBJECT_ID,
                method,
                protocol.get_command_part(text) + protocol.END_COMMAND_PART,
            )
        )
        connection = None
        try:
            connection = self._idle.pop() if self._idle else self._connect()
            answer = connection.send_command(command)
        except protocol.Py4JNetworkError as e:
            _drop(connection)
            if isinstance(e.cause, TimeoutError):
                raise TookTooLong from e
            raise Disconnected(str(e.cause or e)) from e
        except BaseException:  # NB: Ctrl-C; the answer to come must not be taken for another's.
            _drop(connection)
            raise
        self._idle.append(connection)
        return str(protocol.get_return_value(answer, None, "t", method))

    def close(self) -> None:
        """Ends the connections that nobody uses."""
        while self._idle:
            _drop(self._idle.pop())

    def disown(self) -> None:
        """Lets the connections go, in a process forked from the one they belong to."""
        # NB: py4j shuts a connection down when it is collected, and that ends it on both sides.
        while self._idle:
            connection = self._idle.pop()
            os.close(connection.socket.detach())

    def _connect(self) -> Any:
        from py4j import protocol
        from py4j.java_gateway import GatewayConnection

        connection = GatewayConnection(self._parameters)
        try:
            connection.start()
        except protocol.Py4JAuthenticationError as e:
            raise errors.JvmProcessError(
                f"Expected the token that the JVM behind port {self._parameters.port} was started "
                "with. Received: another one. A JVM answers only to the process that started it."
            ) from e
        return connection


def _drop(connection: Any) -> None:
    if connection is not None and connection.is_connected:
        connection.close(reset=True)


def _py4j() -> None:
    try:
        import py4j.java_gateway
    except ImportError as e:
        raise errors.MissingPackageError(
            "Expected the Python package py4j, through which a JVM in a process of its own is "
            f"spoken to. Received: {e}. Install it: pip install 'kbridge[process]'"
        ) from e
    del py4j


def _after_fork() -> None:
    for gateway in list(_gateways):
        gateway.disown()
    _gateways.clear()


os.register_at_fork(after_in_child=_after_fork)
