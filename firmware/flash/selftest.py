"""The board tries its own parts; here its lines become a verdict, and a report for a production line."""

import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from firmware.flash.provision import device_id_of
from firmware.flash.refused import Refused
from firmware.flash.remote import Link

ITEMS = ("pin", "motor", "radio", "flash", "rtc", "battery", "clock", "settings")
RUN = "import firmware.board.selftest as s\ns.run()\n"
_SILENCE_S = 60  # the longest item, with a person at the button
_CAPABILITY = re.compile(r"capability (\w+) (yes|no)")
_LINE = re.compile(r"selftest (\w+) (pass|fail|skip)\b ?(.*)")


@dataclass(frozen=True)
class Item:
    name: str
    result: str  # pass, fail, skip
    detail: str


@dataclass(frozen=True)
class Report:
    """All items of one board. Skipped ones (what this board does not have) do not count against it.

    `capabilities`: what this kind of board can do at all; the guide's page for it says what follows.
    """

    port: str
    device_id: str
    at: str  # RFC 3339, UTC
    passed: bool
    items: list[Item]
    capabilities: dict[str, bool]

    def failed(self) -> list[str]:
        return [item.name for item in self.items if item.result == "fail"]


def selftest(link: Link, on_item: Callable[[Item], None]) -> Report:
    """Run the board's self-test. An item that it does not report has failed. Raises Refused."""
    items: dict[str, Item] = {}

    capabilities: dict[str, bool] = {}

    def take(item: Item) -> None:
        items[item.name] = item
        on_item(item)

    def line(text: str) -> None:
        if match := _LINE.fullmatch(text.strip()):
            take(Item(match[1], match[2], match[3]))
        elif match := _CAPABILITY.fullmatch(text.strip()):
            capabilities[match[1]] = match[2] == "yes"

    at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    if "firmware/board/selftest.mpy" not in link.hashes(["firmware/board/selftest.mpy"]):
        raise Refused(f"there is no firmware on the board at {link.port}: flash it first")
    device_id = device_id_of(link)
    link.run(RUN, line, silence_s=_SILENCE_S)
    for name in ITEMS:
        if name not in items:
            take(Item(name, "fail", "the board did not report it"))
    passed = all(item.result != "fail" for item in items.values())
    return Report(link.port, device_id, at, passed, list(items.values()), capabilities)


def save(report: Report, path: Path) -> None:
    """As one JSON object. Raises Refused."""
    try:
        path.write_text(json.dumps(asdict(report), indent=1) + "\n")
    except OSError as error:
        raise Refused(f"cannot write the report {path}: {error.strerror}") from None
