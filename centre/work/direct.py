"""What buttons say without a phone: each in one transaction with how far that button is."""

from dataclasses import dataclass, replace

from centre.platform import sealing
from centre.rules import direct
from centre.rules import sightings as rules
from centre.rules.direct import Said, Session
from centre.rules.incidents import Fix
from centre.rules.sightings import Sighting
from centre.store import Row
from centre.work import presses, sightings
from centre.work.core import Core
from centre.work.presses import Taken
from wire import codes, receipts
from wire.keys import Mac, derive


@dataclass(frozen=True, slots=True)
class Known:
    """A button, by what its frames are sealed with, and how far it is."""

    number: int  # rises as they are imported
    device_id: str
    mac: Mac
    session: Session
    is_restored: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """The incident of a press: its highest receipt, and what is still to come."""

    incident_id: str
    stage: int
    proof: bytes
    is_arrived: bool  # over this carrier
    is_last: bool  # no receipt can follow
    wants_position: bool
    is_kept: bool = False  # what comes now is kept: it is neither closed nor erased

    @property
    def receipt(self) -> bytes:
        """Return what is written to the button."""
        return bytes((self.stage,)) + self.proof


def buttons_after(core: Core, number: int, at_most: int) -> tuple[list[Known], int]:
    """Return the next buttons after `number`, and the last number looked at.

    One whose root does not open is left out: `amr-centre` says so elsewhere, and the others must go on.
    """
    rows = core.store.all("direct_buttons", after=number, at_most=at_most)
    known = [button for row in rows if (button := _known(core, row)) is not None]
    return known, rows[-1]["number"] if rows else number


def _known(core: Core, row: Row) -> Known | None:
    try:
        mac = Mac(derive(core.root(row), "direct", row["epoch"]))
    except sealing.Broken:
        return None
    session = Session() if row["n"] is None else Session(row["n"], row["seq"], row["began_at_ms"])
    return Known(row["number"], row["device_id"], mac, session, bool(row["is_restored"]))


def standing(core: Core, said: Said) -> Standing | None:
    """Return how the press of a frame stands, or None where it was never here. Reads alone."""
    request = said.request
    row = core.store.one(
        "direct_incident",
        device_id=said.device_id,
        event=request.event,
        counter=request.counter,
        path=said.path,
        recent_ms=core.now_ms() - direct.POSITION_MS,
    )
    if row is None:
        return None
    stage, is_alarm = row["receipt_stage"], row["event"] == codes.ALARM
    is_last = stage == receipts.CLOSED or not is_alarm
    wants_position = not is_last and not row["has_fix"]
    is_kept = stage < receipts.CLOSED and row["erased_at_ms"] is None
    told = (bool(row["is_arrived"]), is_last, wants_position, is_kept)
    return Standing(row["incident_id"], stage, row["proof"], *told)


def take_press(core: Core, said: Said) -> tuple[Taken, Standing]:
    """Take a press: exactly one incident, whichever way it came, in whatever order.

    That its button was heard is for `hear`: no alarm waits for that. Raises Refused("unknown_device").
    """
    with core.store.transaction():
        sighting = rules.of_facts(said.facts)
        press = direct.press_of(said, _fix(core, said, sighting))
        taken = presses.take_from_button(core, press)
        stands = _new(taken, has_fix=press.fix is not None)
        if taken.known:  # or beyond its share: then it is counted on an incident of another press
            stands = standing(core, said) or replace(
                stands, is_last=True, wants_position=False, is_kept=False
            )
        _see(core, sighting, stands)
    return taken, stands


def _new(taken: Taken, *, has_fix: bool) -> Standing:
    """Return how a press stands that has just opened its incident."""
    is_alarm = taken.press.event == codes.ALARM
    wants_position = is_alarm and not has_fix
    return Standing(taken.incident_id, taken.stage, taken.proof, True, not is_alarm, wants_position, True)


def take_fix(core: Core, said: Said) -> bool:
    """Keep the position of a fresh frame; whether it was kept. What is closed is followed no more."""
    with core.store.transaction():
        _hear(core, said)
        if said.session is None or said.request.event != codes.ALARM:
            return False
        sighting = rules.of_facts(said.facts)
        _see(core, sighting, standing(core, said))
        fix = _fix(core, said, sighting)
        if fix is None:
            return False
        return presses.add_fix_of_button(core, said.device_id, said.request.counter, fix)


def _fix(core: Core, said: Said, sighting: Sighting) -> Fix | None:
    """Return where a button is: by satellites, else the registered place whose access points it sees."""
    return direct.fix_of(said, core.now_ms()) or sightings.fix_of(core, said.device_id, sighting)


def _see(core: Core, sighting: Sighting, stands: Standing | None) -> None:
    """Keep what a button saw around it, as long as positions of its press are kept."""
    if stands is not None and stands.is_kept:
        sightings.keep(core, stands.incident_id, sighting)


def hear(core: Core, *heard: Said) -> None:
    """Note that buttons were heard over their carriers, of what is fresh."""
    with core.store.transaction():
        for said in heard:
            _hear(core, said)


def _hear(core: Core, said: Said) -> None:
    session, request, now_ms = said.session, said.request, core.now_ms()
    if session is None:
        return
    which = {"device_id": said.device_id, "now_ms": now_ms}
    core.store.run(
        "set_direct_session",
        device_id=said.device_id,
        n=session.n,
        seq=session.seq,
        began_at_ms=session.began_at_ms,
    )
    is_lte = said.path == direct.LTE_PATH
    core.store.run(
        "hear_carrier",
        **which,
        carrier=said.path,
        signal_dbm=request.signal or None,
        battery_mv=said.battery_mv,
        flags=request.flags,
        error=said.errors[said.path],
        network=said.facts.cell[0] if is_lte and said.facts.cell else None,
    )
    for carrier, error in said.errors.items():
        if carrier != said.path and error:
            core.store.run("set_carrier_error", **which, carrier=carrier, error=error)
