"""Start `amr-sim`, or say in a sentence which extra is missing."""

import sys


def console() -> None:
    """Run the command line; exit code 2 where a library of the extra `sim` is not installed."""
    try:
        from sim.app import console as run

        run()
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] in ("sim", "wire"):
            raise
        print(f"amr-sim: {missing.name} is not installed: pip install '.[sim]'", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    console()
