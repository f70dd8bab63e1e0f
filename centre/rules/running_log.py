"""An alarm's running log: what people do and write while it runs, read out of the event log. Pure.

Nothing of it is kept elsewhere, so nothing can be overwritten. A patrol goes forward, and may skip a step:

    SENT --> ON_THE_WAY --> ON_SCENE --> SAFE
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from centre.rules import text as typed
from centre.rules.incidents import CloseReason
from centre.rules.refusals import Refused

REMARK_CHARS_MAX = 2000
NAME_CHARS_MAX = 300  # of a patrol: a call sign, or who they are
PATROLS_MAX = 30
ORDER_STEPS_MAX = 30
ONCE_CHARS_MAX = 64

# A closing reaches the button only after so long, and can be undone until then: time to read what one has
# chosen and to move the hand back. The button is none the worse for it: nothing waits for CLOSED.
UNDO_MS = 10_000


class Kind(StrEnum):
    """The entries of the event log that a running log is made of (store/schema.sql has an index of them)."""

    ADVANCED = "advanced"
    CALLED_OFF = "called_off"
    ESCALATED = "escalated"
    REMARK = "remark"
    PATROL = "patrol"
    PASSED_ON = "passed_on"
    GIVEN_BACK = "given_back"
    TAKEN_OVER = "taken_over"
    CLOSING = "closing"
    CLOSE_UNDONE = "close_undone"
    CORRECTED = "corrected"
    REOPENED = "reopened"
    ORDER_STEP = "order_step"


class PatrolStep(StrEnum):
    """How far a patrol is, in order."""

    SENT = "sent"
    ON_THE_WAY = "on_the_way"
    ON_SCENE = "on_scene"
    SAFE = "safe"


STEPS = tuple(PatrolStep)


@dataclass(frozen=True, slots=True)
class Happening:
    """One line of the running log, as it was noted: who, when, what."""

    seq: int
    at_ms: int
    kind: Kind
    by: str  # the name; "" of the centre itself, and of the protected person
    text: str = ""  # a remark, a patrol's name, a step of the standing order, who it was passed on to
    stage: int = 0
    reason: CloseReason | None = None
    patrol: int = 0
    step: PatrolStep | None = None
    incident_id: str = ""  # of the alarm that this one follows, or that follows it
    is_duress: bool = False
    once: str = ""


@dataclass(frozen=True, slots=True)
class Reached:
    """A patrol was at a step: when, and who said so."""

    step: PatrolStep
    at_ms: int
    by: str


@dataclass(frozen=True, slots=True)
class Patrol:
    """One of those that were sent to an alarm."""

    number: int
    name: str
    steps: tuple[Reached, ...]

    @property
    def step(self) -> PatrolStep:
        return self.steps[-1].step

    @property
    def following(self) -> tuple[PatrolStep, ...]:
        """Return the steps that can still come."""
        return STEPS[STEPS.index(self.step) + 1 :]


def happening(seq: int, at_ms: int, kind: str, by: str, facts: Mapping[str, Any]) -> Happening:
    """Read one entry; `facts` is its content, empty once that was erased."""
    reason, step = facts.get("reason"), facts.get("step")
    return Happening(
        seq,
        at_ms,
        Kind(kind),
        by,
        text=str(facts.get("text") or facts.get("name") or facts.get("to") or facts.get("note") or ""),
        stage=int(facts.get("stage") or 0),
        reason=CloseReason(reason) if reason else None,
        patrol=int(facts.get("patrol") or 0),
        step=PatrolStep(step) if step else None,
        incident_id=str(facts.get("incident") or ""),
        is_duress=bool(facts.get("duress")),
        once=str(facts.get("once") or ""),
    )


def patrols(happenings: Iterable[Happening]) -> list[Patrol]:
    """Return the patrols, the first sent first, each with the steps that it has reached."""
    known: dict[int, Patrol] = {}
    for one in happenings:
        if one.kind is not Kind.PATROL or one.step is None:
            continue
        reached = Reached(one.step, one.at_ms, one.by)
        before = known.get(one.patrol) or Patrol(one.patrol, one.text, ())
        known[one.patrol] = replace(before, steps=(*before.steps, reached))
    return list(known.values())


def goes_on(patrol: Patrol, step: PatrolStep) -> bool:
    """Whether the patrol reaches `step` now; False where it is there already.

    Raises Refused("patrol_further"): what was said is not unsaid.
    """
    if step is patrol.step:
        return False
    if step not in patrol.following:
        raise Refused("patrol_further")
    return True


def remark(text: str) -> str:
    """Read a remark, of one line or several. Raises Refused("bad_text")."""
    value = typed.check(typed.clean(text), "remark", REMARK_CHARS_MAX, is_long=True)
    if not value:
        raise Refused("bad_text", "a remark must not be empty", field="remark")
    return value


def patrol_name(text: str) -> str:
    """Read the name of a patrol, which may be empty. Raises Refused("bad_text")."""
    return typed.check(typed.clean(text), "note", NAME_CHARS_MAX)


def order_steps(text: str) -> tuple[str, ...]:
    """Read a standing order, a step a line; the same step twice is one. Raises Refused("bad_text")."""
    lines = (typed.check(line.strip(), "steps", NAME_CHARS_MAX) for line in typed.clean(text).split("\n"))
    steps = tuple(dict.fromkeys(filter(None, lines)))
    if len(steps) > ORDER_STEPS_MAX:
        raise Refused("bad_text", f"at most {ORDER_STEPS_MAX} steps; these are {len(steps)}", field="steps")
    return steps
