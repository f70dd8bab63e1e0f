"""A press on the phone: what every event does in every phase, and what holds in whatever order they come."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.model import CallOff, Fix, Key, Press, Waypoint, rfc3339
from bridge.rules.expected_codes import Sighting
from bridge.rules.press_flow import Action, Do, Keep, Log, Now, Phase, Post, PressFlow, Refusal, new_press
from bridge.rules.retry_queue import Kind
from bridge.rules.tracking import CALLED_OFF_MS
from bridge.rules.visit import Then, Visit, Write
from wire import codes, receipts, state

WALL_MS = 1_793_266_930_000
NOW = Now(WALL_MS, 50_000)
KEY = Key("DEVICEA" + "A" * 9, codes.ALARM, 7)
CODE, PROOF, PIN = b"c" * 16, b"p" * 16, "2468"
HOUR_MS = 3_600_000
FIX = Fix(50.8466, 4.3528, 18.0, 0.95, "GNSS", "2026-10-29T09:41:55.000Z", "gpsd")
OPEN_STATE = state.State(150, state.OPEN, 3, KEY.counter)
REVOKED = Refusal("revoked", 403, True, "the centre refused")


def flow_in(phase: Phase, key: Key = KEY) -> PressFlow:
    """Return an alarm that has come to `phase` in the ordinary way, at a phone that knows where it is."""
    flow = PressFlow(new_press(key, WALL_MS, None), CODE, NOW.boottime_ms, follow_every_s=10)
    flow.heard(-60)
    if phase is not Phase.KEEPING:
        flow.kept(NOW)
    if phase in (Phase.OPEN, Phase.OVER):
        flow.answered(Kind.ALARM, "i", receipts.RECEIVED, PROOF, age_sent=False)
    if phase is Phase.OVER:
        flow.proven(receipts.CLOSED, PROOF, "2")
    assert flow.phase is phase
    return flow


def kinds(actions: list[Action] | None) -> list[Any]:
    """Return what is asked for, without the rows and the log's fields."""
    return [
        (Keep, action.first)
        if isinstance(action, Keep)
        else action.kind
        if isinstance(action, Post)
        else action.what
        if isinstance(action, Log)
        else action
        for action in actions or ()
    ]


FIRST, LATER = (Keep, True), (Keep, False)
K, P, O, V = Phase.KEEPING, Phase.POSTING, Phase.OPEN, Phase.OVER  # noqa: E741 -- the table's columns


def _given_pin(flow: PressFlow) -> None:
    flow.call_off(PIN)
    flow.pin_to_send()


def _taken(flow: PressFlow) -> list[Action]:
    _given_pin(flow)
    return flow.call_off_taken(NOW)


def _refused(reason: str) -> Callable[[PressFlow], list[Action] | None]:
    def refuse(flow: PressFlow) -> list[Action] | None:
        _given_pin(flow)
        return flow.refused(Kind.CALL_OFF, Refusal(reason, 403, True, ""))

    return refuse


def _revoked(kind: Kind) -> Callable[[PressFlow], list[Action] | None]:
    return lambda flow: flow.refused(kind, REVOKED)


@dataclass(frozen=True)
class Row:
    """One line of the table: what happens, and per phase the phase after it and what is asked for."""

    name: str
    happens: Callable[[PressFlow], list[Action] | None]
    then: dict[Phase, tuple[Phase, list[Any]]]


