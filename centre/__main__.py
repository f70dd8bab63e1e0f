"""Start `amr-centre`, or say in a sentence which extra is missing."""

import sys


def console() -> None:
    """Run the command line; exit code 2 where a library of the extra `centre` is not installed."""
    try:
        from centre.commands import console as run

        run()
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] in ("centre", "wire"):
            raise
        print(f"amr-centre: {missing.name} is not installed: pip install '.[centre]'", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    console()
