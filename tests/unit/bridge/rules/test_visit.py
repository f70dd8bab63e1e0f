"""One link to whoever has a code: what is said over it, in which order, when it counts, when it ends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.model import Key, Press
from bridge.rules.expected_codes import Sighting
from bridge.rules.visit import STATE_AFTER_MS, Step, Then, Visit, Wait, Write
from wire import codes, receipts

DEVICE = "DEVICEA" + "A" * 9
WAIT = Wait(None, is_idle=False)
IDLE = Wait(None, is_idle=True)
READ_LATER = Wait(STATE_AFTER_MS, is_idle=False)
READ = Then.READ_STATE
HEARD, RECEIVED, ACKNOWLEDGED, CLOSED = (
    receipts.HEARD,
    receipts.RECEIVED,
    receipts.ACKNOWLEDGED,
    receipts.CLOSED,
)


def visit(event: int, said: int | None = None, *, proven: bool = False) -> Visit:
    """Return a visit over which `said` was said last, and where `proven` a state was read."""
    new = Visit(Sighting(DEVICE, event, 7, "", new=True, stale=False))
    if said is not None:
        new.wrote(said)
    if proven:
        new.proved()
    return new


def press(event: int, stage: int) -> Press:
    return Press(DEVICE, event, 7, 0, stage=stage)


@pytest.mark.parametrize(
    ("event", "said", "proven", "stage", "is_kept", "step"),
    [
        (codes.ALARM, None, False, None, False, WAIT),
        (codes.ALARM, None, False, HEARD, False, WAIT),
        (codes.ALARM, None, False, HEARD, True, Write(HEARD)),
        (codes.ALARM, HEARD, False, HEARD, True, READ_LATER),
        (codes.ALARM, HEARD, True, HEARD, True, WAIT),
        (codes.ALARM, HEARD, False, RECEIVED, True, Write(RECEIVED)),
        (codes.ALARM, None, False, RECEIVED, False, Write(RECEIVED)),
        (codes.ALARM, None, False, ACKNOWLEDGED, True, Write(ACKNOWLEDGED)),
        (codes.ALARM, RECEIVED, False, RECEIVED, True, READ),
        (codes.ALARM, RECEIVED, True, RECEIVED, True, IDLE),
        (codes.ALARM, RECEIVED, False, CLOSED, True, READ),
        (codes.ALARM, RECEIVED, True, CLOSED, True, Write(CLOSED)),
        (codes.ALARM, CLOSED, True, CLOSED, True, Then.LEAVE),
        (codes.TEST, None, False, HEARD, False, WAIT),
        (codes.TEST, HEARD, False, HEARD, True, READ),
        (codes.TEST, HEARD, True, HEARD, True, WAIT),
        (codes.TEST, None, False, RECEIVED, True, READ),
        (codes.TEST, None, True, RECEIVED, True, Write(RECEIVED)),
        (codes.TEST, RECEIVED, True, RECEIVED, True, Then.LEAVE),
        (codes.CONTACT, None, False, None, False, WAIT),
        (codes.CONTACT, None, False, None, True, Write(HEARD)),
        (codes.CONTACT, HEARD, False, None, True, READ),
    ],
)
def test_the_table(
    event: int, said: int | None, proven: bool, stage: int | None, is_kept: bool, step: Step
) -> None:
    """The next step, by the code, what was said last, whether a state was read, the stage, and the disk."""
    row = None if stage is None else press(event, stage)
    assert visit(event, said, proven=proven).next(row, is_kept) == step


@pytest.mark.parametrize("event", [codes.ALARM, codes.TEST, codes.CONTACT])
def test_where_others_send_the_same_code_the_state_is_read_before_anything_is_said(event: int) -> None:
    """Whoever cannot show one costs a moment, and no word; the state is read once."""
    assert visit(event).next(None, is_kept=True, is_contested=True) is READ
    assert visit(event, proven=True).next(None, is_kept=True, is_contested=True) == Write(HEARD)


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


@given(
    st.sampled_from(codes.PRESSES),
    st.lists(st.sampled_from(["stage rises", "kept", "rival", "goes on", "waits"]), max_size=30),
)
def test_nothing_counts_as_taken_from_whoever_shows_no_state(event: int, happenings: list[str]) -> None:
    """Whatever happens in whichever order, an impostor who answers every write has taken nothing.

    And with the state shown, what was said last is what was taken.
    """
    impostor, stage, is_kept, is_contested = visit(event), HEARD, False, False
    for what in happenings:
        stage = min(stage + 1, CLOSED) if what == "stage rises" else stage
        is_kept, is_contested = is_kept or what == "kept", is_contested or what == "rival"
        step = impostor.next(press(event, stage), is_kept, is_contested)
        if isinstance(step, Write):
            assert not is_contested
            impostor.wrote(step.stage)
        assert impostor.taken is None
        assert step is not Then.LEAVE, "nobody leaves whom the receipt was not proven to have reached"
    said = impostor._said
    impostor.proved()
    assert impostor.taken == (said if said >= RECEIVED else None)
