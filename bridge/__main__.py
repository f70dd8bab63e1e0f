"""Start `amr-bridge`, or say in a sentence which extra is missing."""

import sys


def console() -> None:
    """Run the command line; exit code 2 where a library of the extra `bridge` is not installed."""
    try:
        from bridge.app import console as run

        run()
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] in ("bridge", "wire"):
            raise
        print(f"amr-bridge: {missing.name} is not installed: pip install '.[bridge]'", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    console()
