"""What all tests stand on."""

import signal

# Whoever runs them in the background of a shell has SIGINT ignored, and so would every program that they
# start: Ctrl-C would end none.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
