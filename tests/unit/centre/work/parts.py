"""What the tests of the centre's work share: a core in virtual time, a press and what follows from it."""

from pathlib import Path

from centre.platform.password_hashing import hash_of
from centre.platform.pin_hashing import Verdict
from centre.platform.sealing import Sealer, new_key
from centre.rules import access, figures
from centre.rules.cases import CaseFile, Person, Stalker
from centre.rules.incidents import CallOff, CloseReason, read, read_fixes
from centre.rules.refusals import Refused
from centre.work import board, buttons, cases, presses
from centre.work.core import Core
from centre.work.incident_sheet import Incident
from tests.unit.centre.parts import FIX, Hand, granted, incidents_of, signed_in, store_at
from wire import codes, receipts

HAND = Hand()
DAY_MS = 86_400_000
PINS = hash_of("271828"), hash_of("3141")
FILE = CaseFile("BX-1", "high", Person("Ann Example"), Stalker("Max Sample"), "Two officers.")


class Clock:
    """Virtual time in ms."""

    def __init__(self) -> None:
        self.ms = 1_000_000.0

    def __call__(self) -> float:
        return self.ms


class World:
    """A core that knows one button, and the time it lives in."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.sealer = Sealer(new_key())
        self.core = Core(store_at(":memory:"), self.sealer, self.clock)
        self.operator = signed_in(self.core)
        buttons.import_buttons(self.core, [HAND.registered])

    def bridge(self, hand: Hand = HAND) -> str:
        """Enrol another bridge of the button."""
        code = buttons.issue_enrolment(self.core, hand.device_id)
        assert code is not None
        token = buttons.enrol(self.core, code, None, None)["token"]
        return buttons.bridge_of(self.core, str(token))


class Called(World):
    """A world in which an alarm has been pressed, and a PIN is known."""

    def __init__(self) -> None:
        super().__init__()
        buttons.enrol(self.core, HAND.enrolment_code, *PINS)
        self.phone = self.bridge()
        self.incident = self.press(1)

    def press(self, counter: int, event: int = codes.ALARM) -> str:
        return presses.take_alarm(self.core, self.phone, read(HAND.alarm(counter, event))).incident_id

    def try_pin(self, counter: int = 1) -> str:
        return presses.try_pin(self.core, self.phone, CallOff(HAND.device_id, counter, "")).incident_id

    def call_off(self, verdict: Verdict = Verdict.RIGHT) -> None:
        self.clock.ms += 1000
        presses.call_off(self.core, self.phone, self.try_pin(), verdict)

    def locked_s(self) -> int | None:
        """Return the s of Retry-After; None where a try is taken (and counted), -1 for another refusal."""
        try:
            self.try_pin()
        except Refused as refused:
            return refused.retry_after_s if refused.reason == "pin_locked" else -1
        return None

    def rows(self, table: str) -> list[tuple[object, ...]]:
        return [tuple(row) for row in self.core.store.db.execute(f"SELECT * FROM {table}")]  # noqa: S608

    @property
    def shown(self) -> Incident:
        cards = board.board(self.core)
        (incident,) = incidents_of(self.core, cards.waiting + cards.taken + cards.closed)
        return incident


class Night:
    """A centre on disk with one button and its bridge; a press and all that may follow it."""

    def __init__(self, path: Path) -> None:
        self.path, self.sealing_key, self.now_ms = path, new_key(), 1_764_000_000_000
        self.sealer = Sealer(self.sealing_key)
        self.core = Core(store_at(str(path)), self.sealer, lambda: self.now_ms)
        buttons.import_buttons(self.core, [HAND.registered])
        buttons.enrol(self.core, HAND.enrolment_code, *PINS)
        self.bridge = buttons.all_bridges(self.core)[0].bridge_id
        self.operator = signed_in(self.core)

    def press(self, counter: int = 1, **more: object) -> str:
        alarm = HAND.alarm(counter) | {"fix": FIX} | more
        return presses.take_alarm(self.core, self.bridge, read(alarm)).incident_id

    def follow(self, incident_id: str, *seconds: int) -> None:
        fixes = [FIX | {"taken_at": f"2026-11-23T10:01:{second:02d}Z"} for second in seconds]
        presses.add_fixes(self.core, self.bridge, incident_id, read_fixes({"fixes": fixes}))

    def call_off(self, incident_id: str, verdict: Verdict = Verdict.DURESS, counter: int = 1) -> None:
        presses.try_pin(self.core, self.bridge, CallOff(HAND.device_id, counter, ""))
        presses.call_off(self.core, self.bridge, incident_id, verdict)

    def close(self, incident_id: str) -> None:
        for stage in (receipts.ACKNOWLEDGED, receipts.DISPATCHED, receipts.CLOSED):
            reason = "real" if stage == receipts.CLOSED else None
            board.advance(
                self.core,
                self.operator,
                incident_id,
                stage,
                reason=CloseReason(reason) if reason else None,
                seen_duress=True,
            )

    def whole(self, counter: int = 1) -> str:
        """Press, follow, call off under duress, and close; return the incident."""
        incident_id = self.press(counter)
        self.follow(incident_id, 1, 2)
        self.call_off(incident_id, counter=counter)
        self.close(incident_id)
        return incident_id


def month_of_alarms(world: World) -> str:
    """Make six alarms of one zone, all taken after 2 s, five closed as mis-presses, and six tests.

    Return the month.
    """
    manager, operator = signed_in(world.core, access.CASE_MANAGER, zone="5340"), signed_in(world.core)
    granted(world.core, manager, cases.open_case(world.core, manager, FILE), HAND)
    bridge = world.bridge()
    for counter in range(1, 7):
        taken = presses.take_alarm(world.core, bridge, read(HAND.alarm(counter, age_s=1)))
        presses.take_alarm(world.core, bridge, read(HAND.alarm(counter, codes.TEST)))
        world.clock.ms += 2_000
        board.advance(world.core, operator, taken.incident_id, receipts.ACKNOWLEDGED)
        reason = "mis-press" if counter < 6 else "real"
        board.advance(
            world.core,
            operator,
            taken.incident_id,
            receipts.CLOSED,
            reason=CloseReason(reason) if reason else None,
        )
    return figures.month_of(world.core.now_ms())
