"""The promises, each checked on a list of events and on nothing else. Pure.

Whoever made the events, the world in virtual time, real processes or a city (story.py sorts them): how any of
it works is not known here.
"""

import math
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sim.judge.events import WorldEvent
from sim.judge.story import ALARM, TEST, Bounds, ButtonStory, Press, Session, Story
from sim.judge.vibrations import CLOSED, NOT_CONFIRMED, RECEIVED, TAKEN, Vibration

LOST = "no press is lost"
INVENTED = "no press is invented"
ONCE = "one incident per press"
FORGED = "no receipt is felt that the centre did not give"
ORDER = "stages come in order"
REUSED = "no counter is used twice"
LATE = "delivered within the bound once faults end"
OWN_WAY = "a way without a phone that is open brings the receipt"
LINKED = "nothing on the air links two events"
HEARD = "HEARD means that the bridge has it on disk"
KEPT = "what the centre gave is on its disk, and stays"
FELT = "a press that was held for long enough is felt as taken"
TOLD = "who presses is told within a minute"
ON_AIR = "a press that waits for its receipt is on the air"
BROUGHT = "a receipt counts as brought only where its button has it"
AGED = "a press is as old as its button says"
PLACED = "the newest position is where the phone was last"
SOUND = "no part fails by itself"
_OF_A_PRESS = (LOST, INVENTED, ONCE, FORGED, ORDER, REUSED, LATE, LINKED)
PROMISES = (*_OF_A_PRESS, HEARD, KEPT, FELT, TOLD, ON_AIR, OWN_WAY, BROUGHT, AGED, PLACED, SOUND)

_ABOUT_MS = 3_000  # what is cut off about a moment may be seen on one side alone
_BEGINS_MS = 150  # from a receipt's proof to the motor; a hand that holds on feels TAKEN later
_CONFIRM_MS, _TELLING_MS = 60_000, 2_000  # *not confirmed*, by a clock that may be 3 % off
_AT_ONCE_MS = 10_000  # a start, and the patterns before it
_STARTS, _WARY_MS = 3, 660_000  # for so long a button spares a radio that may have cost it three starts
_ON_AIR_FOR_MS = 285_000  # 30 s and 5 min, by a clock that is too fast
_SILENT_MS_MAX = 3_000
_AGE_MS, _AGE_SHARE = 15_000, 0.05  # an age is said in steps of 10 s, by a clock that is off
_FAR_M = 200.0
_FOLLOWED_MS = 900_000  # for so long a position is followed in any case
_METRES_PER_DEGREE = 111_195.0


@dataclass(frozen=True)
class Broken:
    """A promise that was not kept, when, and how that shows."""

    promise: str
    at_ms: float
    text: str

    def __str__(self) -> str:
        return f"{self.promise}: {self.text}"


@dataclass(frozen=True)
class Unseen:
    """A promise of which this world has not shown whether it was kept, and why not."""

    promise: str
    why: str


_Finding = Broken | Unseen


@dataclass(frozen=True)
class Judgement:
    """Every promise that was broken, the first one first, and those that could not be seen."""

    broken: list[Broken] = field(default_factory=list)
    unseen: list[Unseen] = field(default_factory=list)

    def kept(self) -> list[str]:
        """Return the promises that were seen to be kept."""
        others = {one.promise for one in self.broken} | {one.promise for one in self.unseen}
        return [promise for promise in PROMISES if promise not in others]


def judge(
    events: Sequence[WorldEvent],
    calm_from_ms: float,
    bounds: Bounds | None = None,
    blind: Mapping[str, str] | None = None,
) -> Judgement:
    """Judge a world that has ended. From `calm_from_ms` on nothing was wrong.

    `blind`: promises that this world cannot show at all, and why; what its events say of them is not read.
    """
    assert events, "nothing has happened"
    blind = blind or {}
    story = Story(events, calm_from_ms, bounds or Bounds())
    broken: list[Broken] = []
    reasons = dict(blind)
    for finding in _all(story):
        if finding.promise in blind:
            continue
        if isinstance(finding, Broken):
            broken.append(finding)
        else:
            reasons[finding.promise] = finding.why
    broken.sort(key=lambda one: one.at_ms)
    for one in broken:
        reasons.pop(one.promise, None)
    return Judgement(
        broken, [Unseen(promise, reasons[promise]) for promise in PROMISES if promise in reasons]
    )


