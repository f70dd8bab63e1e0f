"""What is to happen in a world, as plain data: acts of people, and faults that begin and end.

A schedule is drawn from a seed, can be made smaller step by step, and is written down in one line.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from random import Random

from sim.faults import (
    BUTTON,
    CENTRE,
    FAULTS,
    LTE,
    LTE_FAULTS,
    PHONE,
    UDP_FAULTS,
    VIRTUAL,
    WIFI,
    WIFI_FAULTS,
    drawn_for,
)
from sim.judge.story import Bounds
from wire import receipts

BOUND_S = Bounds().delivery_ms / 1000  # from the last fault's end on
MINUTES = 10
MINUTES_MAX = 600
HELD_SHARE = 0.6  # of the time in which something happens, a hold's longest
SETTLE_S = 8.0  # from power-on until all are there: nothing begins before

ACTS = ("hold", "clicks", "tap", "operate", "call_off", "walk")
PIN, DURESS_PIN, WRONG_PIN = "1234", "4321", "9999"


@dataclass(frozen=True, slots=True)
class Step:
    """`what` of ACTS and sim/faults.py happens to `who`, `at_s` from the beginning and for `for_s`."""

    at_s: float
    what: str
    who: str = ""
    for_s: float = 0.0
    value: float | str = 0

    @property
    def end_s(self) -> float:
        return self.at_s + self.for_s

    def __str__(self) -> str:
        parts = [f"{self.at_s:8.1f} s  {self.what}", self.who]
        parts += [f"for {self.for_s:.1f} s"] if self.for_s else []
        parts += [str(self.value)] if self.value else []
        return " ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class Schedule:
    """A world and what happens in it. `seed` is everything else that is left to chance."""

    seed: int
    steps: tuple[Step, ...] = ()
    minutes: float = MINUTES
    buttons: int = 1
    phones: int = 1
    loss: float = 0.0  # of the air, while nothing is wrong with it
    filtered: bool = False  # phones scan by a list of codes
    repeats: bool = True  # phones report an unchanged advert again
    fixes: bool = False  # phones know where they are
    alive_period_s: int = 900
    direct: str = "off"  # when a button reaches for the centre by itself
    carriers: str = WIFI  # by what, the preferred one first: `lte wifi`

    def with_steps(self, steps: Sequence[Step]) -> "Schedule":
        return replace(self, steps=tuple(steps))

    @property
    def faults_end_s(self) -> float:
        return max((step.end_s for step in self.steps), default=0.0)

    def written(self) -> str:
        """One line, from which `read` makes the same again; what is as usual is left out."""
        data = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != f.default}
        return json.dumps(data | {"steps": [_written(step) for step in self.steps]}, separators=(",", ":"))


def _written(step: Step) -> list[float | str]:
    return [step.at_s, step.what, step.who, step.for_s, step.value]


def read(text: str) -> Schedule:
    """Raises ValueError with a sentence."""
    try:
        data = json.loads(text)
        schedule = Schedule(**(data | {"steps": tuple(Step(*step) for step in data["steps"])}))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"this is not a schedule: {error}") from None
    for step in schedule.steps:
        _check(step, schedule)
    return schedule


def _check(step: Step, schedule: Schedule) -> None:
    """Raise ValueError with a sentence where this world cannot carry it out."""
    known = (*ACTS, *(what for what, fault in FAULTS.items() if VIRTUAL in fault.worlds))
    if step.what in FAULTS and step.what not in known:
        raise ValueError(f"virtual time has no {step.what!r}: `amr-sim run` plays it on real parts")
    if step.what not in known:
        raise ValueError(f"nobody knows how to {step.what!r}; there are {', '.join(known)}")
    who = whom(step.what, schedule)
    if step.who not in who:
        raise ValueError(
            f"{step.what}: {step.who!r} is not in this world; there are {', '.join(who) or 'none'}"
        )


def whom(what: str, schedule: "Schedule") -> list[str]:
    """Return everybody whom this act or fault may strike."""
    hits = FAULTS[what].hits if what in FAULTS else _WHO_ACTS[what]
    names_of = {
        BUTTON: names("button", schedule.buttons),
        PHONE: names("bridge", schedule.phones),
        CENTRE: [CENTRE],
    }
    return [name for kind in hits for name in names_of[kind]] or [""]


_WHO_ACTS = {
    **dict.fromkeys(("hold", "clicks", "tap"), (BUTTON,)),
    "operate": (CENTRE,),
    "call_off": (PHONE,),
    "walk": (BUTTON, PHONE),
}


def names(what: str, count: int) -> list[str]:
    """`button`, or `button-1` and `button-2`."""
    return [what] if count == 1 else [f"{what}-{number}" for number in range(1, count + 1)]


def draw(seed: int, minutes: float = MINUTES) -> Schedule:
    """At least one press and three faults, all of which end in time for the bound."""
    return _with_own_way(_Drawing(seed, minutes).schedule())


def _with_own_way(schedule: Schedule) -> Schedule:
    """Give half of the schedules buttons with a way of their own, and that way faults; some have no phone.

    By chance of its own: what else happens is the same with and without it.
    """
    random = Random(f"own way {schedule.seed}")  # noqa: S311 -- to be drawn again
    if random.random() < 0.5:
        return schedule
    carriers = random.choice((WIFI, WIFI, LTE, f"{WIFI} {LTE}", f"{LTE} {WIFI}"))
    profile = random.choice(("backup", "backup", "always"))
    steps = list(schedule.steps)
    if random.random() < 0.3:
        phones = names("bridge", schedule.phones)
        steps = [step for step in steps if step.who not in phones]
        schedule = replace(schedule, phones=0, fixes=False, filtered=False, repeats=True)
    presses_s = [step.at_s for step in steps if step.what in ("hold", "clicks")] or [SETTLE_S]
    buttons = names("button", schedule.buttons)
    count = max(random.choice((0, 1, 2, 2, 3, 4)), 3 - sum(step.what in FAULTS for step in steps))
    for _ in range(count):
        steps.append(_fault_of_way(random, carriers, random.choice(buttons), presses_s, schedule.minutes))
    if schedule.phones and random.random() < 0.3:  # a phone hears the press, and brings it nowhere
        at_s = round(max(random.choice(presses_s) - 2, SETTLE_S), 2)
        for_s = round(min(100.0, _faults_end_s(schedule.minutes) - at_s), 2)
        phone = random.choice(names("bridge", schedule.phones))
        steps.append(Step(at_s, random.choice(_NOWHERE), phone, for_s))
    steps.sort(key=lambda step: step.at_s)
    return replace(schedule, steps=tuple(steps), direct=profile, carriers=carriers)


def _faults_end_s(minutes: float) -> float:
    """Return until when faults are over, so that the bound can be seen."""
    return minutes * 60 - BOUND_S - 10


def _fault_of_way(
    random: Random, carriers: str, button: str, presses_s: Sequence[float], minutes: float
) -> Step:
    """Draw what ails a button's own way, and when: most of it near a press."""
    kinds = [*UDP_FAULTS]
    kinds += WIFI_FAULTS if WIFI in carriers else ()
    kinds += LTE_FAULTS if LTE in carriers else ()
    what = random.choice(kinds)
    end_s = _faults_end_s(minutes)
    at_s = random.uniform(SETTLE_S, end_s - 20)
    if random.random() < 0.75:
        at_s = random.choice(presses_s) + random.choice((-1, 1, 1)) * random.expovariate(1 / 8)
    lasts_s = random.choice((5.0, 20.0, 60.0, 120.0)) * (0.5 + random.random())
    if random.random() < 0.4:  # it is how that place is
        at_s, lasts_s = random.choice(presses_s) - 3, max(lasts_s, 90.0)
    at_s = round(min(max(at_s, SETTLE_S), end_s - 5), 2)
    for_s = round(min(lasts_s, end_s - at_s), 2)
    return Step(at_s, what, button, for_s, random.choice(drawn_for(what, button)))


