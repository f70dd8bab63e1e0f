"""The exit codes of `amr-centre`."""

DONE, COULD_NOT, BAD_INPUT = 0, 1, 2
INTERRUPTED = 130  # as a shell has it of Ctrl-C
