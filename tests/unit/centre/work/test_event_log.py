"""What happened is in the log, once, with who did it; and nothing in it can be read without the key."""

import json
from pathlib import Path

import pytest

from centre.platform.pin_hashing import Verdict
from centre.rules.incidents import CallOff
from centre.rules.refusals import Refused
from centre.work import buttons, event_log, presses
from tests.unit.centre.parts import FIX
from tests.unit.centre.work.parts import HAND, Night


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
    """Whoever tries PINs on the protected person's phone leaves a trace."""
    incident_id = night.press()
    for _ in range(5):
        presses.try_pin(night.core, night.bridge, CallOff(HAND.device_id, 1, ""))
    locked = event_log.of_incident(night.core, incident_id)[-1]
    assert (locked.entry.kind, locked.facts["tries"]) == ("pin_locked", 5)
    assert json.loads(locked.content or "")["until_ms"] > night.now_ms