class _Drawing:
    def __init__(self, seed: int, minutes: float) -> None:
        self._random = Random(f"schedule {seed}")  # noqa: S311 -- to be drawn again
        self._seed, self._minutes = seed, minutes
        self._end_s = _faults_end_s(minutes)
        assert self._end_s > SETTLE_S + 60, "too short for the bound"
        random = self._random
        self._buttons = names("button", 2 if random.random() < 0.12 else 1)
        self._phones = names("bridge", 2 if random.random() < 0.2 else 1)

    def schedule(self) -> Schedule:
        random = self._random
        steps: list[Step] = []
        for _ in range(random.choice((1, 1, 1, 2, 2, 3))):
            steps += self._press()
        for _ in range(random.choice((3, 3, 4, 4, 5, 6))):
            steps += self._fault(random.choice(steps).at_s)
        steps.sort(key=lambda step: step.at_s)
        return Schedule(
            self._seed,
            tuple(steps),
            self._minutes,
            len(self._buttons),
            len(self._phones),
            loss=random.choice((0.0, 0.0, 0.1, 0.3)),
            filtered=random.random() < 0.25,
            repeats=random.random() < 0.7,
            fixes=random.random() < 0.15 or any(step.what in _OF_POSITIONS for step in steps),
            alive_period_s=random.choice((60, 300, 900, 900)),
        )

    def _press(self) -> list[Step]:
        """A gesture, and what people do after it."""
        random = self._random
        at_s = round(random.uniform(SETTLE_S, self._end_s - 30), 1)
        button = random.choice(self._buttons)
        what = random.choice(("hold",) * 8 + ("clicks", "clicks", "tap"))
        steps = [Step(at_s, what, button)]
        if what == "clicks" and random.random() < 0.3:
            steps += self._four_who_linger(Step(max(at_s - 1, SETTLE_S), "strangers", button, 20.0))
        if what == "hold":
            held_s = 0.0
            if (
                random.random() < 0.1
            ):  # in a bag, or by somebody who sits on it: up to hours, where there is time
                held_s = round(random.uniform(20, random.choice((200, HELD_SHARE * self._end_s))), 1)
            steps = [Step(at_s, what, button, value=held_s)]
            if held_s or random.random() < 0.2:  # once more, for fear, or after something sat on it
                again_s = at_s + held_s + random.uniform(3, 40)
                steps.append(Step(round(min(again_s, self._end_s), 1), "hold", button))
            stages = (receipts.ACKNOWLEDGED, receipts.DISPATCHED, receipts.CLOSED)
            later_s = at_s
            for stage in stages[: random.choice((0, 0, 1, 2, 3))]:
                later_s += random.uniform(3, 60)
                steps.append(Step(round(min(later_s, self._end_s), 1), "operate", "centre", value=stage))
            if random.random() < 0.08:
                pin = random.choice((PIN, PIN, DURESS_PIN, WRONG_PIN))
                phone = random.choice(self._phones)
                call_off_s = min(at_s + random.uniform(5, 90), self._end_s)
                steps.append(Step(round(call_off_s, 1), "call_off", phone, value=pin))
        return steps

    def _fault(self, near_s: float) -> list[Step]:
        """Most faults strike near something that people do."""
        random = self._random
        at_s = random.uniform(SETTLE_S, self._end_s - 20)
        if random.random() < 0.75:
            at_s = near_s + random.choice((-1, 1, 1)) * random.expovariate(1 / 8)
        at_s = round(min(max(at_s, SETTLE_S), self._end_s - 5), 2)
        for_s = round(
            min(random.choice((2.0, 10.0, 30.0, 90.0)) * (0.5 + random.random()), self._end_s - at_s), 2
        )
        what = self._kind()
        who, value = self._whom(what)
        if not FAULTS[what].lasts or (what == "clock_jumps" and random.random() < 0.5):
            for_s = 0.0  # of a clock: nobody puts it right
        step = Step(at_s, what, who, for_s, value)
        if what == "strangers" and random.random() < 0.3:
            return self._four_who_linger(step)
        if what == "bluetooth_late" and random.random() < 0.5:
            return [step, Step(at_s, "phone_killed", who, 2.0)]  # and the bridge is just starting
        if what == "clock_jumps" and who in self._phones and random.random() < 0.6:
            # What a bridge knows of times goes by that clock only where it begins anew.
            killed_s = round(min(at_s + random.uniform(1, 20), self._end_s - 5), 2)
            return [step, Step(killed_s, "phone_killed", who, 2.0)]
        if what in ("button_reset", "power_cut") and random.random() < 0.4:
            return self._again_and_again(step)
        return [step]

    def _four_who_linger(self, step: Step) -> list[Step]:
        """Let them take all links that a button has, one after the other; often no phone is quick then."""
        times_s = [round(step.at_s + number / 10, 2) for number in range(4)]
        steps = [replace(step, at_s=at_s, value="linger") for at_s in times_s]
        if self._random.random() < 0.5:
            steps += [Step(step.at_s, "phone_asleep", phone, step.for_s) for phone in self._phones]
        return steps

    def _again_and_again(self, step: Step) -> list[Step]:
        """Let it strike every so often, up to four times."""
        every_s = self._random.uniform(15, 55)
        times_s = [round(step.at_s + number * every_s, 2) for number in range(4)]
        return [replace(step, at_s=at_s) for at_s in times_s if at_s + step.for_s <= self._end_s]

    def _kind(self) -> str:
        """Draw what goes wrong; a button that is broken for good shows little, and is seldom drawn."""
        random = self._random
        kinds = random.choice(_KINDS)
        if kinds == ("button_destroyed",) and random.random() < 0.7:
            kinds = ("power_cut_at",)
        return random.choice(kinds)

    def _whom(self, what: str) -> tuple[str, float | str]:
        """Draw whom it strikes, and how."""
        random, fault = self._random, FAULTS[what]
        button, phone = random.choice(self._buttons), random.choice(self._phones)
        named = {PHONE: phone, BUTTON: button, CENTRE: CENTRE}
        # A bridge does more on its own than a centre.
        hits = (PHONE, PHONE, CENTRE) if fault.hits == (PHONE, CENTRE) else fault.hits
        who = named[random.choice(hits)] if hits else ""
        value = random.choice(drawn_for(what, who))
        if what == "clock_drifts" and who == phone:
            value = float(value) / 100  # a phone's clock is better than a button's
        return who, value


