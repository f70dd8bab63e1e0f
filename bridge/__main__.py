"""`amr-bridge`, and `python -m bridge`."""

import sys

INTERRUPTED = 130  # as a shell says of a command that Ctrl-C has ended


def console() -> None:
    """Run the command line, and end the process with its exit code."""
    try:
        from bridge.commands import main  # late: Ctrl-C during an import is no traceback, either

        code = main(sys.argv[1:])
    except KeyboardInterrupt:
        code = INTERRUPTED
    sys.exit(code)


if __name__ == "__main__":
    console()