def _all(story: Story) -> Iterator[_Finding]:
    for e in story.failures:
        yield Broken(SOUND, e.at_ms, f"{e.by} says: {e.data.get('text') or e.data.get('args') or e.what}")
    yield from _heard(story)
    yield from _kept(story)
    yield from _once(story)
    yield from _linked(story)
    yield from _brought(story)
    yield from _placed(story)
    for button in story.buttons.values():
        yield from _lost(button, story)
        yield from _invented(button, story)
        yield from _receipts(button, story)
        yield from _reused(button, story.bounds)
        yield from _late(button, story)
        yield from _felt(button, story)
        yield from _told(button, story)
        yield from _on_air(button)
        yield from _own_way(button, story)
        yield from _aged(button)


# -- the promises -------------------------------------------------------------------------------------


def _heard(story: Story) -> Iterator[Broken]:
    """Find HEARD of what is not on the bridge's disk, or is not after the next start."""
    for e in story.heard:
        if not e.data["on_disk"]:
            which = f"event {e.data['event']} number {e.data['counter']}"
            yield Broken(HEARD, e.at_ms, f"{e.by} says HEARD of {which}, not on its disk")
    for journal in story.journals:
        held = {tuple(press) for press in journal.data["presses"]}
        for e in story.heard:
            button, event = story.buttons.get(e.data["button"]), e.data["event"]
            if e.by != journal.by or e.at_ms > journal.at_ms or button is None or event not in (ALARM, TEST):
                continue
            if (button.device_id, event, e.data["counter"]) not in held:
                text = (
                    f"{e.by} has said HEARD of event {event} number {e.data['counter']}, and reads it no more"
                )
                yield Broken(HEARD, journal.at_ms, text)


def _kept(story: Story) -> Iterator[Broken]:
    for at_ms, incident, stage, on_disk in story.gave:
        if not on_disk:
            yield Broken(KEPT, at_ms, f"stage {stage} of {incident} was given and is not on disk")
        elif stage not in story.audit.get(incident, ()):
            text = f"stage {stage} of {incident} was given and is not there in the end"
            yield Broken(KEPT, story.end_ms, text)
    for incident, stages in story.audit.items():
        if stages != sorted(set(stages)):
            yield Broken(ORDER, story.end_ms, f"the centre wrote stages {stages} of {incident}")


def _once(story: Story) -> Iterator[Broken]:
    for press, incidents in story.incidents_of.items():
        if len(incidents) > 1:
            text = f"press {press.counter} (event {press.event}) has {', '.join(sorted(incidents))}"
            yield Broken(ONCE, sorted(incidents.values())[1], text)
    for at_ms, incident in story.two_presses:
        yield Broken(ONCE, at_ms, f"{incident} stands for two presses")


def _lost(button: ButtonStory, story: Story) -> Iterator[_Finding]:
    """Find alarms that were taken and not received, though their button still lives."""
    # Proven is enough: the power may fail while the motor still tells it.
    received = [at_ms for at_ms, stage in button.receipts if stage >= RECEIVED]
    for taken in button.felt:
        if taken.pattern != TAKEN or not button.is_alarm(taken):
            continue
        press = Press(button.device_id, *button.press_of(taken))
        if bisect_left(received, button.pressed_ms(taken)) < len(received):
            # The pulse may begin just before the code is on the air: then which press it tells of is open.
            if press.event == ALARM and not story.has(press) and not button.forgot(story.end_ms):
                yield Broken(LOST, taken.at_ms, f"{button.name} has a receipt, and the centre has no alarm")
            continue
        if button.destroyed_ms is not None:
            yield from _lost_with_its_button(button, story, taken)
        elif button.forgot(story.end_ms):
            continue
        elif story.waits_ms(since_ms := _rested_ms(button, story, taken.at_ms)) >= story.bounds.delivery_ms:
            yield Broken(LOST, taken.at_ms, f"{button.name} took an alarm, and felt no receipt to the end")
        elif not story.has(press):
            yield Unseen(LOST, f"an alarm still waits: {story.too_short(since_ms)}")
    received_at = {button.press_at(one.from_ms): one.at_ms for one in button.felt if one.pattern == RECEIVED}
    alarms = [at_ms for (event, _), at_ms in received_at.items() if event == ALARM]
    count = len(story.presses(button.device_id, ALARM))
    if len(alarms) > count and not button.forgot(story.end_ms):
        text = f"{button.name} felt {len(alarms)} alarms received, the centre has {count}"
        yield Broken(LOST, max(alarms), text)


