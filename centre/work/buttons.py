"""Buttons and bridges: known here, enrolled, recognised, revoked."""

import hashlib
import json
import secrets
import string
from collections.abc import Iterable
from dataclasses import dataclass

from centre.platform import password_hashing
from centre.rules import press_counters, registry
from centre.rules.exercises import Exercise
from centre.rules.refusals import Refused
from centre.store import Row
from centre.work import event_log
from centre.work.core import Core, typed
from wire import codes
from wire.keys import derive

BASE32 = string.ascii_uppercase + "234567"
ENROLMENT_CHARS = 20  # 100 bits
ENROLMENT_MS = 7 * 86_400_000


@dataclass(frozen=True, slots=True)
class ImportedButton:
    """A button, and what bridges last told of it. `bridges`: those in use; `trackable`: by a revoked one."""

    device_id: str
    kind: str
    board: str
    revoked_at_ms: int | None
    capabilities: str | None
    bridges: int
    trackable: int
    last_press_at_ms: int | None
    heard_at_ms: int | None
    battery_mv: int | None
    low: int | None
    faults: str | None


@dataclass(frozen=True, slots=True)
class EnrolledBridge:
    """A phone, and what it last told of itself. `device_ids`: of its buttons, with spaces between them."""

    bridge_id: str
    enrolled_at_ms: int
    revoked_at_ms: int | None
    alive_at_ms: int | None
    battery_percent: int | None
    troubles: str | None
    device_ids: str


class Conflict(Exception):
    """The registry contradicts what the centre already has; the text says where."""


def check_buttons(core: Core, buttons: Iterable[registry.Button]) -> None:
    """Whether all of them can be imported; writes nothing. Raises Conflict."""
    seen: dict[str, registry.Button] = {}
    with core.store.reading():
        for button in buttons:
            _already(core, button)
            for name in (button.device_id, button.enrolment_sha256):
                if seen.setdefault(name, button) != button:
                    raise Conflict(f"{button.device_id}: two lines contradict each other")


def import_buttons(core: Core, buttons: Iterable[registry.Button]) -> tuple[int, int]:
    """All of them or none; `(new, already here)`. Raises Conflict."""
    new = known = 0
    with core.store.transaction():
        for button in buttons:
            device, capabilities = _already(core, button), _as_json(button.capabilities)
            if device is not None:
                known += 1
                if capabilities is not None and device["capabilities"] is None:
                    # It was imported before its registry line named any.
                    core.store.run("set_capabilities", device_id=button.device_id, capabilities=capabilities)
                continue
            take_in(core, button)
            new += 1
    return new, known


def take_in(core: Core, button: registry.Button) -> None:
    """Make a new button known, within a transaction."""
    now_ms = core.now_ms()
    core.store.run(
        "add_device",
        device_id=button.device_id,
        kind=button.kind,
        board=button.board,
        root_sealed=core.sealer.seal(button.device_id, button.root),
        alive_period_s=button.alive_period_s,
        capabilities=_as_json(button.capabilities),
        now_ms=now_ms,
    )
    _add_enrolment(core, button.device_id, button.enrolment_sha256, now_ms)
    event_log.note(
        core,
        "button_imported",
        event_log.COMMAND,
        device_id=button.device_id,
        kind_of_button=button.kind,
        board=button.board,
    )


def _already(core: Core, button: registry.Button) -> Row | None:
    """Return the same button, where it is here. Raises Conflict."""
    device = core.store.one("device", device_id=button.device_id)
    enrolment = core.store.one("enrolment", code_sha256=button.enrolment_sha256)
    if device is None:
        if enrolment is not None:
            raise Conflict(f"{button.device_id}: its enrolment code belongs to another button")
        return None
    if core.root(device) != button.root:
        raise Conflict(f"{button.device_id} is already here with another root")
    same = (device["kind"], device["board"]) == (button.kind, button.board)
    if enrolment is None or enrolment["device_id"] != button.device_id or not same:
        raise Conflict(f"{button.device_id} is already here with other particulars")
    capabilities = _as_json(button.capabilities)
    if None not in (capabilities, device["capabilities"]) and capabilities != device["capabilities"]:
        raise Conflict(f"{button.device_id} is already here with other capabilities")
    return device


def _add_enrolment(core: Core, device_id: str, code_sha256: str, now_ms: int) -> None:
    expires_at_ms = now_ms + ENROLMENT_MS
    core.store.run("add_enrolment", code_sha256=code_sha256, device_id=device_id, expires_at_ms=expires_at_ms)


def issue_enrolment(
    core: Core, device_id: str, actor: str = event_log.COMMAND, *, case_id: str | None = None
) -> str | None:
    """Issue a code for another bridge, good for 7 days; None where there is no such living button."""
    code = "".join(secrets.choice(BASE32) for _ in range(ENROLMENT_CHARS))
    with core.store.transaction():
        device = core.store.one("device", device_id=device_id)
        if device is None or device["revoked_at_ms"] is not None:
            return None
        _add_enrolment(core, device_id, _sha256(code), core.now_ms())
        event_log.note(core, "code_issued", actor, device_id=device_id, case_id=case_id)
    return code


def exercise_of(core: Core, device_id: str) -> Exercise:
    """Return whether a button is for exercises, and when."""
    row = core.store.one("exercise_of_device", device_id=device_id)
    return Exercise() if row is None else typed(Exercise, row)


