"""One link to a button: what is said over it, in which order, and when it ends."""

import pytest

from bridge.model import Key, Press
from bridge.rules.expected_codes import Sighting
from bridge.rules.visit import AGE_AFTER_MS, Step, Then, Visit, Wait, Write
from wire import codes, receipts

DEVICE = "DEVICEA" + "A" * 9
WAIT = Wait(None, is_idle=False)
IDLE = Wait(None, is_idle=True)
ASK_AGE_LATER = Wait(AGE_AFTER_MS, is_idle=False)
HEARD, RECEIVED, ACKNOWLEDGED, CLOSED = (
    receipts.HEARD,
    receipts.RECEIVED,
    receipts.ACKNOWLEDGED,
    receipts.CLOSED,
)


def visit(event: int, said: int | None = None, *, asked: bool = False) -> Visit:
    """Return a visit over which `said` was said last."""
    new = Visit(Sighting(DEVICE, event, 7, "", new=True, stale=False), asked)
    if said is not None:
        new.wrote(said)
    return new


def press(event: int, stage: int, age_s: int | None = 5) -> Press:
    return Press(DEVICE, event, 7, 0, age_s=age_s, stage=stage)


@pytest.mark.parametrize(
    ("event", "said", "stage", "is_kept", "step"),
    [
        (codes.ALARM, None, None, False, WAIT),
        (codes.ALARM, None, HEARD, False, WAIT),
        (codes.ALARM, None, HEARD, True, Write(HEARD)),
        (codes.ALARM, HEARD, HEARD, True, WAIT),
        (codes.ALARM, HEARD, RECEIVED, True, Write(RECEIVED)),
        (codes.ALARM, None, RECEIVED, False, Write(RECEIVED)),
        (codes.ALARM, None, ACKNOWLEDGED, True, Write(ACKNOWLEDGED)),
        (codes.ALARM, RECEIVED, RECEIVED, True, IDLE),
        (codes.ALARM, RECEIVED, CLOSED, True, Write(CLOSED)),
        (codes.ALARM, CLOSED, CLOSED, True, Then.LEAVE),
        (codes.TEST, None, HEARD, False, WAIT),
        (codes.TEST, HEARD, HEARD, True, WAIT),
        (codes.TEST, RECEIVED, RECEIVED, True, Then.LEAVE),
        (codes.CONTACT, None, None, False, WAIT),
        (codes.CONTACT, None, None, True, Write(HEARD)),
        (codes.CONTACT, HEARD, None, True, Then.READ_STATE),
    ],
)
def test_the_table(event: int, said: int | None, stage: int | None, is_kept: bool, step: Step) -> None:
    """The next step, by the code on the air, what was said last, the stage that is proven, and the disk."""
    row = None if stage is None else press(event, stage)
    assert visit(event, said).next(row, is_kept) == step


def test_a_check_in_ends_when_its_state_was_read() -> None:
    """Nothing is open, and to call on it again would tell nothing new."""
    check_in = visit(codes.CONTACT, HEARD)
    check_in.contact_read(None)
    assert check_in.next(None, is_kept=True) is Then.LEAVE
    assert check_in.was_check_in


def test_a_contact_brings_the_stage_of_the_press_that_its_state_names() -> None:
    """From there it is like any visit of that press."""
    contact = visit(codes.CONTACT, HEARD)
    contact.contact_read(Key(DEVICE, codes.ALARM, 7))
    assert contact.next(press(codes.ALARM, HEARD), is_kept=True) == WAIT
    assert contact.next(press(codes.ALARM, ACKNOWLEDGED), is_kept=True) == Write(ACKNOWLEDGED)
    assert not contact.was_check_in


def test_the_age_is_asked_for_once_and_after_everything_else() -> None:
    """Nobody asks how old a silent test is."""
    alarm = visit(codes.ALARM, HEARD)
    assert alarm.next(press(codes.ALARM, HEARD, age_s=None), is_kept=True) == ASK_AGE_LATER
    assert alarm.next(press(codes.ALARM, RECEIVED, age_s=None), is_kept=True) == Write(RECEIVED)
    alarm.asked()
    assert alarm.next(press(codes.ALARM, HEARD, age_s=None), is_kept=True) == WAIT
    assert visit(codes.ALARM, HEARD, asked=True).next(press(codes.ALARM, HEARD, age_s=None), True) == WAIT
    assert visit(codes.TEST, HEARD).next(press(codes.TEST, HEARD, age_s=None), is_kept=True) == WAIT
