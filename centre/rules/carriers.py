"""What a case manager is told of the ways on which a button reaches us. Pure; times are integers in ms.

| notice | means | told |
|---|---|---|
| silent_everywhere | neither a phone nor a carrier has brought a sign | after 2 days |
| lte_silent | it lives, and LTE has brought none | after 2 days: a check-in is due every 20 to 28 h |
| wifi_unseen | it lives, and no known Wi-Fi was near; no fault by itself | after 7 days |
| sim_refused | the network takes the SIM no more, or its PIN is wrong or blocked | when it says so |
| network_changed | its cell is of another kind than before | for 30 days |
| clock_lost | its power was lost, and no answer has reached it since | while it says so |
| test_failed | in the last silent test one way brought nothing | 2 min after the test |

Only of buttons that have spoken without a phone, or said that this failed. None is an operator's: a way that
is lost is no danger.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum

from wire.direct import CLOCK_LOST, REFUSED, SIM

DAY_MS = 86_400_000
SILENT_MS, UNSEEN_MS, CHANGED_MS, TEST_MS = 2 * DAY_MS, 7 * DAY_MS, 30 * DAY_MS, 120_000
BLUETOOTH, WIFI, LTE = "ble", "wifi", "lte"


class NoticeKind(StrEnum):
    SILENT_EVERYWHERE = "silent_everywhere"
    LTE_SILENT = "lte_silent"
    WIFI_UNSEEN = "wifi_unseen"
    SIM_REFUSED = "sim_refused"
    NETWORK_CHANGED = "network_changed"
    CLOCK_LOST = "clock_lost"
    TEST_FAILED = "test_failed"


HINTS = (NoticeKind.WIFI_UNSEEN, NoticeKind.NETWORK_CHANGED)  # no fault by themselves


@dataclass(frozen=True, slots=True)
class Carrier:
    """The last that a button said over a carrier, or of one that failed. `error`: wire/SPEC.md, "Errors"."""

    carrier: str
    heard_at_ms: int | None
    signal_dbm: int | None
    battery_mv: int | None
    flags: int
    error: int
    error_at_ms: int | None
    network: int | None
    network_before: int | None
    network_changed_at_ms: int | None

    @property
    def known_at_ms(self) -> int:
        """Return when we last knew anything of it."""
        return max(self.heard_at_ms or 0, self.error_at_ms or 0)


@dataclass(frozen=True, slots=True)
class LastTest:
    """A button's last silent test, and on which ways it came."""

    at_ms: int
    ways: frozenset[str]


@dataclass(frozen=True, slots=True)
class Notice:
    """One line for the case manager. `since_ms`: 0 where there never was a sign."""

    kind: NoticeKind
    since_ms: int
    carrier: str = ""
    error: int = 0

    @property
    def is_hint(self) -> bool:
        return self.kind in HINTS


def notices(
    carriers: Collection[Carrier], phone_heard_ms: int | None, test: LastTest | None, now_ms: int
) -> list[Notice]:
    """Return what there is to say, faults first. `phone_heard_ms`: when a phone last heard the button."""
    if not carriers:
        return []
    heard_ms = {one.carrier: one.heard_at_ms or 0 for one in carriers}
    last_ms = max(*heard_ms.values(), phone_heard_ms or 0)
    found = list(_told(carriers, now_ms))
    if test is not None and now_ms - test.at_ms > TEST_MS:
        found += _failed(carriers, phone_heard_ms, test)
    if now_ms - last_ms > SILENT_MS:
        found.insert(0, Notice(NoticeKind.SILENT_EVERYWHERE, last_ms))
    elif LTE in heard_ms and now_ms - heard_ms[LTE] > SILENT_MS:
        found.insert(0, Notice(NoticeKind.LTE_SILENT, heard_ms[LTE], LTE))
    if WIFI in heard_ms and now_ms - last_ms <= SILENT_MS and now_ms - heard_ms[WIFI] > UNSEEN_MS:
        found.append(Notice(NoticeKind.WIFI_UNSEEN, heard_ms[WIFI], WIFI))
    return sorted(found, key=lambda notice: notice.is_hint)


def _told(carriers: Iterable[Carrier], now_ms: int) -> Iterable[Notice]:
    """Return what the button says of itself."""
    newest = max(carriers, key=lambda one: one.heard_at_ms or 0)
    if newest.flags & CLOCK_LOST and newest.heard_at_ms:
        yield Notice(NoticeKind.CLOCK_LOST, newest.heard_at_ms)
    for one in carriers:
        if one.carrier == LTE and one.error in (REFUSED, SIM):
            yield Notice(NoticeKind.SIM_REFUSED, one.error_at_ms or 0, LTE, one.error)
        changed_ms = one.network_changed_at_ms
        if changed_ms is not None and now_ms - changed_ms <= CHANGED_MS:
            yield Notice(NoticeKind.NETWORK_CHANGED, changed_ms, one.carrier)


def _failed(carriers: Iterable[Carrier], phone_heard_ms: int | None, test: LastTest) -> Iterable[Notice]:
    """Name the ways that brought nothing of a test; Bluetooth where there is a phone."""
    for one in carriers:
        if one.carrier not in test.ways:
            yield Notice(NoticeKind.TEST_FAILED, test.at_ms, one.carrier, one.error)
    if phone_heard_ms is not None and not test.ways - {WIFI, LTE}:
        yield Notice(NoticeKind.TEST_FAILED, test.at_ms, BLUETOOTH)
