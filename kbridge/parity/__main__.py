"""The native side of an isolated check; started by `kbridge.parity.isolated`."""

import sys
from pathlib import Path

from kbridge.parity.isolated import main

if __name__ == "__main__":
    main(Path(sys.argv[1]))
