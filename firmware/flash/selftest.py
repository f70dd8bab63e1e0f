"""The board tries its own parts; here its lines become a verdict, and a report for a production line."""

import json
import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from firmware.flash import carriers
from firmware.flash.errors import CommandError
from firmware.flash.remote import Link

ITEMS = ("pin", "motor", "radio", "flash", "rtc", "battery", "settings", "clock")
RUN = "import firmware.board.selftest as s\ns.run()\n"
_SILENCE_S = 10  # the longest item takes less than a second, on a slow board a few
# The crystal of every board is good to some ppm; 1 % off is a wrong one, and a hold of another length.
_DRIFT_PERCENT_MAX = 1.0
_BOUND_PERCENT_MAX = 0.5  # surer than this need nobody wait for
_CLOCK_S_MAX = 15
_READINGS = 5
_START_CLOCK = "import time\n_clock = time.ticks_ms()\n"
_READ_CLOCK = "print(time.ticks_diff(time.ticks_ms(), _clock))\n"
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


@dataclass(frozen=True)
class Reading:
    """The board's clock said `board_s` at `at_s` of ours, or at most `half_s` before or after that."""

    at_s: float
    half_s: float
    board_s: float


def drift(first: Reading, second: Reading) -> tuple[float, float]:
    """By how many percent the board's clock is fast, and by how many that may be wrong: the answers may have
    been under way for all of the time that we waited, and the board counts whole milliseconds."""
    passed_s = second.at_s - first.at_s
    off_s = second.board_s - first.board_s - passed_s
    return 100 * off_s / passed_s, 100 * (first.half_s + second.half_s + 0.001) / passed_s


def _read_clock(link: Link) -> Reading:
    """The quickest of some answers: the least can have happened to it."""
    readings = []
    for _ in range(_READINGS):
        before_s = time.monotonic()
        board_ms = int(link.run(_READ_CLOCK))
        after_s = time.monotonic()
        readings.append(Reading((before_s + after_s) / 2, (after_s - before_s) / 2, board_ms / 1000))
    return min(readings, key=lambda reading: reading.half_s)


def _clock(link: Link, first: Reading) -> Item:
    while True:
        second = _read_clock(link)
        percent, bound = drift(first, second)
        passed_s = second.at_s - first.at_s
        if bound <= _BOUND_PERCENT_MAX or passed_s > _CLOCK_S_MAX:
            break
        time.sleep(0.5)
    detail = f"{percent:+.2f} % (± {bound:.2f} %) against this computer, in {passed_s:.0f} s"
    if abs(percent) > _DRIFT_PERCENT_MAX + bound:
        return Item("clock", "fail", detail)
    if bound > _BOUND_PERCENT_MAX:
        return Item("clock", "skip", f"{detail}: the port answers too slowly to tell")
    return Item("clock", "pass", detail)


def selftest(link: Link, on_item: Callable[[Item], None]) -> Report:
    """Run the board's self-test. An item that it does not report has failed. Raises CommandError."""
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
        raise CommandError(f"there is no firmware on the board at {link.port}: flash it first")
    device_id = link.device_id()
    link.run(_START_CLOCK)
    begun = _read_clock(link)
    link.run(RUN, line, silence_s=_SILENCE_S)
    take(_clock(link, begun))
    for row in carriers.rows(link):
        take(Item(*row))
    for name in ITEMS:
        if name not in items:
            take(Item(name, "fail", "the board did not report it"))
    passed = all(item.result != "fail" for item in items.values())
    return Report(link.port, device_id, at, passed, list(items.values()), capabilities)


def save(report: Report, path: Path) -> None:
    """As one JSON object. Raises CommandError."""
    try:
        path.write_text(json.dumps(asdict(report), indent=1) + "\n")
    except OSError as error:
        raise CommandError(f"cannot write the report {path}: {error.strerror}") from None
