"""How long a battery lasts. It reads two files and does no other I/O.

The firmware's own state machine (press.py) lives some days in virtual time; every second of them is
charged with the currents of currents.toml, and every wake with the computing that `make bench` measured
in the VM (awake.json), slowed down to the chip. All currents are low, typical and high: so is the life.
"""

import json
import math
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from firmware.board.press import ADVERTISE, HUSH, QUIET_PHASE, SESSION, SILENCE, Life, Press
from firmware.flash import direct_life
from firmware.flash.errors import CommandError
from wire.codes import ALIVE, CONTACT, NAMES, rhythm
from wire.keys import Mac
from wire.receipts import RECEIVED

AWAKE = Path(__file__).with_name("awake.json")
CURRENTS = Path(__file__).with_name("currents.toml")
LOW, TYPICAL, HIGH = LEVELS = range(3)
_MONTH_DAYS = 30.4
_DAY_MS = 86_400_000
_OPEN_MS = 7_200_000  # so long at most an alarm that was RECEIVED asks for what is new
_ADVERT_DELAY_US = 5_000  # the mean of advDelay, Bluetooth Core, Vol 6, Part B, 4.4.2.2
_LINK_US = 152_500  # assumed: a link costs as much as slow adverts do
Triple = tuple[float, float, float]
Actions = list[tuple[Any, ...]]
Curve = list[tuple[float, Triple]]
_STEPS = 32


@dataclass
class Use:
    """How often the button woke for an event, and the ms it then spent by advertising interval."""

    presses: int = 0
    wakes: int = 0
    air_ms: dict[int, int] = field(default_factory=lambda: defaultdict(int))


Doing = tuple[int, Callable[[Press, int], Actions]]  # at which ms, what


def live(life: Life, period_s: float, until_ms: int, doings: Iterable[Doing] = ()) -> dict[int, Use]:
    """What the firmware does from 0 to `until_ms`, by event: the real one, in virtual time."""
    mac = Mac(bytes(32))
    press = Press(life, lambda n: rhythm(mac, n, round(period_s * 1000)), lambda: 0)
    waiting = sorted(doings, key=lambda doing: doing[0])
    uses: dict[int, Use] = defaultdict(Use)
    now_ms = interval_us = 0
    while now_ms < until_ms:
        due_ms = max(now_ms, min(press.due_ms(), until_ms, *(at_ms for at_ms, _ in waiting[:1])))
        if press.phase != QUIET_PHASE:
            uses[press.on_air[0]].air_ms[interval_us or _LINK_US] += due_ms - now_ms
        now_ms = due_ms
        hand = bool(waiting) and waiting[0][0] <= now_ms
        for verb, *args in waiting.pop(0)[1](press, now_ms) if hand else press.tick(now_ms):
            if verb == SESSION:
                uses[args[0]].wakes += 1
            if verb in (ADVERTISE, HUSH, SILENCE):
                interval_us = args[0] if args else 0
    return uses


def slots(period_s: float) -> tuple[Use, Use, float]:
    """Signs of life, check-ins, and in how many days."""
    days = max(2.0, 20 * period_s / 86400)
    uses = live(Life(), period_s, round(days * _DAY_MS))
    return uses[ALIVE], uses[CONTACT], days


@cache
def one_press(level: int) -> Use:
    """A test that is heard at once; an alarm heard after 11 s and closed after half an hour; one that is
    heard after 5 minutes and never closed. A CONTACT every minute is part of it."""

    def received(press: Press, now_ms: int) -> Actions:
        return press.links(1, 1, now_ms) + press.receipt(RECEIVED, now_ms)

    heard_ms, until_ms = ((1_000, 1_001), (11_000, 1_800_000), (300_000, 300_000 + _OPEN_MS))[level]
    life = Life()
    life.alive_ms = life.checkin_ms = 10 * _DAY_MS  # nothing but the press
    doings: list[Doing] = [(0, Press.clicks if level == LOW else Press.hold), (heard_ms, received)]
    whole = Use(presses=1)
    for use in live(life, 900, until_ms, doings).values():
        whole.wakes += use.wakes
        for interval_us, ms in use.air_ms.items():
            whole.air_ms[interval_us] += ms
    return whole


class Currents:
    """The table for one board, and the VM's measured times."""

    def __init__(self, board: str, awake: Path = AWAKE) -> None:
        table = tomllib.loads(CURRENTS.read_text())
        self.entries: dict[str, Any] = table["common"] | table["boards"][board]
        self.direct: dict[str, Any] = table["direct"]
        try:
            self.awake = json.loads(awake.read_text())
            self._computed_s = float(self.awake["events"]["ALIVE"]["cpu_ms"]) / 1000
        except (OSError, ValueError, KeyError, TypeError):
            raise CommandError(f"{awake} holds no measured times; make bench writes it") from None

    def at(self, name: str, level: int) -> float:
        return float(self.entries[name][level])

    def direct_mah(self, way: str, name: str, level: int, times: float = 1) -> float:
        """What `times` of an entry of the direct path take; those are charges, in mA and seconds."""
        return float(self.direct[way][name][level]) * times / 3600

    def start_s(self, level: int) -> float:
        """From the wake to the first advert, as far as the chip computes."""
        return self.at("boot_s", level) + self._computed_s * self.at("slower", level)

    def mah(self, use: Use, level: int) -> float:
        """What `use` takes."""

        def now(name: str) -> float:
            return self.at(name, level)

        advert_mas = 3e-6 * (now("advert_tx_us") * now("tx_ma") + now("advert_rx_us") * now("rx_ma"))
        taken_mas = use.wakes * self.start_s(level) * now("cpu_ma")
        taken_mas += use.presses * now("motor_s") * now("motor_ma")
        for interval_us, ms in use.air_ms.items():
            taken_mas += ms / 1000 * (now("air_ma") + advert_mas * 1e6 / (interval_us + _ADVERT_DELAY_US))
        return taken_mas / 3600


