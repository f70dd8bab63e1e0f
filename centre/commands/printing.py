"""What a command prints: on a terminal of any encoding, and where nobody reads on."""

import contextlib
import io
import os
import sys
from collections.abc import Callable
from typing import Any, TextIO, cast


class GuardedOutput:
    """Write to a stream; where it takes no more, the act goes on, and `error` says why not."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.error: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write it, if anything is still taken."""
        self._guard(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Write what waits."""
        self._guard(self._stream.flush)

    def _guard(self, write: Callable[[], object]) -> None:
        if self.error is not None:
            return
        try:
            write()
        except OSError as error:
            self.error = error
            with contextlib.suppress(OSError, ValueError):  # else Python tries once more at its end
                os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())


def run_printing(program: str, command: Callable[[], int]) -> int:
    """Run the command, and return its exit code, whatever becomes of what it prints.

    What the terminal's encoding has no letter for is an escape; where nobody reads on, nothing is said.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    output = GuardedOutput(sys.stdout)
    try:
        with contextlib.redirect_stdout(cast(TextIO, output)):
            return command()
    finally:
        output.flush()
        if output.error is not None and not isinstance(output.error, BrokenPipeError):
            print(f"{program}: cannot write to stdout: {output.error.strerror}", file=sys.stderr)
