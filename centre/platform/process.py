"""What a process of ours forbids the system: its memory holds every key."""

import ctypes
import resource

_PR_SET_DUMPABLE = 4  # prctl(2)


def keep_memory_private() -> None:
    """Leave no core file, and let no other process of the same user look into the memory."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    prctl = getattr(ctypes.CDLL(None), "prctl", None)  # of Linux
    if prctl is not None:
        prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
