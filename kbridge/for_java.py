"""What a Java program asks of Python; ``io.kbridge.KBridgePython`` runs this as a process.

The first line of the standard input is the token that every connection has to show. The answer, one
line on the standard output, is the port on the loopback interface at which a Py4J callback server
listens. The process ends when its standard input does, that is with its parent, however that ends.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from typing import Any

from kbridge import errors

_log = logging.getLogger(__name__)

GREETING = "kbridge-python: "


def export(source: str, bundle: str) -> dict[str, Any]:
    """Exports a model file; returns what was exported."""
    from kbridge.export.exporter import export as export_model

    report = export_model(source, bundle)
    return {
        "model": report.model_name,
        "operations": report.nodes,
        "weights": report.weights,
        "weight_bytes": report.weight_bytes,
        "notes": report.notes,
    }


def check(source: str, bundle: str) -> dict[str, Any]:
    """Checks a bundle against the model file; returns the report."""
    from kbridge.parity.check import check as check_model

    return check_model(source, bundle=bundle).to_dict()


METHODS = {"export": export, "check": check}


class Side:
    """The entry point: one request at a time, JSON in and out."""

    class Java:
        """Tells Py4J which Java interface this is."""

        implements = ("io.kbridge.PythonProcess$Side",)

    def __init__(self) -> None:
        # NB: an export patches Keras while it runs.
        self._lock = threading.Lock()

    def call(self, request: str) -> str:
        """Does what is asked.

        Args:
            request: A JSON object: ``method``, one of `METHODS`, and its arguments.

        Returns:
            A JSON object: ``value``, or ``error`` with a ``code`` of Java's and a ``message``.
        """
        asked = json.loads(request)
        try:
            with self._lock:
                return json.dumps({"value": METHODS[asked.pop("method")](**asked)})
        except errors.KBridgeError as e:
            return json.dumps({"error": {"code": e.code or "PYTHON_FAILED", "message": str(e)}})
        except Exception as e:  # noqa: BLE001 (the other side is to be told, whatever it is)
            _log.exception("a request failed")
            told = f"Expected no error of this kind from Python. Received: {e!r}."
            return json.dumps({"error": {"code": "INTERNAL", "message": told}})


def main() -> None:
    """Serves until the standard input ends."""
    from py4j.java_gateway import CallbackServerParameters, JavaGateway, server_started

    token = sys.stdin.readline().strip()
    parameters = CallbackServerParameters(
        address="127.0.0.1",
        port=0,
        daemonize=True,
        daemonize_connections=True,
        auth_token=token,
    )
    if not token:
        raise SystemExit("Expected a token. This is started by io.kbridge.KBridgePython.")
    # NB: the server has a port before it listens, in a thread of its own.
    listening = threading.Event()
    server_started.connect(lambda **_: listening.set())
    gateway = JavaGateway(callback_server_parameters=parameters, python_server_entry_point=Side())
    listening.wait()
    port = gateway.get_callback_server().get_listening_port()
    print(f"{GREETING}{port}", flush=True)
    while sys.stdin.readline():
        continue
    # NB: at once: what is at work must not hold the end up.
    os._exit(0)


if __name__ == "__main__":
    main()