STARTS_POSTING = (P, [Kind.ALARM, Do.WATCH, Do.BRING, "heard"])
TABLE = [
    Row("kept", lambda f: f.kept(NOW), {K: STARTS_POSTING, P: (P, []), O: (O, []), V: (V, [])}),
    Row("slow disk", lambda f: f.disk_is_slow(NOW), {K: STARTS_POSTING, P: (P, []), O: (O, []), V: (V, [])}),
    Row(
        "answered",
        lambda f: f.answered(Kind.ALARM, "i", receipts.RECEIVED, PROOF, age_sent=False),
        {
            P: (O, [Do.BRING, LATER, Do.FOLLOW, "received"]),
            O: (O, [LATER, Do.FOLLOW, "received"]),
            V: (V, [LATER, "received"]),
        },
    ),
    Row(
        "answered, closed already",
        lambda f: f.answered(Kind.ALARM, "i", receipts.CLOSED, PROOF, age_sent=False),
        {P: (V, [Do.BRING, LATER, "received"]), O: (V, [Do.BRING, LATER, "received"])},
    ),
    Row(
        "the age answered",
        lambda f: f.answered(Kind.AGE, "i", receipts.RECEIVED, PROOF, age_sent=True),
        {O: (O, [Do.FOLLOW, FIRST, "age"]), V: (V, [FIRST, "age"])},
    ),
    Row(
        "acknowledged",
        lambda f: f.proven(receipts.ACKNOWLEDGED, PROOF, "2"),
        {O: (O, [Do.BRING, LATER]), V: (V, [LATER])},
    ),
    Row(
        "closed",
        lambda f: f.proven(receipts.CLOSED, PROOF, "3"),
        {O: (V, [Do.BRING, LATER]), V: (V, [LATER])},
    ),
    Row(
        "written",
        lambda f: f.taken(receipts.RECEIVED),
        {O: (O, ["receipt", LATER]), V: (V, ["receipt", LATER])},
    ),
    Row(
        "state read",
        lambda f: f.state_read(OPEN_STATE, NOW.boottime_ms),
        {K: (K, [FIRST]), P: (P, [FIRST]), O: (O, [FIRST, Kind.AGE]), V: (V, [FIRST, Kind.AGE])},
    ),
    Row(
        "contact read",
        lambda f: f.contact_read(OPEN_STATE, NOW.boottime_ms),
        {K: (K, [FIRST]), P: (P, [FIRST]), O: (O, [FIRST, Kind.AGE, Do.FOLLOW]), V: (V, [FIRST, Kind.AGE])},
    ),
    Row(
        "call-off given",
        lambda f: f.call_off(PIN),
        {K: (K, [FIRST]), P: (P, [FIRST]), O: (O, [FIRST, Kind.CALL_OFF]), V: (V, [FIRST, Kind.CALL_OFF])},
    ),
    Row(
        "call-off taken",
        _taken,
        {
            O: (O, ["call_off", FIRST, Do.CALL_OFF_ANSWERED]),
            V: (V, ["call_off", FIRST, Do.CALL_OFF_ANSWERED]),
        },
    ),
    *(
        Row(
            f"PIN refused: {reason}",
            _refused(reason),
            {O: (O, ["call_off", FIRST, Do.CALL_OFF_ANSWERED])},
        )
        for reason in ("wrong_pin", "bad_pin", "pin_locked", "no_pin")
    ),
    Row(
        "a position is there",
        lambda f: f.tick(NOW, FIX),
        {K: (K, []), P: (P, [FIRST]), O: (O, [FIRST, Kind.FIXES]), V: (V, [])},
    ),
    Row(
        "no position is there", lambda f: f.tick(NOW, None), {K: (K, []), P: (P, []), O: (O, []), V: (V, [])}
    ),
    Row("the age refused for good", lambda f: f.refused(Kind.AGE, REVOKED), {O: (O, ["trouble"])}),
    *(
        Row(
            f"{kind.name} refused: tried again",
            _revoked(kind),
            {phase: (phase, [])},
        )
        for kind, phase in ((Kind.ALARM, P), (Kind.CALL_OFF, O), (Kind.FIXES, O))
    ),
]


@pytest.mark.parametrize(
    ("row", "phase"),
    [pytest.param(row, phase, id=f"{row.name}, {phase.name}") for row in TABLE for phase in row.then],
)
def test_the_table(row: Row, phase: Phase) -> None:
    """Every event in every phase in which it can happen: the phase after it, and what is asked for."""
    flow = flow_in(phase)
    actions = row.happens(flow)
    assert (flow.phase, kinds(actions)) == row.then[phase]


def test_nothing_is_posted_before_its_row_is_on_disk_or_the_disk_has_had_its_time() -> None:
    """To hear a press asks for a connection, over which nothing is said, and to keep it first."""
    flow = PressFlow(new_press(KEY, WALL_MS, None), CODE, NOW.boottime_ms)
    assert flow.heard(-60) == [Do.CONNECT, Keep((flow.press,), first=True)]
    with pytest.raises(AssertionError):
        flow.answered(Kind.ALARM, "i", receipts.RECEIVED, PROOF, age_sent=False)