def _rested_ms(button: ButtonStory, story: Story, since_ms: float) -> float:
    """Return from when what happened then may be waited for.

    Where there is no bridge at all, and three starts may have been the cost of a radio, that rests first.
    """
    if story.has_bridges or len(button.restarts) < 1 + 2 * _STARTS:  # each end and each start is one
        return since_ms
    return max(since_ms, button.restarts[-1] + _WARY_MS)


def _lost_with_its_button(button: ButtonStory, story: Story, taken: Vibration) -> Iterator[_Finding]:
    """Find an alarm of a broken button: a bridge that had said HEARD must bring it alone."""
    press = button.press_of(taken)
    heard_ms = button.heard.get(press)
    if heard_ms is None or story.has(Press(button.device_id, *press)):
        return
    if story.waits_ms(heard_ms) >= story.bounds.delivery_ms:
        text = f"{button.name} was told HEARD and then broken; the centre never had it"
        yield Broken(LOST, heard_ms, text)
    else:
        yield Unseen(LOST, f"a broken button's alarm still waits: {story.too_short(heard_ms)}")


def _invented(button: ButtonStory, story: Story) -> Iterator[Broken]:
    for event, gestures in ((ALARM, button.holds), (TEST, button.clicks)):
        for number, (at_ms, press) in enumerate(story.presses(button.device_id, event), 1):
            if sum(gesture <= at_ms for gesture in gestures) < number:
                text = f"the centre has press {press.counter} (event {event}) of {button.name}"
                yield Broken(INVENTED, at_ms, f"{text}, which no hand made")


def _receipts(button: ButtonStory, story: Story) -> Iterator[Broken]:
    """Every stage that is felt was given for that press before, and each once, upwards."""
    last: tuple[tuple[int, int], int] = ((0, 0), 0)
    for one in button.felt:
        if one.pattern is None:
            yield Broken(FORGED, one.at_ms, f"{button.name} vibrates in a pattern that nobody knows")
        if not isinstance(one.pattern, int):
            continue
        current = button.press_at(one.from_ms)
        gave = story.gave_press(Press(button.device_id, *current))
        if button.forgot(one.from_ms):  # and with it, which press is open: an earlier one may be again
            gave = story.gave_button(button.device_id)
        if not any(stage >= one.pattern and at <= one.from_ms for at, stage in gave):
            text = f"{button.name} feels stage {one.pattern} of event {current[0]} number {current[1]}"
            yield Broken(FORGED, one.at_ms, text)
        stage = button.stage_of(one, last[1] if last[0] == current else 0)
        if last[0] == current and stage <= last[1] and not button.forgot(one.at_ms):
            yield Broken(ORDER, one.at_ms, f"{button.name} feels stage {stage} after stage {last[1]}")
        last = (current, stage)
    yield from _begun_again(button)


def _begun_again(button: ButtonStory) -> Iterator[Broken]:
    """Find a stage that a motor began to tell, and begins to tell again after it has cost a restart."""
    begun: set[tuple[tuple[int, int], int]] = set()
    for motor_ms in button.broken_off:
        proven = [(at, stage) for at, stage in button.receipts if 0 <= motor_ms - at <= _BEGINS_MS]
        if not proven or button.forgot(motor_ms):
            continue
        at_ms, stage = proven[-1]
        told = (button.press_at(at_ms), stage)
        if stage >= RECEIVED and told in begun:
            text = f"{button.name} begins to feel stage {stage} again, which has cost a restart before"
            yield Broken(ORDER, motor_ms, text)
        begun.add(told)


