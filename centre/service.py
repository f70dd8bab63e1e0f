"""What the centre does: rules and store joined, one transaction each. Synchronous, for one thread.

Every method that writes has it on disk when it returns, and has stored nothing when it raises.
"""

import hashlib
import secrets
import string
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from centre import incidents, registry
from centre.incidents import Dropped, Fix, Press
from centre.refusals import Refused
from centre.sealing import Sealer
from centre.store import Row, Store
from wire import codes, receipts
from wire.keys import derive

BASE32 = string.ascii_uppercase + "234567"
ENROLMENT_CHARS = 20  # 100 bits
ENROLMENT_MS = 7 * 86_400_000
UNTAKEN_SHOWN_MAX = 100
OF_ONE_BUTTON_MAX = 5
TAKEN_SHOWN_MAX = 20
TESTS_SHOWN_MAX = 5
_LOG2_N, _R, _P = 14, 8, 1  # scrypt (RFC 7914): 16 MiB and some 50 ms a try


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
class Arrival:
    """One bridge's word of a press."""

    bridge_id: str
    path: str
    heard_at_ms: int | None
    age_s: float | None
    pressed_at_ms: int
    received_at_ms: int
    battery_percent: int | None
    model: str | None


@dataclass(frozen=True, slots=True)
class Position:
    fix: Fix
    bridge_id: str | None
    received_at_ms: int


@dataclass(frozen=True, slots=True)
class Incident:
    """An alarm as the operator sees it."""

    incident_id: str
    device_id: str
    kind: str
    board: str
    counter: int
    opened_at_ms: int
    device_revoked: bool
    stage: int
    stages: list[tuple[int, int]]  # (stage, at_ms), in order
    arrivals: list[Arrival]  # the first one first
    positions: list[Position]  # the newest first


@dataclass(frozen=True, slots=True)
class Board:
    """What is on the operator's page: alarms that nobody has taken, alarms taken, silent tests."""

    untaken: list[Incident]
    taken: list[Incident]
    tests: list[tuple[str, int]]  # (device_id, received at ms)
    hidden: int = 0  # untaken ones beyond the bounds: shown as those are taken


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
            press = self.store.one("press_counter", device_id=device_id, spare_first=codes.SPARE_FIRST)
        assert device is not None
        assert press is not None
        root, epoch = self._root(device), device["epoch"]
        # K_receipt and K_direct never leave the centre: a bridge cannot forge a receipt.
        keys = {f"k_{label}": derive(root, label, epoch).hex() for label in ("code", "heard", "state")}
        counters = {"press": press["counter"], "alive": device["alive_counter"]}
        period = {"alive_period_s": device["alive_period_s"]}
        described = {"device_id": device_id, "epoch": epoch, **keys, **period, "counters": counters}
        return {"token": token, "devices": [described]}

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
            self.store.run(
                "add_fix",
                device_id=press.device_id,
                incident_id=incident_id,
                bridge_id=bridge_id,
                method=fix.method,
                lat=fix.lat,
                lon=fix.lon,
                radius_m=fix.radius_m,
                confidence=fix.confidence,
                taken_at_ms=fix.taken_at_ms,
                now_ms=now_ms,
            )

    def advance(self, incident_id: str, stage: int) -> Advanced:
        """Bring an incident to `stage`, once, whoever asks and however often.

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

    # -- the operator's page ----------------------------------------------------------------------

    def board(self) -> Board:
        limits = {"of_one_button": OF_ONE_BUTTON_MAX, "at_most": UNTAKEN_SHOWN_MAX}
        untaken = self.store.all("untaken_alarms", alarm=codes.ALARM, **limits)
        return Board(
            [self._seen(row) for row in untaken],
            [
                self._seen(row)
                for row in self.store.all("taken_alarms", alarm=codes.ALARM, at_most=TAKEN_SHOWN_MAX)
            ],
            [
                (row["device_id"], row["opened_at_ms"])
                for row in self.store.all("last_tests", test=codes.TEST, at_most=TESTS_SHOWN_MAX)
            ],
            untaken[0]["untaken"] - len(untaken) if untaken else 0,
        )

    def _seen(self, row: Row) -> Incident:
        which = {"incident_id": row["incident_id"]}
        return Incident(
            row["incident_id"],
            row["device_id"],
            row["kind"],
            row["board"],
            row["counter"],
            row["opened_at_ms"],
            bool(row["device_revoked"]),
            row["stage"],
            [(receipt["stage"], receipt["at_ms"]) for receipt in self.store.all("receipts", **which)],
            [
                Arrival(**{name: alarm[name] for name in Arrival.__slots__})
                for alarm in self.store.all("alarms", **which)
            ],
            [
                Position(
                    Fix(**{name: fix[name] for name in Fix.__slots__}),
                    fix["bridge_id"],
                    fix["received_at_ms"],
                )
                for fix in self.store.all("fixes", **which)
            ],
        )

    def _root(self, device: Row) -> bytes:
        return self._sealer.unseal(device["device_id"], device["root_sealed"])

    def _now_ms(self) -> int:
        return int(self._clock_ms())


def hash_pin(pin: str) -> str:
    """What is kept of a PIN: `scrypt$log2 n$r$p$salt$hash`. Slow on purpose; not for the store's thread."""
    salt = secrets.token_bytes(16)
    digest = hashlib.scrypt(pin.encode(), salt=salt, n=2**_LOG2_N, r=_R, p=_P)
    return f"scrypt${_LOG2_N}${_R}${_P}${salt.hex()}${digest.hex()}"


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _new_bridge_id() -> str:
    return "".join(secrets.choice(BASE32) for _ in range(8))
