"""Start of the command. `--version` is answered before anything heavy is imported."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and exit with its code."""
    if sys.argv[1:] == ["--version"]:
        from stack import __version__
        from stack.host import output

        sys.exit(0 if output.answer(f"sovstack {__version__}") else 3)
    from stack.cli import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
