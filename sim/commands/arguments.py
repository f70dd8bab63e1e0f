"""What several commands read from the command line."""

import argparse

Commands = "argparse._SubParsersAction[argparse.ArgumentParser]"


def share(text: str) -> float:
    """Read a share of packets, from 0 to 1."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError("a share of packets lies between 0 and 1")
    return value


def seconds(text: str) -> float:
    """Read a time limit in seconds."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError("a time limit is more than 0 seconds")
    return value


def count(text: str) -> int:
    """Read a number of at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return value