def test_a_slow_disk_posts_and_keeps_heard_back() -> None:
    """The alarm goes on from memory; HEARD waits until the row is there, and is then brought."""
    flow = PressFlow(new_press(KEY, WALL_MS, None), CODE, NOW.boottime_ms)
    flow.heard(-60)
    flow.disk_is_slow(NOW)
    assert (flow.phase, flow.is_kept) == (Phase.POSTING, False)
    assert flow.kept(NOW) == [Do.BRING]
    assert flow.is_kept


def test_a_test_press_is_over_when_it_is_received() -> None:
    """No stream, no positions."""
    flow = flow_in(Phase.POSTING, Key(KEY.device_id, codes.TEST, 1))
    actions = flow.answered(Kind.TEST, "i", receipts.RECEIVED, PROOF, age_sent=False)
    assert flow.phase is Phase.OVER
    assert kinds(actions) == [Do.BRING, LATER, "received"]


def test_what_came_meanwhile_is_posted_after_the_alarm_itself() -> None:
    """Position, age and call-off that came while the centre was away, in one answer."""
    flow = flow_in(Phase.POSTING)
    flow.tick(NOW, FIX)
    flow.state_read(OPEN_STATE, NOW.boottime_ms)
    flow.call_off(PIN)
    actions = flow.answered(Kind.ALARM, "i", receipts.RECEIVED, PROOF, age_sent=False)
    assert kinds(actions)[-3:] == [Kind.FIXES, Kind.AGE, Kind.CALL_OFF]


def test_an_age_that_went_with_the_post_is_not_owed() -> None:
    """It is told once."""
    flow = flow_in(Phase.POSTING)
    flow.state_read(OPEN_STATE, NOW.boottime_ms)
    actions = flow.answered(Kind.ALARM, "i", receipts.RECEIVED, PROOF, age_sent=True)
    assert Kind.AGE not in kinds(actions)


@pytest.mark.parametrize(
    ("press", "phase", "asked"),
    [
        (Press(*KEY, WALL_MS), Phase.POSTING, [Kind.ALARM, Do.WATCH]),
        (Press(*KEY, WALL_MS, incident="i", stage=1), Phase.OPEN, [Do.FOLLOW, Do.WATCH]),
        (Press(*KEY, WALL_MS, incident="i", stage=4), Phase.OVER, []),
        (Press(*KEY, WALL_MS, incident="i", stage=1, age_s=5), Phase.OPEN, [Do.FOLLOW, Do.WATCH, Kind.AGE]),
        (
            Press(*KEY, WALL_MS, incident="i", stage=1, call_off=CallOff.KEPT, pin=PIN),
            Phase.OPEN,
            [Do.FOLLOW, Do.WATCH, Kind.CALL_OFF],
        ),
        (Press(*KEY, WALL_MS, incident="i", stage=1, follow_left_ms=0), Phase.OPEN, [Do.FOLLOW]),
        (Press(*KEY, WALL_MS - 3 * HOUR_MS, incident="i", stage=1, follow_left_ms=0), Phase.OPEN, []),
        # By a clock that may have been set it is a year old; it was followed for a minute.
        (
            Press(*KEY, WALL_MS - 8760 * HOUR_MS, incident="i", stage=1, follow_left_ms=2 * HOUR_MS - 60_000),
            Phase.OPEN,
            [Do.FOLLOW, Do.WATCH],
        ),
    ],
)
def test_a_restart_goes_on_where_the_row_says(press: Press, phase: Phase, asked: list[Any]) -> None:
    """Posted if it was not answered, followed if it is open, and what is owed is posted."""
    flow = PressFlow(press, CODE, NOW.boottime_of(press.heard_at_ms), follow_every_s=10)
    assert kinds(flow.resumed(NOW)) == asked
    assert (flow.phase, flow.is_kept) == (phase, True)