# One of these is drawn, and then one of it: whatever the number of its kinds, a network fails no more often
# than a disk.
_NETWORK = (
    *("network_cut", "network_gone", "network_hangs", "answers_lost", "centre_answers", "network_captive"),
    *("network_lies", "network_redirects", "certificate_foreign", "requests_doubled"),
)
_NOWHERE = ("network_gone", "network_hangs", "network_captive")
_OF_POSITIONS = ("receiver_date", "clock_jumps")  # they strike a phone that knows where it is
_KINDS: tuple[tuple[str, ...], ...] = (
    ("radio_loss",),
    ("out_of_reach",),
    ("adapter_gone", "bluetooth_late"),
    ("phone_asleep",),
    ("phone_killed", "phone_killed", "centre_killed"),
    ("phone_killed_at", "phone_killed_at", "centre_killed_at"),
    ("phone_power_cut", "phone_power_cut", "centre_power_cut"),
    _NETWORK,
    ("network_slow",),
    ("phone_disk_full", "phone_disk_damaged", "centre_disk_full"),
    ("phone_disk_slow", "phone_disk_slow", "centre_disk_slow"),
    ("clock_jumps",),
    ("clock_drifts",),
    ("power_cut",),
    ("power_cut_at",),
    ("button_reset",),
    ("brown_out",),
    ("button_late",),
    ("flash_fails",),
    ("strangers",),
    ("impostors", "impostors", "state_passed_on"),
    ("receiver_date",),
    ("button_destroyed",),
)
