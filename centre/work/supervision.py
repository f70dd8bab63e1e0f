"""Supervision: what is lost is found, told, and found again. A few at a time: alarms wait for none of it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from centre.rules import supervision
from centre.rules.supervision import Bridge, Finding, Listener, LossKind, LossStep
from centre.store import Row
from centre.work import event_log
from centre.work.core import Core

LOOK_AT_MOST = 25  # in one transaction: an alarm waits for no long one
SHOWN_MAX = 50


@dataclass(frozen=True, slots=True)
class Loss:
    """One line for people. No name: an operator sees a case only while an alarm is open on it.

    `device_ids`: the button, or those of the bridge; none where `bridges` fell silent at once, which is most
    probably our own network. `began_at_ms`: the last sign before it, 0 where there never was one.
    """

    kind: LossKind
    device_ids: tuple[str, ...]
    case_id: str | None
    began_at_ms: int
    back_at_ms: int | None
    ended_at_ms: int | None
    bridges: int


@dataclass(slots=True)
class Looked:
    """What one look has changed, and whether others are due."""

    found: int = 0
    ended: int = 0
    silent_at_once: int = 0
    more: bool = False


def look(core: Core, watching_since_ms: int, alive_s: int) -> Looked:
    """At those that are due: bridges first, for a button is heard by those that live."""
    looked = Looked()
    with core.store.transaction():
        now_ms = core.now_ms()
        when = {"now_ms": now_ms, "at_most": LOOK_AT_MOST}
        bridges = core.store.all("bridges_to_look_at", **when)
        for row in bridges:
            _look_at_bridge(core, looked, row, watching_since_ms, alive_s)
        buttons = [] if len(bridges) == LOOK_AT_MOST else core.store.all("buttons_to_look_at", **when)
        for row in buttons:
            _look_at_button(core, looked, row, watching_since_ms, alive_s)
        looked.more = LOOK_AT_MOST in (len(bridges), len(buttons))
        if looked.found:
            looked.silent_at_once = _find_burst(core, now_ms, alive_s)
    return looked


def clock_set_back(core: Core) -> None:
    """Count heartbeats from what is now the future from now on: a silent bridge must not live until then."""
    with core.store.transaction():
        for query in (
            "clamp_bridge_heartbeats",
            "clamp_button_heartbeats",
            "clamp_watched_buttons",
            "clamp_losses",
        ):
            core.store.run(query, now_ms=core.now_ms())


def _look_at_bridge(core: Core, looked: Looked, row: Row, watching_since_ms: int, alive_s: int) -> None:
    bridge_id, now_ms = row["bridge_id"], core.now_ms()
    own = core.store.all("open_losses_of_bridge", bridge_id=bridge_id)
    findings: list[Finding] | None = None
    if core.store.one("is_bridge_watched", bridge_id=bridge_id):
        kinds = [LossKind(loss["kind"]) for loss in own]
        findings = supervision.of_bridge(_bridge(row), kinds, watching_since_ms, now_ms, alive_s)

    def cause(loss: Row) -> LossKind:
        running_since_ms = (loss["running_since_ms"], row["running_since_ms"])
        return supervision.cause(LossKind(loss["kind"]), bool(loss["goodbye"]), running_since_ms)

    subject = {"bridge_id": bridge_id, "device_id": None}
    state = {"running_since_ms": row["running_since_ms"], "goodbye": row["leaving"]}
    look_at_ms = _settle(core, looked, subject, state, own, findings, cause)
    core.store.run("look_at_bridge", bridge_id=bridge_id, look_at_ms=look_at_ms)


def _look_at_button(core: Core, looked: Looked, row: Row, watching_since_ms: int, alive_s: int) -> None:
    device_id, now_ms = row["device_id"], core.now_ms()
    own = core.store.all("open_losses_of_device", device_id=device_id)
    findings: list[Finding] | None = None
    if core.store.one("is_button_watched", device_id=device_id):
        states = core.store.all("listeners_of_button", device_id=device_id)
        listeners = [_listener(state) for state in states]
        low = bool(states[-1]["low"]) if states else None  # who spoke last
        findings = supervision.of_button(
            row["alive_period_s"], low, listeners, watching_since_ms, now_ms, alive_s
        )
    subject, none = {"bridge_id": None, "device_id": device_id}, {"running_since_ms": None, "goodbye": 0}
    look_at_ms = _settle(core, looked, subject, none, own, findings, lambda loss: LossKind(loss["kind"]))
    core.store.run("look_at_button", device_id=device_id, look_at_ms=look_at_ms)


def _settle(
    core: Core,
    looked: Looked,
    subject: dict[str, str | None],
    state: dict[str, int | None],
    own: Iterable[Row],
    findings: list[Finding] | None,
    cause: Callable[[Row], LossKind],
) -> int | None:
    """Write what has changed; when to look again. No findings: it is no longer watched."""
    now_ms = core.now_ms()
    is_open = {LossKind(loss["kind"]): loss for loss in own}
    if findings is None:
        for one in own:
            _end(core, looked, subject, one, LossKind(one["kind"]), now_ms)
        return None
    again = [finding.look_at_ms for finding in findings]
    for finding in findings:
        loss: Row | None = is_open.get(finding.kind)
        back_at_ms = None if loss is None else loss["back_at_ms"]
        match supervision.step(loss is not None, back_at_ms, finding.lost, finding.since_ms):
            case LossStep.OPEN:
                _open(core, looked, subject, state, finding)
            case LossStep.BACK if loss:
                core.store.run("set_loss_back", loss_id=loss["loss_id"], back_at_ms=finding.since_ms)
            case LossStep.GONE_AGAIN if loss:
                core.store.run("set_loss_back", loss_id=loss["loss_id"], back_at_ms=None)
            case LossStep.END if loss:
                _end(core, looked, subject, loss, cause(loss), loss["back_at_ms"])
    return min((at_ms for at_ms in again if at_ms is not None), default=None)


def _open(
    core: Core, looked: Looked, subject: dict[str, str | None], told: dict[str, int | None], finding: Finding
) -> None:
    looked.found += 1
    when = {"began_at_ms": finding.since_ms, "now_ms": core.now_ms()}
    core.store.run("open_loss", kind=finding.kind, **subject, **told, **when)
    _note(core, "lost", subject, loss=finding.kind, since_ms=finding.since_ms)


def _end(
    core: Core, looked: Looked, subject: dict[str, str | None], loss: Row, kind: LossKind, at_ms: int
) -> None:
    looked.ended += 1
    core.store.run("end_loss", loss_id=loss["loss_id"], kind=kind, ended_at_ms=at_ms)
    _note(core, "found_again", subject, loss=kind, since_ms=loss["began_at_ms"])


def _note(core: Core, kind: str, subject: dict[str, str | None], loss: str, since_ms: int) -> None:
    device_id, bridge_id = subject["device_id"], subject["bridge_id"]
    event_log.note(
        core, kind, event_log.CENTRE, device_id=device_id, bridge_id=bridge_id, loss=loss, since_ms=since_ms
    )


def _find_burst(core: Core, now_ms: int, alive_s: int) -> int:
    """How many fell silent at once, the first time that they are so many; else 0."""
    since_ms = now_ms - supervision.silence_ms(alive_s) - 2 * alive_s * 1000
    row = core.store.one("silent_together", since_ms=since_ms)
    assert row is not None
    if row["count"] < supervision.MANY_AT_ONCE:
        return 0
    core.store.run("mark_burst", since_ms=since_ms, burst_ms=row["burst_ms"] or now_ms)
    return 0 if row["burst_ms"] else int(row["count"])


def _bridge(row: Row) -> Bridge:
    return Bridge(row["alive_at_ms"], bool(row["leaving"]), row["battery_percent"], row["listening_since_ms"])


def _listener(row: Row) -> Listener:
    return Listener(_bridge(row), _flag(row["in_reach"]), row["news_at_ms"], row["lost_after_s"])


def _flag(value: int | None) -> bool | None:
    return None if value is None else bool(value)


# -- shown ------------------------------------------------------------------------------------------------


def open_losses(core: Core) -> list[Loss]:
    """For operators: those who fell silent at once as one, then the newest; so many that fit a page."""
    bursts = core.store.all("burst_losses", at_most=SHOWN_MAX)
    single = core.store.all("single_losses", at_most=SHOWN_MAX)
    return [
        *(
            Loss(LossKind(row["kind"]), (), None, row["began_at_ms"], row["back_at_ms"], None, row["bridges"])
            for row in bursts
        ),
        *(_loss(core, row) for row in single),
    ]


def count(core: Core) -> int:
    """How many are open in all."""
    row = core.store.one("count_open_losses")
    return int(row["count"]) if row else 0


def losses_of_button(core: Core, device_id: str, since_ms: int = 0, at_most: int = SHOWN_MAX) -> list[Loss]:
    """For its case: of the button and of its bridges, open ones first, then the newest.

    Not what had ended before `since_ms`: that was somebody else's.
    """
    which = {"device_id": device_id, "since_ms": since_ms}
    return [_loss(core, row) for row in core.store.all("losses_of_button", at_most=at_most, **which)]


def _loss(core: Core, row: Row) -> Loss:
    device_ids = tuple(str(row["device_ids"] or "").split())
    case = core.store.one("case_served_by", device_id=device_ids[0]) if device_ids else None
    return Loss(
        LossKind(row["kind"]),
        device_ids,
        None if case is None else case["case_id"],
        row["began_at_ms"],
        row["back_at_ms"],
        row["ended_at_ms"],
        row["bridges"],
    )


def unheard(core: Core, zone: str | None = None, case_id: str | None = None) -> list[Loss]:
    """Return what nobody would hear now, the longest first: of a zone's or a case's buttons, or of all."""
    rows = core.store.all("losses_of_cases", zone=zone, case_id=case_id)
    return [_loss(core, row) for row in rows if LossKind(row["kind"]) in supervision.UNHEARD]