@pytest.mark.parametrize("has_positions", [True, False])
@pytest.mark.parametrize("seed", range(10))
def test_a_position_is_followed_for_two_hours_of_running_whatever_the_clock_says(
    seed: int, has_positions: bool
) -> None:
    """Killed again and again, its clock set by years meanwhile: the row says how much is left."""
    chance = random.Random(seed)
    flow, boottime_ms, ran_ms = flow_in(Phase.OPEN), NOW.boottime_ms, 0
    row, wall_off_ms, kills = flow.press, WALL_MS, 0
    kill_ms = boottime_ms + chance.randint(60_000, 40 * 60_000)
    while (wait_ms := flow.wait_ms(now := Now(boottime_ms + wall_off_ms, boottime_ms))) is not None:
        boottime_ms, ran_ms = boottime_ms + wait_ms, ran_ms + wait_ms
        now = Now(boottime_ms + wall_off_ms, boottime_ms)
        fix = replace(FIX, taken_at=rfc3339(WALL_MS + ran_ms), arrived_ms=boottime_ms)
        for action in flow.tick(now, fix if has_positions else None):
            if isinstance(action, Keep):
                row = next((one for one in action.rows if isinstance(one, Press)), row)
        if boottime_ms >= kill_ms:
            kills += 1
            boottime_ms += chance.randint(0, 9 * HOUR_MS)  # it was off, who knows for how long
            kill_ms = boottime_ms + chance.randint(60_000, 40 * 60_000)
            wall_off_ms = WALL_MS + chance.choice((0, 3 * HOUR_MS, -3 * HOUR_MS, 9000 * HOUR_MS))
            now = Now(boottime_ms + wall_off_ms, boottime_ms)
            flow = PressFlow(row, CODE, now.boottime_of(row.heard_at_ms), follow_every_s=10)
            flow.resumed(now)
    assert 2 * HOUR_MS <= ran_ms <= 2 * HOUR_MS + 61_000 * kills
    assert row.follow_left_ms == 0


def test_a_call_off_shortens_what_is_left_over_a_restart_too() -> None:
    """A quarter of an hour, whatever the clock says by then; a second one makes it no longer."""
    flow = flow_in(Phase.OPEN)
    flow.call_off(PIN)
    flow.pin_to_send()
    flow.call_off_taken(NOW)
    assert flow.press.follow_left_ms == CALLED_OFF_MS
    later = Now(WALL_MS - 8760 * HOUR_MS, NOW.boottime_ms)
    again = PressFlow(flow.press, CODE, later.boottime_of(WALL_MS), follow_every_s=10)
    again.resumed(later)
    assert again.wait_ms(Now(0, later.boottime_ms + CALLED_OFF_MS - 1)) is not None
    assert again.wait_ms(Now(0, later.boottime_ms + CALLED_OFF_MS)) is None


def test_a_second_pin_given_while_the_first_is_on_its_way_is_sent() -> None:
    """The first one's answer does not take it along."""
    flow = flow_in(Phase.OPEN)
    flow.call_off("9999")
    flow.pin_to_send()
    flow.call_off(PIN)
    actions = flow.refused(Kind.CALL_OFF, Refusal("wrong_pin", 403, True, ""))
    assert kinds(actions)[-1] is Kind.CALL_OFF
    assert (flow.press.pin, flow.press.call_off) == (PIN, CallOff.KEPT)


def test_positions_that_are_posted_are_not_posted_again() -> None:
    """Those that came meanwhile are."""
    flow = flow_in(Phase.OPEN)
    first, second = (Waypoint(KEY, f"2026-10-29T09:41:5{n}.000Z", {}) for n in (1, 2))
    flow.waypoints = [first]
    assert flow.batch() == [first]
    flow.waypoints.append(second)
    assert kinds(flow.fixes_taken()) == ["fixes", FIRST, Kind.FIXES]
    assert flow.waypoints == [second]


def test_positions_that_nobody_wants_are_given_up() -> None:
    """A closed incident takes none; also none that came meanwhile is kept back for it."""
    flow = flow_in(Phase.OPEN)
    flow.waypoints = [Waypoint(KEY, "2026-10-29T09:41:51.000Z", {})]
    flow.batch()
    actions = flow.refused(Kind.FIXES, Refusal("incident_closed", 409, True, ""))
    assert kinds(actions) == ["trouble", FIRST]
    assert flow.waypoints == []