def _reused(button: ButtonStory, bounds: Bounds) -> Iterator[Broken]:
    """Counters only go up; but for the spare range, which is drawn from at random."""
    highest: dict[bool, int] = {}
    codes: dict[str, Session] = {}
    for session in button.sessions:
        if button.forgot(session.at_ms):
            return
        is_press = session.event in (ALARM, TEST)
        before = codes.setdefault(session.code, session)
        what = f"{button.name}: event {session.event} number {session.counter}"
        if before is not session:
            if not is_press or _is_received(button, before, session, bounds):
                yield Broken(REUSED, session.at_ms, f"{what} is on the air again")
        elif session.counter <= highest.get(is_press, -1) < 1 << 31:
            yield Broken(REUSED, session.at_ms, f"{what} comes after {highest[is_press]}")
        highest[is_press] = max(highest.get(is_press, -1), session.counter)


def _is_received(button: ButtonStory, before: Session, again: Session, bounds: Bounds) -> bool:
    """Return whether a press had its receipt, for good, before it was on the air again.

    A TEST is one of each way there is: it has its receipt when that is felt.
    """
    if again.event == TEST and button.ways:
        felt = (one.from_ms for one in button.felt if one.pattern == RECEIVED)
        return any(before.at_ms < at_ms < again.at_ms for at_ms in felt)
    for at_ms, stage in button.receipts:
        if stage >= RECEIVED and before.at_ms < at_ms < again.at_ms:
            cut = any(at_ms <= off <= at_ms + bounds.cut_ms for off in button.ends)  # before it could be kept
            if not cut:
                return True
    return False


def _linked(story: Story) -> Iterator[Broken]:
    addresses: dict[str, Session] = {}
    codes: dict[str, str] = {}
    for button in story.buttons.values():
        for session in button.sessions:
            if addresses.setdefault(session.address, session) is not session:
                yield Broken(LINKED, session.at_ms, f"{button.name} has the address {session.address} again")
            if codes.setdefault(session.code, button.name) != button.name:
                yield Broken(LINKED, session.at_ms, f"{button.name} has another's code on the air")


def _late(button: ButtonStory, story: Story) -> Iterator[_Finding]:
    """Every later stage of the press that is open reaches the button."""
    if button.destroyed_ms is not None or button.forgot(story.end_ms):
        return
    press = Press(button.device_id, *button.press_at(story.end_ms))
    if press.event != ALARM:
        return
    sessions = [one.at_ms for one in button.sessions if (one.event, one.counter) == press[1:]]
    reached = max((stage for at, stage in button.receipts if at >= sessions[0]), default=0)
    stages: dict[int, float] = {}
    for incident in story.incidents_of.get(press, ()):
        stages |= dict.fromkeys(story.audit.get(incident, ()), 0.0)
    for at_ms, stage in story.gave_press(press):
        stages[stage] = stages.get(stage) or at_ms
    for stage, at_ms in stages.items():
        if stage <= reached:
            continue
        if story.waits_ms(_rested_ms(button, story, at_ms)) >= story.bounds.delivery_ms:
            text = f"{button.name} has not felt stage {stage} within the bound"
            yield Broken(LATE, at_ms or story.end_ms, text)
        else:
            yield Unseen(LATE, f"stage {stage} is not felt yet: {story.too_short(at_ms)}")


def _felt(button: ButtonStory, story: Story) -> Iterator[_Finding]:
    """Find holds that were not taken by a button that was on, and stayed on."""
    for down_ms, up_ms in button.presses:
        until_ms = down_ms + story.bounds.hold_ms_sure + story.bounds.taken_ms
        if up_ms - down_ms < story.bounds.hold_ms_sure or not button.was_on(down_ms, until_ms):
            continue
        if any(one.pattern == TAKEN and down_ms <= one.from_ms <= until_ms for one in button.felt):
            continue
        if until_ms > story.end_ms:
            yield Unseen(FELT, "the play ends while a finger is on the button")
        else:
            yield Broken(
                FELT, up_ms, f"{button.name} was held for {(up_ms - down_ms) / 1000:.1f} s, and not taken"
            )


def _told(button: ButtonStory, story: Story) -> Iterator[_Finding]:
    taken = [one for one in button.felt if one.pattern == TAKEN]
    for number, one in enumerate(taken):
        until_ms = _told_until_ms(button, one.at_ms, story.bounds)
        if until_ms is None or button.forgot(until_ms):
            continue
        again = number + 1 < len(taken) and taken[number + 1].from_ms < until_ms
        if again or _has_been_told(button, one.at_ms, until_ms):
            continue
        if until_ms > story.end_ms:
            yield Unseen(
                TOLD, f"the play ends {(story.end_ms - one.at_ms) / 1000:.0f} s after the hand felt taken"
            )
        else:
            text = f"{button.name} took a press, and its hand felt nothing for a minute"
            yield Broken(TOLD, one.at_ms, text)


