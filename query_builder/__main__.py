"""``python -m query_builder``."""

import sys

from query_builder.cli import main

if __name__ == "__main__":
    sys.exit(main())
