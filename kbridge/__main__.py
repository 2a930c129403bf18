"""``python -m kbridge`` is the same as ``kbridge``."""

from kbridge.cli import main

main()
