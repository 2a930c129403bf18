"""``python -m kbridge.cli`` is the same as ``kbridge``."""

from kbridge.cli import main

main()
