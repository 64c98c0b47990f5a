"""``python -m gpupipe``: the command line without its script."""

import sys

from gpupipe.cli import main

if __name__ == "__main__":
    sys.exit(main())
