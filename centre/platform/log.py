"""The centre's program log: JSON lines on stdout for programs, or plain English on stderr for people.

A line goes into a bounded queue, and a thread writes it: whoever reads us may stand still for as
long as they like, and no alarm waits. What does not fit any more is counted, and told (`dropped`) when they
read again.
"""

import contextlib
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue
from typing import Any, TextIO

from centre.platform import json_text
from wire import codes

# Every event, and how it reads. docs/centre.md lists the same.
EVENTS = {
    "listening": "serving at {url}\n  page: amr-centre console LOGIN\n  CA: {ca}\n  SHA-256: {ca_sha256}",
    "received": "{name} {counter} of {device_id} is on disk as incident {incident}{again}",
    "acknowledged": "{name} {counter} of {device_id}: incident {incident} has been acknowledged",
    "dispatched": "{name} {counter} of {device_id}: help has been sent to incident {incident}",
    "closed": "{name} {counter} of {device_id}: incident {incident} has been closed ({reason})",
    "desk_checked": "{device_id}: test alarm {incident} was seen at a desk (sound: {sound})",
    "fixes": "{stored} position(s) of {device_id} are on disk for incident {incident}",
    "called_off": "press {counter} of {device_id}, incident {incident}, was called off{again}",
    "escalated": "ALARM {counter} of {device_id}: nobody has taken incident {incident}",
    "losses": "supervision: {found} lost, {ended} found again",
    "refused": "refused {count} time(s): {reason}",
    "trouble": "trouble ({reason}): {text}",
    "dropped": "{count} line(s) of this log were not written: nobody read them",
}
LINES_MAX = 10_000  # that wait to be written
CLOSE_S_MAX = 1.0


def now_ms() -> float:
    """Return the time in ms since 1970, three decimals."""
    return round(time.time() * 1000, 3)


class LineWriter:
    """A bounded queue of lines, and the thread that writes them to a stream. Close it, or lose its end."""

    def __init__(
        self, stream: TextIO, dropped_line: Callable[[int], str], lines_max: int = LINES_MAX
    ) -> None:
        """`dropped_line(count)` is written once lines are taken again, where `count` of them were not."""
        self._stream, self._dropped_line, self._lines_max = stream, dropped_line, lines_max
        self._lines: SimpleQueue[str | None] = SimpleQueue()  # None: the end
        # Two counts, each with one writer: of what found no place, and of what could not be written.
        self._refused_count = self._failed_count = 0
        # A daemon: a write into a pipe that nobody reads never returns, and the process must be able to end.
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._thread.start()

    def put(self, line: str) -> None:
        """Queue one line, without its end; never waits."""
        if self._lines.qsize() < self._lines_max:
            self._lines.put(line)
        else:
            self._refused_count += 1

    def close(self) -> None:
        """Write what waits, where it is taken within a second."""
        self._lines.put(None)
        self._thread.join(CLOSE_S_MAX)

    def _write(self) -> None:
        told_count = 0
        is_open = True
        while is_open:
            lines = [self._lines.get()]
            with contextlib.suppress(Empty):
                while lines[-1] is not None:
                    lines.append(self._lines.get_nowait())
            is_open = lines[-1] is not None
            is_taken = self._write_all([line for line in lines if line is not None])
            dropped_count = self._refused_count + self._failed_count
            if is_taken and dropped_count > told_count:
                self._write_all([self._dropped_line(dropped_count - told_count)])
                told_count = dropped_count

    def _write_all(self, lines: list[str]) -> bool:
        try:
            write_past_buffer(self._stream, "".join(f"{line}\n" for line in lines))
        except (OSError, ValueError):  # nobody reads us any more, or the disk is full: alarms go on
            self._failed_count += len(lines)
            return False
        return True


def write_past_buffer(stream: TextIO, text: str) -> None:
    """Write past Python's buffer: nothing is left in it to be flushed at the end, into a full pipe."""
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError, AttributeError):  # not a file: a test listens
        stream.write(text)
        return
    content = text.encode("utf-8", "backslashreplace")
    while content:
        content = content[os.write(descriptor, content) :]


class Log:
    """`log("received", device_id=..., ...)`. Nothing secret is a field. Close it, or lose its end."""

    def __init__(self, as_json: bool, lines_max: int = LINES_MAX) -> None:
        self._as_json = as_json
        stream = sys.stdout if as_json else sys.stderr
        self._writer = LineWriter(
            stream, lambda count: self._line("dropped", now_ms(), {"count": count}), lines_max
        )

    def __call__(self, what: str, *, at_ms: float | None = None, **fields: Any) -> None:
        """Queue one line; never waits."""
        self._writer.put(self._line(what, now_ms() if at_ms is None else at_ms, fields))

    def close(self) -> None:
        """Write what waits, where it is taken within a second."""
        self._writer.close()

    def _line(self, what: str, at_ms: float, fields: dict[str, Any]) -> str:
        if self._as_json:
            return json_text.write({"at_ms": at_ms, "what": what, **fields}).decode()
        words = {
            "name": ("EXERCISE " if fields.get("exercise") else "")
            + codes.NAMES.get(fields.get("event", 0), ""),
            "again": " (known)" if fields.get("known") else "",
        }
        clock = time.strftime("%H:%M:%S", time.localtime(at_ms / 1000))
        return f"{clock} {EVENTS[what].format_map(words | fields)}"


class _TraceHandler(logging.Handler):
    """Put what libraries and our own mistakes leave as traces into a queue, too."""

    def __init__(self, writer: LineWriter) -> None:
        super().__init__(logging.WARNING)
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        self._writer.put(self.format(record))


@contextlib.contextmanager
def traces_on_stderr() -> Iterator[None]:
    """Write traces to stderr by a thread of their own: a terminal that stands still holds up no alarm."""
    writer = LineWriter(sys.stderr, lambda count: f"{count} trace(s) were not written: nobody read them")
    handler, root = _TraceHandler(writer), logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        writer.close()
