"""Start `amr-bridge`, or say in a sentence which extra is missing."""

import sys

INTERRUPTED = 130  # as a shell says of a command that Ctrl-C has ended


def console() -> None:
    """Run the command line, and end the process with its exit code; 2 where the extra `bridge` is missing."""
    try:
        from bridge.commands import main  # late: Ctrl-C during an import is no traceback, either
        from bridge.commands.printing import run_printing

        code = run_printing("amr-bridge", lambda: main(sys.argv[1:]))
    except KeyboardInterrupt:
        code = INTERRUPTED
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] in ("bridge", "wire"):
            raise
        print(f"amr-bridge: {missing.name} is not installed: pip install '.[bridge]'", file=sys.stderr)
        code = 2
    sys.exit(code)


if __name__ == "__main__":
    console()