@dataclass
class Row:
    """One thing that takes from the battery; mAh a day."""

    what: str
    a_day: float | None
    each_s: float | None
    mah: Triple


def direct_rows(currents: Currents, presses: float, ways: Iterable[str]) -> list[Row]:
    """What the direct path adds: a check-in a day, a modem's rest, and all presses, which it takes, too.

    Of several ways the first is asked for the later stages; the others only bring the press.
    """
    rows: list[Row] = []
    every_days = _MONTH_DAYS / presses if presses else math.inf
    for way in ways:
        first = not rows
        carrier, name = ("wifi", "Wi-Fi") if way == direct_life.WIFI else ("lte", "LTE")

        def alarm(level: int, way: str = way, carrier: str = carrier, first: bool = first) -> float:
            of_press = direct_life.of_level(carrier, level if first else LOW)
            mah = currents.direct_mah(way, "session_mas", level, of_press.count)
            mah += currents.direct_mah(way, "wait_mas", level, of_press.waited_s)
            for once in ("attach_mas", "fix_mas"):
                if once in currents.direct[way] and level:
                    mah += currents.direct_mah(way, once, level)
            return mah / every_days

        low, typical, high = (currents.direct_mah(way, "session_mas", level) for level in LEVELS)
        rows.append(Row(f"check-in, {name}", 1, None, (low, typical, high)))
        if way in direct_life.MODEMS:
            low, typical, high = (24 * currents.direct[way]["psm_ma"][level] for level in LEVELS)
            rows.append(Row("rest, modem (PSM)", None, None, (low, typical, high)))
        rows.append(
            Row(f"alarm direct, {name}", 1 / every_days, None, (alarm(LOW), alarm(TYPICAL), alarm(HIGH)))
        )
    return rows


def estimate(
    currents: Currents, battery_mah: float, period_s: float, presses: float, ways: Iterable[str] = ()
) -> list[Row]:
    """The table, without its sum. `presses` a month; `ways`: to the centre without a phone."""

    def triple(of: Callable[[int], float]) -> Triple:
        return of(LOW), of(TYPICAL), of(HIGH)

    def row(what: str, count: int, days: float, uses: Callable[[int], Use]) -> Row:
        typical = uses(TYPICAL)
        awake_s = currents.start_s(TYPICAL) * typical.wakes + sum(typical.air_ms.values()) / 1000
        mah = triple(lambda n: currents.mah(uses(n), n) / days)
        return Row(what, count / days, awake_s / max(count, 1), mah)

    alive, contact, days = slots(period_s)
    every_days = _MONTH_DAYS / presses if presses else math.inf
    leak_mah = battery_mah / 100 / _MONTH_DAYS
    return [
        row(f"sign of life ({NAMES[ALIVE]})", alive.wakes, days, lambda _: alive),
        row(f"daily check-in ({NAMES[CONTACT]})", contact.wakes, days, lambda _: contact),
        row("press, until it is closed", 1, every_days, one_press),
        *direct_rows(currents, presses, ways),
        Row("rest, chip", None, None, triple(lambda n: 24 * currents.at("rest_ma", n))),
        Row("rest, board", None, None, triple(lambda n: 24 * currents.at("board_ma", n))),
        Row("self-discharge", None, None, triple(lambda n: leak_mah * currents.at("self_discharge", n))),
    ]


def days_of(currents: Currents, battery_mah: float, rows: list[Row]) -> Triple:
    """Shortest, typical and longest life."""
    taken = [sum(row.mah[level] for row in rows) for level in LEVELS]
    usable = [battery_mah * currents.at("usable", level) for level in LEVELS]
    return usable[LOW] / taken[HIGH], usable[TYPICAL] / taken[TYPICAL], usable[HIGH] / taken[LOW]


def curve(
    currents: Currents,
    battery_mah: float,
    presses: float,
    least_s: float,
    most_s: float,
    ways: Iterable[str] = (),
) -> Curve:
    """`(period_s, life in days)` between the two periods, evenly on a logarithmic scale."""
    periods = [least_s * (most_s / least_s) ** (n / _STEPS) for n in range(_STEPS + 1)]
    direct = direct_rows(currents, presses, ways)
    return [
        (s, days_of(currents, battery_mah, estimate(currents, battery_mah, s, presses) + direct))
        for s in periods
    ]
