"""What the centre does: rules and store joined, one transaction each. Synchronous, for one thread.

Every method that writes has it on disk when it returns, and has stored nothing when it raises.
"""

import hashlib
import json
import secrets
import string
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from centre import incidents, pins, registry, supervision, views
from centre.fields import Dropped
from centre.incidents import CallOff, Fix, Press
from centre.pins import Verdict
from centre.refusals import Refused
from centre.sealing import Sealer
from centre.store import Row, Store
from centre.supervision import SignOfLife
from wire import codes, receipts
from wire.keys import derive

BASE32 = string.ascii_uppercase + "234567"
ENROLMENT_CHARS = 20  # 100 bits
ENROLMENT_MS = 7 * 86_400_000


class Conflict(Exception):
    """The registry contradicts what the centre already has; the text says where."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A press is on disk, since `committed_at_ms` (a float, as the clock gives it)."""

    incident_id: str
    known: bool
    stage: int
    proof: bytes
    dropped: list[Dropped]
    press: Press
    committed_at_ms: float


@dataclass(frozen=True, slots=True)
class Advanced:
    """An incident is at `stage` since `at_ms`; `now` if this very call brought it there."""

    incident_id: str
    device_id: str
    event: int
    counter: int
    stage: int
    at_ms: int
    now: bool
    committed_at_ms: float


@dataclass(frozen=True, slots=True)
class Receipt:
    seq: int
    stage: int
    proof: bytes
    at_ms: int
    last: bool


@dataclass(frozen=True, slots=True)
class FixesStored:
    device_id: str
    stored: int
    known: int
    committed_at_ms: float


@dataclass(frozen=True, slots=True)
class PinTry:
    """Which incident, and the hashes that a PIN is to be checked against."""

    incident_id: str
    pin_hash: str = field(repr=False)
    duress_pin_hash: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class CalledOff:
    device_id: str
    counter: int
    known: bool
    committed_at_ms: float


