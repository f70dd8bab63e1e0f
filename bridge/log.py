"""What the bridge says: JSON lines on stdout for programs, or plain English on stderr for people."""

import contextlib
import json
import sys
import time
from typing import Any

from wire import codes, receipts

# Every event, and how it reads. docs/bridge.md lists the same.
EVENTS = {
    "scanning": "listening for {buttons} button(s)",
    "heard": "{name} number {counter} of {device_id} heard",
    "received": "{name} number {counter} of {device_id} is at the centre",
    "receipt": "{device_id} has taken: {name} number {counter} is {stage_name}",
    "retry": "{name} number {counter} of {device_id}: {reason}; again in {in_ms} ms",
    "trouble": "trouble: {text}",
    "refused": "ignored {count} time(s): {reason}",
}


class Log:
    """`log("heard", device_id=..., ...)`. Nothing secret is ever a field."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json

    def __call__(self, what: str, **fields: Any) -> None:
        at_ms = round(time.time() * 1000, 3)
        if self._as_json:
            line, stream = json.dumps({"at_ms": at_ms, "what": what, **fields}), sys.stdout
        else:
            line, stream = self._english(what, at_ms, fields), sys.stderr
        with contextlib.suppress(OSError, ValueError):  # nobody reads us any more: presses go on
            print(line, file=stream, flush=True)

    def _english(self, what: str, at_ms: float, fields: dict[str, Any]) -> str:
        names = {
            "name": codes.NAMES.get(fields.get("event", 0), ""),
            "stage_name": receipts.NAMES[fields.get("stage", 0)],
        }
        clock = time.strftime("%H:%M:%S", time.localtime(at_ms / 1000))
        return f"{clock} {EVENTS[what].format_map(names | fields)}"
