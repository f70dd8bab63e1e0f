"""What all tests stand on."""

import gc
import os
import random
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests import parts

# What is slow on a busy machine is not wrong; and what failed is printed so that it can be replayed.
settings.register_profile("house", deadline=None, print_blob=True)
settings.load_profile("house")

# Whoever runs them in the background of a shell has SIGINT ignored, and so would every program that they
# start: Ctrl-C would end none.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Where bytecode is not kept (as in many containers), each worker and each program that a test starts would
# compile everything anew.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.fixture(autouse=True)
def _ends() -> Iterator[None]:
    """Close, when a test is over, what its parts have opened for it."""
    with parts.at_end:
        yield


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out what takes seconds to collect, in each worker, where no slow test is wanted."""
    return True if collection_path.name == "fuzz" and "not slow" in config.getoption("markexpr") else None


def pytest_collection_finish() -> None:
    """Spare what was collected, which lives to the end, from being looked at in every search for garbage."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put those of the slow tests first in which real time passes, and those last that only compute.

    The first are mixed, so that not all begin their programs at the same moment; the last come last so that
    they take no processor from the others.
    """
    slow = [item for item in items if item.get_closest_marker("slow")]
    waits = [item for item in slow if not item.get_closest_marker("computes")]
    random.Random(1).shuffle(waits)
    quick = [item for item in items if item not in slow]
    items[:] = quick + waits + [item for item in slow if item not in waits]
