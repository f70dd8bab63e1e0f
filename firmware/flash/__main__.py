"""Start `amr-button`, or say in a sentence which extra is missing."""

import sys


def console() -> None:
    """Run the command line; exit code 2 where a library of the extra `flash` is not installed."""
    try:
        from firmware.flash.app import console as run

        run()
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] in ("firmware", "wire"):
            raise
        print(f"amr-button: {missing.name} is not installed: pip install '.[flash]'", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    console()
