"""What the centre says: JSON lines on stdout for programs, or plain English on stderr for people."""

import asyncio
import contextlib
import sys
import time
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
    "fixes": "{stored} position(s) of {device_id} are on disk for incident {incident}",
    "called_off": "press {counter} of {device_id}, incident {incident}, was called off{again}",
    "escalated": "ALARM {counter} of {device_id}: nobody has taken incident {incident}",
    "losses": "supervision: {found} lost, {ended} found again",
    "refused": "refused {count} time(s): {reason}",
    "trouble": "trouble ({reason}): {text}",
}


def now_ms() -> float:
    return round(time.time() * 1000, 3)


class Log:
    """`log("received", device_id=..., ...)`. Nothing secret is a field."""

    def __init__(self, as_json: bool) -> None:
        self._as_json, self._will_flush = as_json, False

    def __call__(self, what: str, *, at_ms: float | None = None, **fields: Any) -> None:
        template = EVENTS[what]
        at_ms = now_ms() if at_ms is None else at_ms
        if self._as_json:
            line, stream = json_text.write({"at_ms": at_ms, "what": what, **fields}).decode(), sys.stdout
        else:
            words = {
                "name": codes.NAMES.get(fields.get("event", 0), ""),
                "again": " (known)" if fields.get("known") else "",
            }
            clock = time.strftime("%H:%M:%S", time.localtime(at_ms / 1000))
            line, stream = f"{clock} {template.format_map(words | fields)}", sys.stderr
        with contextlib.suppress(OSError, ValueError):  # nobody reads us any more: alarms go on
            stream.write(line + "\n")
            self._flush_soon(stream)

    def _flush_soon(self, stream: TextIO) -> None:
        """Once for all that is said in one turn of the loop: alarms come in groups, a write costs much."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            stream.flush()
            return
        if not self._will_flush:
            self._will_flush = True
            loop.call_soon(self._flush, stream)

    def _flush(self, stream: TextIO) -> None:
        self._will_flush = False
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
