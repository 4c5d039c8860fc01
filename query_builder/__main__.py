"""``python -m query_builder``: Ctrl-C is one line even while the program is still being imported."""

import sys


def _main() -> int:
    try:
        from query_builder.cli import main
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
    return main()


if __name__ == "__main__":
    sys.exit(_main())
