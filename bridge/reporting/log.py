"""What the bridge says: JSON lines on stdout for programs, or plain English on stderr for people.

Off the alarm's path: a line is put into a bounded queue and written by a thread. Whoever reads us may
stall for as long as they like; what does not fit any more is counted, and told when they read again.
"""

import json
import logging
import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, TextIO

from wire import codes, receipts

# Every event, and how it reads. docs/bridge.md lists the same.
EVENTS = {
    "scanning": "listening for {buttons} button(s)",
    "heard": "{name} number {counter} of {device_id} heard",
    "received": "{name} number {counter} of {device_id} is at the centre",
    "age": "{name} number {counter} of {device_id} was {age_s} s old when it was heard: the centre knows",
    "receipt": "{device_id} has taken: {name} number {counter} is {stage_name}",
    "retry": "{name} number {counter} of {device_id}: {reason}; again in {in_ms} ms",
    "fixes": "{stored} position(s) are at the centre for {incident}",
    "call_off": "ALARM number {counter} of {device_id}, call-off: {outcome}",
    "alive": "heartbeats of {buttons} button(s) are at the centre",
    "notice": "told on the desktop: {reason}",
    "trouble": "trouble: {text}",
    "well": "well again: {where}",
    "refused": "ignored {count} time(s): {reason}",
    "dropped": "{count} line(s) of this log were not written: nobody read them",
}
QUEUE_LINES_MAX = 1000
CLOSE_S_MAX = 1.0

# `sink(what, fields)`; called in the caller's thread, so it must be quick.
Sink = Callable[[str, dict[str, Any]], None]
_END = object()


class Log:
    """Writes events: `log("heard", device_id=..., ...)`. Nothing secret is ever a field.

    Whoever does not close it loses its end.
    """

    def __init__(self, as_json: bool, sinks: tuple[Sink, ...] = ()) -> None:
        self._as_json = as_json
        self._stream: TextIO = sys.stdout if as_json else sys.stderr
        self._sinks = sinks
        self._lines: queue.Queue[Any] = queue.Queue(QUEUE_LINES_MAX)
        self._dropped = 0  # the caller's count; `_told` is the writer's: each has one writer
        self._told = 0
        # A daemon, for a write into a pipe that nobody reads returns never, and we must be able to end.
        self._writer = threading.Thread(target=self._write, name="log", daemon=True)
        self._writer.start()

    def __enter__(self) -> "Log":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __call__(self, what: str, **fields: Any) -> None:
        self._sink(what, fields)
        try:
            self._lines.put_nowait((_now_ms(), what, fields))
        except queue.Full:
            self._dropped += 1

    def close(self) -> None:
        """Write what is waiting, if it is taken within a second."""
        try:
            self._lines.put(_END, timeout=CLOSE_S_MAX)
        except queue.Full:
            return
        self._writer.join(CLOSE_S_MAX)

    def _sink(self, what: str, fields: dict[str, Any]) -> None:
        for sink in self._sinks:
            with suppress(Exception):  # figures are less than a press: theirs is the loss
                sink(what, fields)

    def _write(self) -> None:
        line = None
        while line is not _END:
            line = self._lines.get()
            if line is not _END:
                self._put(*line)
            if missing := self._dropped - self._told:
                self._told += missing
                self._sink("dropped", {"count": missing})
                self._put(_now_ms(), "dropped", {"count": missing})

    def _put(self, at_ms: float, what: str, fields: dict[str, Any]) -> None:
        try:
            if self._as_json:
                text = json.dumps({"at_ms": at_ms, "what": what, **fields}, default=repr)
            else:
                text = _english(what, at_ms, fields)
        except Exception as error:  # a field that cannot be written must not end the log
            text = json.dumps({"at_ms": at_ms, "what": what, "unwritable": type(error).__name__})
        try:
            _write_all(self._stream, f"{text}\n")
        except (OSError, ValueError):  # nobody reads us any more: presses go on
            return


class LibraryErrors(logging.Handler):
    """Tells of the libraries' errors, as one `trouble` per place.

    Only of the place: an exception's text may hold anything that passed by, a header with our token, too.
    """

    PLACES_MAX = 100

    def __init__(self, log: Callable[..., object]) -> None:
        super().__init__(logging.ERROR)
        self._log = log
        self._told: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        where = f"{record.name} ({place(error) if error else f'{record.filename}:{record.lineno}'})"
        if where not in self._told and len(self._told) < self.PLACES_MAX:
            self._told.add(where)
            self._log("trouble", where="library", reason="internal", text=f"a mistake, going on: {where}")


@contextmanager
def mistakes(log: Callable[..., object]) -> Iterator[None]:
    """Tell by its place whatever fails where nobody catches it; its text is never printed."""
    handler, root = LibraryErrors(log), logging.getLogger()

    def in_thread(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None:
            log("trouble", where="thread", reason="internal", text=f"a mistake: {place(args.exc_value)}")

    before = threading.excepthook
    threading.excepthook = in_thread
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        threading.excepthook = before


def place(error: BaseException) -> str:
    """Say what kind of mistake and where, without its text: `KeyError at bridge/tasks/relay.py:33`."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return type(error).__name__
    return f"{type(error).__name__} at {'/'.join(frames[-1].filename.split('/')[-2:])}:{frames[-1].lineno}"


def _write_all(stream: TextIO, text: str) -> None:
    """Write past Python's buffer: nothing in it is left to be flushed at the end, into a full pipe."""
    try:
        handle = stream.fileno()
    except (OSError, ValueError, AttributeError):  # not a file: a test's ear
        stream.write(text)
        return
    data = text.encode("utf-8", "backslashreplace")
    while data:
        data = data[os.write(handle, data) :]


def _now_ms() -> float:
    return round(time.time() * 1000, 3)


def _english(what: str, at_ms: float, fields: dict[str, Any]) -> str:
    names = {
        "name": codes.NAMES.get(fields.get("event", 0), ""),
        "stage_name": receipts.NAMES[fields.get("stage", 0)],
    }
    clock = time.strftime("%H:%M:%S", time.localtime(at_ms / 1000))
    return f"{clock} {EVENTS[what].format_map(names | fields)}"
