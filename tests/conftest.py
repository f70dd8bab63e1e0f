"""What all tests stand on."""

import os
import signal
import sys

# Whoever runs them in the background of a shell has SIGINT ignored, and so would every program that they
# start: Ctrl-C would end none.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Where bytecode is not kept (as in many containers), each worker and each program that a test starts would
# compile everything anew.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
