"""What happened is in the log, once, with who did it; and nothing in it can be read without the key."""

import json
from pathlib import Path

import pytest

from centre.platform.password_hashing import hash_of
from centre.platform.pin_hashing import Verdict
from centre.platform.sealing import Sealer, new_key
from centre.rules.incidents import CallOff, read, read_fixes
from centre.rules.refusals import Refused
from centre.store import Store
from centre.work import board, buttons, event_log, presses
from centre.work.core import Core
from tests.unit.centre.parts import FIX, Hand, signed_in
from wire import receipts

HAND = Hand()
DAY_MS = 86_400_000


class Night:
    """A centre on disk with one button and its bridge; a press and all that may follow it."""

    def __init__(self, path: Path) -> None:
        self.path, self.sealing_key, self.now_ms = path, new_key(), 1_764_000_000_000
        self.sealer = Sealer(self.sealing_key)
        self.core = Core(Store(str(path)), self.sealer, lambda: self.now_ms)
        buttons.import_buttons(self.core, [HAND.registered])
        buttons.enrol(self.core, HAND.enrolment_code, hash_of("271828"), hash_of("3141"))
        self.bridge = str(buttons.all_bridges(self.core)[0]["bridge_id"])
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
            board.advance(self.core, self.operator, incident_id, stage, reason=reason, seen_duress=True)

    def whole(self, counter: int = 1) -> str:
        """A press, followed, called off under duress, closed."""
        incident_id = self.press(counter)
        self.follow(incident_id, 1, 2)
        self.call_off(incident_id, counter=counter)
        self.close(incident_id)
        return incident_id


@pytest.fixture
def night(tmp_path: Path) -> Night:
    return Night(tmp_path / "centre.sqlite")


def test_everything_that_becomes_of_a_press_is_told(night: Night) -> None:
    """In order, with who did it, and what was said."""
    told = event_log.of_incident(night.core, night.whole())
    assert [entry.entry.kind for entry in told] == ["received", "fixes", "called_off", *["advanced"] * 3]
    received, fixes, called_off, *advanced = told
    assert received.entry.actor == fixes.entry.actor == f"bridge:{night.bridge}"
    assert received.facts["path"] == "ble"
    assert received.facts["fixes"][0]["lat"] == FIX["lat"]
    assert len(fixes.facts["fixes"]) == 2
    assert called_off.facts == {"duress": 1, "known": 0}
    assert {entry.entry.actor for entry in advanced} == {night.operator.actor}
    assert [entry.facts["stage"] for entry in advanced] == [2, 3, 4]
    assert [entry.facts["seen_duress"] for entry in advanced] == [1, 0, 0]


def test_a_repeated_post_adds_nothing_to_the_log(night: Night) -> None:
    """Bridges repeat until they are answered; only what was not told before is an entry."""
    incident_id = night.press()
    night.press()
    night.follow(incident_id, 1)
    night.follow(incident_id, 1)
    night.press(path="wifi")
    kinds = [told.entry.kind for told in event_log.of_incident(night.core, incident_id)]
    assert kinds == ["received", "fixes", "received"]


def test_a_position_that_came_with_a_repeated_post_is_told(night: Night) -> None:
    """The first post went out before the phone knew where it was."""
    incident_id = night.press(fix=None)
    night.press()
    first, second = event_log.of_incident(night.core, incident_id)
    assert (first.facts["fixes"], second.entry.kind) == ([], "fixes")
    assert second.facts["fixes"][0]["lon"] == FIX["lon"]


def test_what_is_refused_leaves_no_entry(night: Night) -> None:
    """An entry is in the same transaction as what it tells."""
    incident_id = night.whole()
    count = len(night.core.store.all("log_entries"))
    with pytest.raises(Refused):
        night.follow(incident_id, 9)
    assert len(night.core.store.all("log_entries")) == count


def test_a_copy_of_the_database_tells_no_position_and_no_duress(night: Night) -> None:
    """Contents lie sealed, and both PINs leave entries of the same kind and length."""
    own, forced = night.press(1), night.press(2)
    night.call_off(own, Verdict.RIGHT, 1)
    night.call_off(forced, Verdict.DURESS, 2)
    logs = [night.core.store.all("log_of_incident", incident_id=incident_id) for incident_id in (own, forced)]
    assert [row["kind"] for row in logs[0]] == [row["kind"] for row in logs[1]] == ["received", "called_off"]
    assert len(logs[0][1]["sealed"]) == len(logs[1][1]["sealed"])
    rows = [bytes(row["sealed"]) for row in night.core.store.all("log_entries")]
    assert not any(word in raw for raw in rows for word in (b"duress", b"lat", str(FIX["lat"]).encode()))


def test_hands_at_the_terminal_are_told_too(night: Night) -> None:
    """Imports, codes, enrolments, revocations."""
    buttons.issue_enrolment(night.core, HAND.device_id)
    buttons.revoke_bridge(night.core, night.bridge)
    buttons.revoke_button(night.core, HAND.device_id)
    buttons.revoke_button(night.core, HAND.device_id)
    kinds = [row["kind"] for row in night.core.store.all("log_entries")]
    assert kinds[:2] == ["button_imported", "enrolled"]
    assert kinds[-3:] == ["code_issued", "bridge_revoked", "button_revoked"]


def test_a_locked_pin_is_told(night: Night) -> None:
    """Who tries PINs on her phone leaves a trace."""
    incident_id = night.press()
    for _ in range(5):
        presses.try_pin(night.core, night.bridge, CallOff(HAND.device_id, 1, ""))
    locked = event_log.of_incident(night.core, incident_id)[-1]
    assert (locked.entry.kind, locked.facts["tries"]) == ("pin_locked", 5)
    assert json.loads(locked.content or "")["until_ms"] > night.now_ms
