"""What the bridge says: JSON lines on stdout for programs, or plain English on stderr for people."""

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
        template = EVENTS[what]
        if self._as_json:
            print(json.dumps({"at_ms": at_ms, "what": what, **fields}), flush=True)
            return
        names = {
            "name": codes.NAMES.get(fields.get("event", 0), ""),
            "stage_name": receipts.NAMES[fields.get("stage", 0)],
        }
        clock = time.strftime("%H:%M:%S", time.localtime(at_ms / 1000))
        print(f"{clock} {template.format_map(names | fields)}", file=sys.stderr, flush=True)