def pins(core: Core, device: Row) -> tuple[str, str | None]:
    """Return the hashes of the protected person's PIN and duress PIN."""

    def opened(name: str, sealed: str) -> str:
        return core.sealer.unseal(f"{name}:{device['device_id']}", bytes.fromhex(sealed)).decode()

    duress = device["duress_pin_hash"]
    return opened("pin", device["pin_hash"]), duress and opened("duress pin", duress)


def check_enrolment(core: Core, code: str) -> str:
    """Return the device_id that a code is for. Raises Refused: enrolment_unknown, _used, _expired."""
    enrolment = core.store.one("enrolment", code_sha256=_sha256(code))
    if enrolment is None:
        raise Refused("enrolment_unknown")
    if enrolment["used_at_ms"] is not None:
        raise Refused("enrolment_used")
    if enrolment["expires_at_ms"] <= core.now_ms():
        raise Refused("enrolment_expired")
    return str(enrolment["device_id"])


def enrol(core: Core, code: str, pin_hash: str | None, duress_pin_hash: str | None) -> dict[str, object]:
    """Use up the code; the answer of POST /v1/enrolments, with the only copy of the token."""
    token, bridge_id = secrets.token_urlsafe(32), new_id()
    with core.store.transaction():
        device_id = check_enrolment(core, code)
        now_ms = core.now_ms()
        core.store.run("add_bridge", bridge_id=bridge_id, token_sha256=_sha256(token), now_ms=now_ms)
        core.store.run("add_bridge_device", bridge_id=bridge_id, device_id=device_id)
        core.store.run("use_enrolment", code_sha256=_sha256(code), bridge_id=bridge_id, now_ms=now_ms)
        if pin_hash is not None:
            # Always two: whether there is a duress PIN is not to be read in a stolen database.
            core.store.run(
                "set_pins",
                device_id=device_id,
                pin_hash=core.sealer.seal(f"pin:{device_id}", pin_hash.encode()).hex(),
                duress_pin_hash=core.sealer.seal(
                    f"duress pin:{device_id}", (duress_pin_hash or password_hashing.NOBODYS).encode()
                ).hex(),
            )
        event_log.note(core, "enrolled", f"bridge:{bridge_id}", device_id=device_id, pin=pin_hash is not None)
        device = core.store.one("device", device_id=device_id)
        known = counters(core, device_id)
    assert device is not None
    root, epoch = core.root(device), device["epoch"]
    # K_receipt and K_direct never leave the centre: a bridge cannot forge a receipt.
    keys = {f"k_{label}": derive(root, label, epoch).hex() for label in ("code", "heard", "state")}
    described = {
        "device_id": device_id,
        "epoch": epoch,
        **keys,
        "alive_period_s": device["alive_period_s"],
        "counters": known,
        "has_pin": device["pin_hash"] is not None,
    }
    return {"token": token, "devices": [described]}


def counters(core: Core, device_id: str) -> dict[str, int]:
    """Return the counters below the spare range from which every bridge may start to look."""
    which = {"device_id": device_id, "spare_first": codes.SPARE_FIRST}
    short = core.store.one("counters_in_short", **which)
    assert short is not None
    # With every heartbeat: as a rule there is nothing to weigh.
    if press_counters.is_gapless(short["count"], short["highest"]) and (
        short["is_live"] or not short["count"]
    ):
        return {"press": short["highest"], "alive": short["alive"]}
    device = core.store.one("device", device_id=device_id)
    assert device is not None
    rows = core.store.all("press_counters", **which)
    heard = (press_counters.Heard(row["counter"], bool(row["is_live"])) for row in rows)
    in_use_ms = core.now_ms() - device["imported_at_ms"]
    return {"press": press_counters.press(heard, in_use_ms), "alive": short["alive"]}


def bridge_of(core: Core, token: str) -> str:
    """Return the bridge_id that a bearer token stands for. Raises Refused: unauthorised, revoked."""
    bridge = core.store.one("bridge_of_token", token_sha256=_sha256(token))
    if bridge is None:
        raise Refused("unauthorised")
    if bridge["revoked_at_ms"] is not None:
        raise Refused("revoked")
    return str(bridge["bridge_id"])


def revoke_bridge(core: Core, bridge_id: str) -> list[str] | None:
    """Its buttons' ids, which it can still follow; None where there is no such bridge."""
    with core.store.transaction():
        if not core.store.run("revoke_bridge", bridge_id=bridge_id, now_ms=core.now_ms()):
            return None
        event_log.note(core, "bridge_revoked", event_log.COMMAND, bridge_id=bridge_id)
    return [row["device_id"] for row in core.store.all("devices_of_bridge", bridge_id=bridge_id)]


def revoke_button(core: Core, device_id: str) -> bool:
    with core.store.transaction():
        if core.store.run("revoke_device", device_id=device_id, now_ms=core.now_ms()):
            event_log.note(core, "button_revoked", event_log.COMMAND, device_id=device_id)
    return core.store.one("device", device_id=device_id) is not None


def all_buttons(core: Core) -> list[ImportedButton]:
    """Return all, as they were imported."""
    return [typed(ImportedButton, row) for row in core.store.all("devices")]


def all_bridges(core: Core) -> list[EnrolledBridge]:
    """Return all, as they were enrolled."""
    return [typed(EnrolledBridge, row) for row in core.store.all("bridges")]


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def new_id() -> str:
    """Draw the id of a bridge, or of a dispatch system."""
    return "".join(secrets.choice(BASE32) for _ in range(8))


def _as_json(capabilities: dict[str, bool] | None) -> str | None:
    return None if capabilities is None else json.dumps(capabilities, sort_keys=True)