@pytest.mark.parametrize("seed", range(20))
def test_a_position_that_the_centre_refuses_costs_itself_alone(seed: int) -> None:
    """It takes all of a post or none; whichever are wrong, the others arrive, in few more posts."""
    chance = random.Random(seed)
    flow = flow_in(Phase.OPEN)
    total = chance.choice([1, 2, 20, 64, 120])
    flow.waypoints = [Waypoint(KEY, f"{n:04}", {"bad": chance.random() < 0.05}) for n in range(total)]
    good = [waypoint.taken_at for waypoint in flow.waypoints if not waypoint.fix["bad"]]
    stored: list[str] = []
    posts = 0
    while flow.waypoints:
        batch, posts = flow.batch(), posts + 1
        if any(waypoint.fix["bad"] for waypoint in batch):
            actions = flow.refused(Kind.FIXES, Refusal("bad_fix", 422, True, "fixes[1].radius_m"))
        else:
            stored += [waypoint.taken_at for waypoint in batch]
            actions = flow.fixes_taken()
        assert not flow.waypoints or kinds(actions)[-1] is Kind.FIXES, f"seed {seed}: the rest waits"
    assert stored == good, seed
    assert posts <= 2 + 16 * (total - len(good)), seed


def test_an_incident_that_takes_no_more_positions_is_not_asked_one_by_one() -> None:
    """The centre has enough of them."""
    flow = flow_in(Phase.OPEN)
    flow.waypoints = [Waypoint(KEY, f"{n:04}", {}) for n in range(64)]
    flow.batch()
    flow.refused(Kind.FIXES, Refusal("too_many_fixes", 422, True, ""))
    assert flow.waypoints == []


def test_a_code_that_comes_again_after_its_receipt_is_a_recording() -> None:
    """Not within ten minutes: a button whose power fails right then starts again with it."""
    flow = flow_in(Phase.OPEN)
    assert not flow.is_over_on_air(NOW.boottime_ms + 3_600_000)
    flow.taken(receipts.RECEIVED)
    assert not flow.is_over_on_air(NOW.boottime_ms + 600_000)
    assert flow.is_over_on_air(NOW.boottime_ms + 600_001)


# -- whatever happens, in whatever order ----------------------------------------------------------------