def _told_until_ms(button: ButtonStory, taken_ms: float, bounds: Bounds) -> float | None:
    """Return until when the hand must be told; None where the button is dead by then, or in the act of it.

    From the press on, whatever resets there are. Where the power was off, the clock was lost with it: from
    the first start after that, and at the second one at once: if the first has lived to write that it was.
    """
    since_ms, until_ms, is_second = taken_ms, taken_ms + bounds.told_ms, False
    for off_ms in (off_ms for off_ms in button.power_off if off_ms >= taken_ms):
        if off_ms > until_ms:
            break
        # What is told is written down first, and not told again.
        if abs(off_ms - since_ms - _CONFIRM_MS) <= _TELLING_MS:
            return None
        starts = [at_ms for at_ms in button.starts_after_loss if at_ms > off_ms]
        if not starts:
            return None
        is_cut = any(starts[0] <= end_ms <= starts[0] + bounds.cut_ms for end_ms in button.power_off)
        if is_second and is_cut:
            return None
        since_ms = starts[0]
        until_ms = since_ms + (_AT_ONCE_MS if is_second else bounds.told_ms)
        is_second |= not is_cut
    return until_ms


def _has_been_told(button: ButtonStory, from_ms: float, until_ms: float) -> bool:
    """Return whether the hand felt a receipt or *not confirmed*, or would have, but for the power."""
    for one in button.felt:
        is_answer = isinstance(one.pattern, int) or one.pattern == NOT_CONFIRMED
        if is_answer and from_ms < one.at_ms <= until_ms:
            return True
    begun = [*button.broken_off, *(at_ms for at_ms, stage in button.receipts if stage >= RECEIVED)]
    return any(from_ms < at_ms <= until_ms and button.ended_about(at_ms, _ABOUT_MS) for at_ms in begun)


def _on_air(button: ButtonStory) -> Iterator[Broken]:
    """Find presses that fell silent before they were received, though their button went on.

    An ALARM that a way of the button's own has brought is on the air until a bridge has it, too.
    """
    presses = [one for one in button.sessions if one.event in (ALARM, TEST)]
    ends = [*button.restarts, *(one.at_ms for one in button.sessions)]
    for one in presses:
        off = (at_ms for at_ms in button.power_off if at_ms >= one.at_ms)
        until_ms = min([one.at_ms + _ON_AIR_FOR_MS, *off, *(at_ms for at_ms in ends if at_ms > one.at_ms)])
        until_ms = min(until_ms, _needs_no_air_ms(button, one))
        for silent_ms, sends_ms in button.silences:
            if min(sends_ms, until_ms) - max(silent_ms, one.at_ms) > _SILENT_MS_MAX:
                text = f"{button.name} falls silent while event {one.event} number {one.counter} waits"
                yield Broken(ON_AIR, silent_ms, text)
                break


def _needs_no_air_ms(button: ButtonStory, session: Session) -> float:
    """Return from when a press has its receipt, and some bridge has the press."""
    later = [(at_ms, stage) for at_ms, stage in button.receipts if at_ms > session.at_ms]
    received = [at_ms for at_ms, stage in later if stage >= RECEIVED]
    over = [at_ms for at_ms, stage in later if stage == CLOSED or (session.event == TEST and stage)]
    bridges = [at_ms for at_ms, _ in button.by_bluetooth if at_ms > session.at_ms]
    both = [max(received[0], bridges[0])] if received and bridges else []
    return min([*both, *over], default=math.inf)


