"""``python -m recbole_logq``."""

import sys

from recbole_logq.cli import main

if __name__ == "__main__":
    sys.exit(main())