class Service:
    def __init__(self, store: Store, sealer: Sealer, clock_ms: Callable[[], float]) -> None:
        """Raises sealing.Broken where the sealing key is not the one the database was made with."""
        self.store = store
        self._sealer = sealer
        self._clock_ms = clock_ms
        device = store.one("any_device")
        if device is not None:
            self._root(device)

    # -- buttons and bridges ----------------------------------------------------------------------

    def import_buttons(self, buttons: Iterable[registry.Button]) -> tuple[int, int]:
        """All of them or none; `(new, already here)`. Raises Conflict."""
        new = known = 0
        with self.store.transaction():
            for button in buttons:
                if self._is_here(button):
                    known += 1
                    continue
                now_ms = self._now_ms()
                self.store.run(
                    "add_device",
                    device_id=button.device_id,
                    kind=button.kind,
                    board=button.board,
                    root_sealed=self._sealer.seal(button.device_id, button.root),
                    alive_period_s=button.alive_period_s,
                    capabilities=_as_json(button.capabilities),
                    now_ms=now_ms,
                )
                self._add_enrolment(button.device_id, button.enrolment_sha256, now_ms)
                new += 1
        return new, known

    def _is_here(self, button: registry.Button) -> bool:
        device = self.store.one("device", device_id=button.device_id)
        enrolment = self.store.one("enrolment", code_sha256=button.enrolment_sha256)
        if device is None:
            if enrolment is not None:
                raise Conflict(f"{button.device_id}: its enrolment code belongs to another button")
            return False
        if self._root(device) != button.root:
            raise Conflict(f"{button.device_id} is already here with another root")
        same = (device["kind"], device["board"]) == (button.kind, button.board)
        if enrolment is None or enrolment["device_id"] != button.device_id or not same:
            raise Conflict(f"{button.device_id} is already here with other particulars")
        told = _as_json(button.capabilities)
        if told is not None and told != device["capabilities"]:
            if device["capabilities"] is not None:
                raise Conflict(f"{button.device_id} is already here with other capabilities")
            # It was imported before its registry line named any.
            self.store.run("set_capabilities", device_id=button.device_id, capabilities=told)
        return True

    def _add_enrolment(self, device_id: str, code_sha256: str, now_ms: int) -> None:
        expires_at_ms = now_ms + ENROLMENT_MS
        self.store.run(
            "add_enrolment", code_sha256=code_sha256, device_id=device_id, expires_at_ms=expires_at_ms
        )

    def issue_enrolment(self, device_id: str) -> str | None:
        """A new code for another bridge, good for 7 days; None where there is no such living button."""
        code = "".join(secrets.choice(BASE32) for _ in range(ENROLMENT_CHARS))
        with self.store.transaction():
            device = self.store.one("device", device_id=device_id)
            if device is None or device["revoked_at_ms"] is not None:
                return None
            self._add_enrolment(device_id, _sha256(code), self._now_ms())
        return code

    def check_enrolment(self, code: str) -> str:
        """The device_id it is for. Raises Refused: enrolment_unknown, _used, _expired."""
        enrolment = self.store.one("enrolment", code_sha256=_sha256(code))
        if enrolment is None:
            raise Refused("enrolment_unknown")
        if enrolment["used_at_ms"] is not None:
            raise Refused("enrolment_used")
        if enrolment["expires_at_ms"] <= self._now_ms():
            raise Refused("enrolment_expired")
        return str(enrolment["device_id"])

    def enrol(self, code: str, pin_hash: str | None, duress_pin_hash: str | None) -> dict[str, object]:
        """Use up the code; the answer of POST /v1/enrolments, with the only copy of the token."""
        token, bridge_id = secrets.token_urlsafe(32), _new_bridge_id()
        with self.store.transaction():
            device_id = self.check_enrolment(code)
            now_ms = self._now_ms()
            self.store.run("add_bridge", bridge_id=bridge_id, token_sha256=_sha256(token), now_ms=now_ms)
            self.store.run("add_bridge_device", bridge_id=bridge_id, device_id=device_id)
            self.store.run("use_enrolment", code_sha256=_sha256(code), bridge_id=bridge_id, now_ms=now_ms)
            if pin_hash is not None:
                self.store.run(
                    "set_pins", device_id=device_id, pin_hash=pin_hash, duress_pin_hash=duress_pin_hash
                )
            device = self.store.one("device", device_id=device_id)
            counters = self._counters(device_id)
        assert device is not None
        root, epoch = self._root(device), device["epoch"]
        # K_receipt and K_direct never leave the centre: a bridge cannot forge a receipt.
        keys = {f"k_{label}": derive(root, label, epoch).hex() for label in ("code", "heard", "state")}
        described = {
            "device_id": device_id,
            "epoch": epoch,
            **keys,
            "alive_period_s": device["alive_period_s"],
            "counters": counters,
            "has_pin": device["pin_hash"] is not None,
        }
        return {"token": token, "devices": [described]}

    def _counters(self, device_id: str) -> dict[str, int]:
        """The highest accepted ones below the spare range: where every bridge's prediction may start."""
        row = self.store.one("counters", device_id=device_id, spare_first=codes.SPARE_FIRST)
        assert row is not None
        return {"press": row["press"], "alive": row["alive"]}

    def bridge_of(self, token: str) -> str:
        """The bridge_id that a bearer token stands for. Raises Refused: unauthorised, revoked."""
        bridge = self.store.one("bridge_of_token", token_sha256=_sha256(token))
        if bridge is None:
            raise Refused("unauthorised")
        if bridge["revoked_at_ms"] is not None:
            raise Refused("revoked")
        return str(bridge["bridge_id"])

    def revoke_bridge(self, bridge_id: str) -> list[str] | None:
        """Its buttons' ids, which it can still follow; None where there is no such bridge."""
        with self.store.transaction():
            if not self.store.run("revoke_bridge", bridge_id=bridge_id, now_ms=self._now_ms()):
                return None
        (row,) = [row for row in self.bridges() if row["bridge_id"] == bridge_id]
        return str(row["device_ids"]).split()

    def revoke_button(self, device_id: str) -> bool:
        with self.store.transaction():
            self.store.run("revoke_device", device_id=device_id, now_ms=self._now_ms())
        return self.store.one("device", device_id=device_id) is not None

    def buttons(self) -> list[Row]:
        return self.store.all("devices")

    def bridges(self) -> list[Row]:
        return self.store.all("bridges")

    # -- presses ----------------------------------------------------------------------------------

    def take_alarm(self, bridge_id: str, press: Press) -> Taken:
        """Exactly one incident per press. Raises Refused: unknown_device, bad_code."""
        device = self.store.one("device_of_bridge", device_id=press.device_id, bridge_id=bridge_id)
        if device is None:
            raise Refused("unknown_device")
        root = self._root(device)
        incidents.check_code(root, device["epoch"], press)
        with self.store.transaction():
            incident_id, known = self._incident_of(press, device, root)
            self._add_arrival(incident_id, bridge_id, press)
            last = self.store.one("last_receipt", incident_id=incident_id)
        assert last is not None  # written with the incident
        return Taken(incident_id, known, last["stage"], last["proof"], press.dropped, press, self._clock_ms())

    def _incident_of(self, press: Press, device: Row, root: bytes) -> tuple[str, bool]:
        who = {"device_id": press.device_id, "event": press.event, "counter": press.counter}
        row = self.store.one("incident_of_press", **who)
        if row is not None:
            return str(row["incident_id"]), True
        incident_id, now_ms = secrets.token_hex(8), self._now_ms()
        # A revoked button may be in a thief's hand, or still in hers: it is taken, and flagged.
        revoked = device["revoked_at_ms"] is not None
        self.store.run("open_incident", incident_id=incident_id, device_revoked=revoked, now_ms=now_ms, **who)
        proof = incidents.proof(root, device["epoch"], receipts.RECEIVED, press.event, press.counter)
        self.store.run(
            "add_receipt", incident_id=incident_id, stage=receipts.RECEIVED, proof=proof, now_ms=now_ms
        )
        return incident_id, False

    def _add_arrival(self, incident_id: str, bridge_id: str, press: Press) -> None:
        now_ms = self._now_ms()
        phone, fix = press.phone, press.fix
        self.store.run(
            "add_alarm",
            incident_id=incident_id,
            bridge_id=bridge_id,
            path=press.path or "unknown",
            heard_at_ms=press.heard_at_ms,
            age_s=press.age_s,
            pressed_at_ms=incidents.pressed_at_ms(press.heard_at_ms, press.age_s, now_ms),
            battery_percent=phone and phone.battery_percent,
            model=phone and phone.model,
            now_ms=now_ms,
        )
        if fix is not None:
            self._add_fix(press.device_id, incident_id, bridge_id, fix, now_ms)

    def _add_fix(self, device_id: str, incident_id: str, bridge_id: str, fix: Fix, now_ms: int) -> bool:
        """Whether it is new."""
        values = {name: getattr(fix, name) for name in Fix.__slots__} | {"marks": " ".join(fix.marks)}
        where = {"device_id": device_id, "incident_id": incident_id, "bridge_id": bridge_id}
        return bool(self.store.run("add_fix", **where, **values, now_ms=now_ms))

    def add_fixes(self, bridge_id: str, incident_id: str, fixes: list[Fix]) -> FixesStored:
        """All of them, or none.

        Raises Refused: unknown_incident, not_an_alarm, incident_closed, too_many_fixes.
        """
        with self.store.transaction():
            incident = self.store.one("incident_of_bridge", incident_id=incident_id, bridge_id=bridge_id)
            if incident is None:
                raise Refused("unknown_incident")
            if incident["event"] == codes.TEST:
                raise Refused("not_an_alarm")  # nobody is followed for having tested
            if incident["stage"] == receipts.CLOSED:
                raise Refused("incident_closed")
            now_ms, device_id = self._now_ms(), incident["device_id"]
            new = [self._add_fix(device_id, incident_id, bridge_id, fix, now_ms) for fix in fixes]
            kept = self.store.one("fixes_of_bridge", incident_id=incident_id, bridge_id=bridge_id)
            if kept is not None and kept["count"] > incidents.FIXES_PER_BRIDGE_MAX:
                raise Refused("too_many_fixes")
        return FixesStored(device_id, sum(new), len(new) - sum(new), self._clock_ms())

    # -- call-offs --------------------------------------------------------------------------------

    def try_pin(self, bridge_id: str, call_off: CallOff) -> PinTry:
        """Count a try, and what is needed to check it. Counted before it is checked: a kill wins no free one.

        Raises Refused: unknown_device, unknown_press, no_pin, pin_locked.
        """
        device_id, now_ms = call_off.device_id, self._now_ms()
        with self.store.transaction():
            device = self.store.one("device_of_bridge", device_id=device_id, bridge_id=bridge_id)
            if device is None:
                raise Refused("unknown_device")
            incident = self.store.one(
                "incident_of_press", device_id=device_id, event=codes.ALARM, counter=call_off.counter
            )
            if incident is None:
                raise Refused("unknown_press")
            if device["pin_hash"] is None:
                raise Refused("no_pin")
            row = self.store.one("pin_tries", device_id=device_id)
            if row is not None and now_ms < row["locked_until_ms"]:
                wait_ms = row["locked_until_ms"] - now_ms
                raise Refused("pin_locked", retry_after_s=-(-wait_ms // 1000))
            tries = 1 + (row["tries"] if row else 0)
            locked_until_ms = now_ms + pins.lock_ms(tries)
            self.store.run("set_pin_tries", device_id=device_id, tries=tries, locked_until_ms=locked_until_ms)
        return PinTry(str(incident["incident_id"]), device["pin_hash"], device["duress_pin_hash"])

    def call_off(self, incident_id: str, verdict: Verdict) -> CalledOff:
        """Both PINs write the same rows in the same order; only the operator's page reads which it was."""
        assert verdict is not Verdict.WRONG
        duress = verdict is Verdict.DURESS
        now_ms = self._now_ms()
        with self.store.transaction():
            incident = self.store.one("incident", incident_id=incident_id)
            assert incident is not None  # `try_pin` has found it, and nothing is ever deleted
            self.store.run("set_pin_tries", device_id=incident["device_id"], tries=0, locked_until_ms=0)
            known = self.store.one("call_off", incident_id=incident_id) is not None
            self.store.run("add_call_off", incident_id=incident_id, duress=duress, now_ms=now_ms)
        return CalledOff(incident["device_id"], incident["counter"], known, self._clock_ms())

    # -- signs of life ----------------------------------------------------------------------------

    def take_sign_of_life(self, bridge_id: str, sign: SignOfLife) -> dict[str, dict[str, int]]:
        """Keep the last state of the bridge and of each of its buttons; all its buttons' counters."""
        now_ms = self._now_ms()
        with self.store.transaction():
            own = {row["device_id"]: row for row in self.store.all("devices_of_bridge", bridge_id=bridge_id)}
            self.store.run(
                "set_bridge_state",
                bridge_id=bridge_id,
                battery_percent=sign.phone.battery_percent,
                model=sign.phone.model,
                troubles=" ".join(sign.troubles),
                now_ms=now_ms,
            )
            for number, button in enumerate(sign.buttons):
                if button.device_id in own:
                    self._take_button_state(bridge_id, own[button.device_id], button, now_ms)
                else:
                    sign.dropped.append(Dropped(f"buttons[{number}]", "unknown_device"))
            return {device_id: self._counters(device_id) for device_id in own}

    def _take_button_state(
        self, bridge_id: str, device: Row, button: supervision.ButtonState, now_ms: int
    ) -> None:
        heard_at_ms = button.heard_at_ms
        self.store.run(
            "set_button_state",
            bridge_id=bridge_id,
            device_id=button.device_id,
            heard_at_ms=None if heard_at_ms is None else min(heard_at_ms, now_ms),
            battery_mv=button.battery_mv,
            low=button.low,
            in_reach=button.in_reach,
            press_counter=button.press_counter,
            alive_counter=button.alive_counter,
            faults=" ".join(button.faults),
            now_ms=now_ms,
        )
        since_ms = now_ms - (device["alive_counter_at_ms"] or device["imported_at_ms"])
        told, known = button.alive_counter or 0, device["alive_counter"]
        if supervision.moves_up(told, known, since_ms, device["alive_period_s"]):
            self.store.run("move_alive_counter", device_id=button.device_id, counter=told, now_ms=now_ms)

    # -- what operators do ------------------------------------------------------------------------

    def advance(
        self,
        incident_id: str,
        stage: int,
        *,
        reason: str | None = None,
        note: str | None = None,
        seen_duress: bool = False,
    ) -> Advanced:
        """Bring an incident to `stage`, once, whoever asks and however often.

        `reason` and `note` are kept with the first. `seen_duress`: who asks knows that she is in danger;
        until an operator says so, it stands above all else, at whatever stage.
        Raises Refused: unknown_incident, not_an_alarm.
        """
        with self.store.transaction():
            incident = self.store.one("incident", incident_id=incident_id)
            if incident is None:
                raise Refused("unknown_incident")
            event, counter = incident["event"], incident["counter"]
            now = incidents.advances(event, incident["stage"], stage)
            if now:
                proof = incidents.proof(self._root(incident), incident["epoch"], stage, event, counter)
                self.store.run(
                    "add_receipt", incident_id=incident_id, stage=stage, proof=proof, now_ms=self._now_ms()
                )
                self.store.run(
                    "add_act",
                    incident_id=incident_id,
                    stage=stage,
                    reason=reason,
                    note=note,
                    now_ms=self._now_ms(),
                )
            if seen_duress and self.store.run("see_duress", incident_id=incident_id, now_ms=self._now_ms()):
                now = True
            last = self.store.one("last_receipt", incident_id=incident_id)
        assert last is not None
        return Advanced(
            incident_id,
            incident["device_id"],
            event,
            counter,
            last["stage"],
            last["at_ms"],
            now,
            self._clock_ms(),
        )

    def receipts_after(self, bridge_id: str, incident_id: str, seq: int) -> list[Receipt] | None:
        """What is new for a stream; None when it is over for this bridge, which has been revoked.

        Raises Refused("unknown_incident").
        """
        incident = self.store.one("incident_of_bridge", incident_id=incident_id, bridge_id=bridge_id)
        if incident is None:
            raise Refused("unknown_incident")
        if incident["bridge_revoked_at_ms"] is not None:
            return None
        return [
            Receipt(
                row["seq"],
                row["stage"],
                row["proof"],
                row["at_ms"],
                incidents.is_last(incident["event"], row["stage"]),
            )
            for row in self.store.all("receipts_after", incident_id=incident_id, seq=seq)
        ]

    def board(self) -> views.Board:
        return views.board(self.store)

    def _root(self, device: Row) -> bytes:
        return self._sealer.unseal(device["device_id"], device["root_sealed"])

    def _now_ms(self) -> int:
        return int(self._clock_ms())


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _new_bridge_id() -> str:
    return "".join(secrets.choice(BASE32) for _ in range(8))


def _as_json(capabilities: dict[str, bool] | None) -> str | None:
    return None if capabilities is None else json.dumps(capabilities, sort_keys=True)