def _own_way(button: ButtonStory, story: Story) -> Iterator[_Finding]:
    """Find alarms that an open way of the button's own has not brought, whatever became of Bluetooth.

    Nothing is promised for a while after a start that may have been a radio's: the next one waits.
    """
    received = [at_ms for at_ms, stage in button.receipts if stage >= RECEIVED]
    for taken in button.felt:
        if taken.pattern != TAKEN or not button.is_alarm(taken) or not button.ways:
            continue
        since_ms = button.pressed_ms(taken)
        was_calm = button.restarts and not any(
            since_ms - _WARY_MS < at_ms <= since_ms for at_ms in button.restarts[1:]
        )
        if not was_calm or button.forgot(since_ms):
            continue
        from_ms = min(since_ms, taken.from_ms)
        for carrier, bound_ms in story.bounds.own_way_ms.items():
            until_ms = taken.at_ms + bound_ms
            if carrier not in button.ways or not button.way_is_open(carrier, from_ms, until_ms):
                continue
            if not button.was_on(from_ms, until_ms) or any(from_ms <= at <= until_ms for at in received):
                continue
            if until_ms > story.end_ms:
                yield Unseen(OWN_WAY, "the play ends before a way of its own must have brought a receipt")
            else:
                text = f"{button.name} could reach the centre by {carrier}, and has no receipt"
                yield Broken(OWN_WAY, taken.at_ms, f"{text} after {bound_ms / 1000:.0f} s")


def _brought(story: Story) -> Iterator[Broken]:
    """Find receipts that a bridge says a button has, which it has not.

    Nothing is promised where somebody else passed its own state on: a later code finds the button again.
    """
    buttons = {button.device_id: button for button in story.buttons.values()}
    for at_ms, bridge, press, stage in story.brought:
        button = buttons.get(press.device_id)
        if button is None or stage < RECEIVED or button.ended_about(at_ms, _ABOUT_MS):
            continue
        if any(passed_ms <= at_ms for passed_ms in button.passed_on):
            continue
        since_ms = button.first_on_air_ms((press.event, press.counter)) or 0.0
        has = (
            proven_ms for proven_ms, proven in button.receipts if proven >= stage and proven_ms >= since_ms
        )
        if not any(proven_ms <= at_ms + _ABOUT_MS for proven_ms in has):
            text = f"{bridge} says that {button.name} has stage {stage} of event {press.event}"
            yield Broken(BROUGHT, at_ms, f"{text} number {press.counter}, which it has not")


def _aged(button: ButtonStory) -> Iterator[Broken]:
    for told in button.ages:
        since_ms = button.first_on_air_ms(told.which)
        if since_ms is None or button.forgot(told.at_ms):
            continue
        true_ms = told.at_ms - since_ms
        room_ms = _AGE_MS + _AGE_SHARE * true_ms
        is_too_young = not told.is_lower_bound and told.age_ms < true_ms - room_ms
        if is_too_young or told.age_ms > true_ms + room_ms:
            text = f"{button.name} says that its press of {true_ms / 1000:.0f} s is"
            at_least = " at least" if told.is_lower_bound else ""
            yield Broken(AGED, told.at_ms, f"{text}{at_least} {told.age_ms / 1000:.0f} s old")


def _placed(story: Story) -> Iterator[Broken]:
    """Find alarms whose newest position, in the end, is none at which a phone has lately been."""
    lately = [
        (lat, lon) for at_ms, lat, lon in story.places if at_ms > story.end_ms - story.bounds.delivery_ms
    ]
    if not lately:
        return
    for incident, stages in story.audit.items():
        press = story.press_of[incident]
        begun_ms = story.incidents_of[press][incident]
        # One that its button alone has brought is followed by nobody.
        is_followed = press.event == ALARM and CLOSED not in stages and story.bridge_has(press)
        is_settled = story.waits_ms(begun_ms) >= story.bounds.delivery_ms
        if not (is_followed and is_settled) or story.end_ms - story.pressed_ms(press) > _FOLLOWED_MS:
            continue
        position = story.position_of.get(incident)
        if position is None:
            yield Broken(PLACED, story.end_ms, f"{incident} has no position, and its phone knows where it is")
        elif min(_metres(position, place) for place in lately) > _FAR_M:
            text = f"{incident} is shown where no phone was in the last minutes"
            yield Broken(PLACED, story.end_ms, text)


def _metres(one: tuple[float, float], other: tuple[float, float]) -> float:
    east = (one[1] - other[1]) * math.cos(math.radians(one[0]))
    return math.hypot(one[0] - other[0], east) * _METRES_PER_DEGREE