@dataclass
class World:
    """What carries out the actions, with a disk, a centre and a button that may do so late."""

    event: int
    flow: PressFlow = field(init=False)
    disk: list[Press] = field(default_factory=list)
    disk_waits: list[tuple[Any, ...]] = field(default_factory=list)
    jobs: dict[Kind, None] = field(default_factory=dict)
    incidents: set[str] = field(default_factory=set)
    centre_stage: int = receipts.HEARD
    pins_answered: set[str] = field(default_factory=set)
    visit: Visit | None = None
    felt: list[int] = field(default_factory=list)  # stages as the button took them
    was_posted: bool = False

    def __post_init__(self) -> None:
        self.key = Key(KEY.device_id, self.event, KEY.counter)
        self.flow = PressFlow(new_press(self.key, WALL_MS, None), CODE, NOW.boottime_ms, follow_every_s=10)
        self.do(self.flow.heard(-60))

    def do(self, actions: list[Action] | None) -> None:
        """Carry out actions as tasks/presses.py does."""
        for number, action in enumerate(actions or ()):
            if isinstance(action, Keep):
                self.disk_waits.append((action.rows, (actions or [])[number + 1 :] if action.first else []))
                if action.first:
                    return
            elif isinstance(action, Post):
                assert self.disk or self.disk_is_slow, "posted before it is on disk"
                self.jobs[action.kind] = None

    disk_is_slow = False

    # What may happen. Each says by returning early that it cannot happen now.

    def disk_writes(self) -> None:
        if not self.disk_waits:
            return
        rows, rest = self.disk_waits.pop(0)
        self.disk += [row for row in rows if isinstance(row, Press)]
        self.do(self.flow.kept(NOW))
        self.do(rest)

    def disk_hangs(self) -> None:
        self.disk_is_slow = True
        self.do(self.flow.disk_is_slow(NOW))

    def centre_answers(self) -> None:
        kind = next(iter(self.jobs), None)
        if kind is None:
            return
        self.jobs.pop(kind)
        if kind is Kind.CALL_OFF:
            pin = self.flow.pin_to_send()
            if pin is not None:
                self.pins_answered.add(pin)
                self.do(self.flow.call_off_taken(NOW))
        elif kind is Kind.FIXES:
            self.flow.batch()
            self.do(self.flow.fixes_taken())
        else:
            self.incidents.add(f"{self.flow.key}")
            self.centre_stage = max(self.centre_stage, receipts.RECEIVED)
            incident, age_sent = f"{self.flow.key}", self.flow.press.age_s is not None
            self.do(self.flow.answered(kind, incident, self.centre_stage, PROOF, age_sent))

    def pin_is_wrong(self) -> None:
        if Kind.CALL_OFF not in self.jobs:
            return
        pin = self.flow.pin_to_send()
        if pin is None:
            return
        del self.jobs[Kind.CALL_OFF]
        self.pins_answered.add(pin)
        self.do(self.flow.refused(Kind.CALL_OFF, Refusal("wrong_pin", 403, True, "")))

    def operator_acts(self) -> None:
        if self.flow.wants_receipts:
            self.centre_stage = min(self.centre_stage + 1, receipts.CLOSED)
            self.do(self.flow.proven(self.centre_stage, PROOF, "9"))

    def an_old_event_comes_again(self) -> None:
        if self.flow.wants_receipts:
            self.do(self.flow.proven(receipts.RECEIVED, PROOF, "1"))

    def pin_is_given(self) -> None:
        if self.event == codes.ALARM and PIN not in self.pins_answered:
            self.do(self.flow.call_off(PIN))

    def another_pin_is_given(self) -> None:
        if self.event == codes.ALARM and "9999" not in self.pins_answered:
            self.do(self.flow.call_off("9999"))

    def link_comes(self) -> None:
        self.visit = Visit(Sighting(*self.key, "", new=False, stale=False))

    def link_goes(self) -> None:
        self.visit = None

    def visit_goes_on(self) -> None:
        if self.visit is None:
            return
        press = self.flow.press
        step = self.visit.next(press, self.flow.is_kept)
        if isinstance(step, Write):
            if step.stage == receipts.HEARD:
                assert self.disk, "HEARD is said, and the press is not on disk"
            else:
                assert step.stage == press.stage <= self.centre_stage, (
                    "a stage that the centre has not proven"
                )
                self.felt.append(step.stage)
            self.visit.wrote(step.stage)
            self._count(self.visit)
        elif step is Then.READ_STATE:
            self.state_is_read()
        elif step is Then.LEAVE:
            self.visit = None

    def state_is_read(self) -> None:
        if self.event == codes.ALARM:
            self.do(self.flow.state_read(OPEN_STATE, NOW.boottime_ms))
        if self.visit is not None:
            self.visit.proved()
            self._count(self.visit)

    def _count(self, visit: Visit) -> None:
        if visit.taken is not None:
            self.do(self.flow.taken(visit.taken))

    def phone_moves(self) -> None:
        self.do(self.flow.tick(NOW, FIX))

    def phone_restarts(self) -> None:
        """What is on disk goes on; what is not was never said to be."""
        if not self.disk:
            return
        self.jobs.clear()
        self.disk_waits.clear()
        self.visit = None
        self.flow = PressFlow(self.disk[-1], CODE, NOW.boottime_ms, follow_every_s=10)
        self.pins_answered.discard(self.flow.press.pin or "")  # the answer was not kept: it is asked again
        self.do(self.flow.resumed(NOW))


EVENTS = [name for name in vars(World) if not name.startswith("_") and name not in ("do", "disk_is_slow")]
EVENTS = [name for name in EVENTS if callable(getattr(World, name))]


@settings(max_examples=150, deadline=None)
@given(
    event=st.sampled_from(codes.PRESSES),
    names=st.lists(st.sampled_from(sorted(EVENTS)), min_size=1, max_size=40),
)
def test_what_holds_whatever_happens(event: int, names: list[str]) -> None:
    """On disk before it is said; one incident; stages only rise; no PIN is left after its answer."""
    world = World(event)
    for name in names:
        before = world.flow.press
        getattr(world, name)()
        press = world.flow.press
        assert press.key == world.key
        assert len(world.incidents) <= 1
        if name != "phone_restarts":
            assert press.stage >= before.stage
            assert press.delivered >= before.delivered
        assert press.delivered <= max(world.felt, default=0)
        assert press.delivered <= press.stage
        assert press.pin not in world.pins_answered
    # Then the disk and the centre do what they must: everything has arrived, and no PIN is left anywhere.
    for _ in range(60):
        world.disk_writes()
        world.centre_answers()
    assert len(world.incidents) == 1
    assert world.disk[-1].incident is not None
    assert world.disk[-1].pin is None
