"""How a world begins: buttons imported, bridges enrolled, an operator signed in; made once, copied for each.

The centre's database and the bridges' journals are migrated by their own code and kept as images, so
that a world costs a copy of memory. PINs are hashed as fast as argon2 allows: not they are tried here.
"""

import hashlib
import sqlite3
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from argon2 import PasswordHasher

from bridge.model import Alive, Device
from bridge.store.home import parse_enrolment
from bridge.store.journal import Journal
from centre.platform.sealing import Sealer
from centre.rules import access, registry
from centre.rules.access import Caller
from centre.store import Store
from centre.work import accounts, buttons
from centre.work.core import Core
from sim.virtual.button import ProvisionedButton
from sim.virtual.fault_script import DURESS_PIN, PIN

EPOCH_MS = 1_790_000_000_000
ENROLLED_S = 3600.0  # that long before the world begins
_CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
_SEALING_KEY = bytes(range(32))


@dataclass(frozen=True)
class Fixture:
    """What a world is made of, to be copied."""

    buttons: tuple[ProvisionedButton, ...]
    devices: tuple[tuple[Device, ...], ...]  # of each phone
    operator: Caller
    centre_image: bytes
    journal_image: bytes


def sealer() -> Sealer:
    return Sealer(_SEALING_KEY)


@cache
def make_fixture(button_count: int, phone_count: int, alive_period_s: int) -> Fixture:
    provisioned = tuple(
        ProvisionedButton(
            f"VIRTUALBUTTON{'ABCDEFGHI'[n]}AA", hashlib.sha256(f"root {n}".encode()).digest(), alive_period_s
        )
        for n in range(button_count)
    )
    at_ms = EPOCH_MS - int(ENROLLED_S * 1000)
    core = Core(Store(":memory:"), sealer(), lambda: at_ms)
    codes = [(hashlib.sha256(f"code {n}".encode()).hexdigest().upper()[:20]) for n in range(button_count)]
    known = [
        registry.Button(one.device_id, one.root, _sha256(code), "button", "esp32", alive_period_s)
        for one, code in zip(provisioned, codes, strict=True)
    ]
    buttons.import_buttons(core, known)
    pins = _CHEAP.hash(PIN), _CHEAP.hash(DURESS_PIN)
    devices = []
    for phone in range(phone_count):
        own: list[Device] = []
        for one, code in zip(provisioned, codes, strict=True):
            label = code if phone == 0 else buttons.issue_enrolment(core, one.device_id)
            assert label is not None
            own += parse_enrolment(buttons.enrol(core, label, *pins)).devices
        devices.append(tuple(own))
    values = {"name": "An operator", "zone": None, "language": "en"}
    accounts.add_user(core, "operator", role=access.OPERATOR, **values)  # type: ignore[arg-type]
    token = accounts.invite(core, "operator", "enter", access.ENTER_MS)
    assert token is not None
    operator = accounts.enter(core, token)[1]
    image = core.store.db.serialize()
    core.store.close()
    return Fixture(provisioned, tuple(devices), operator, image, _journal(provisioned))


def _journal(provisioned: tuple[ProvisionedButton, ...]) -> bytes:
    """Of a bridge that has heard each button once, a minute ago."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    journal = Journal(Path("journal.sqlite"), lambda _: db)
    journal.load(EPOCH_MS)
    heard_ms = EPOCH_MS - 60_000
    reason = journal.write(*(Alive(one.device_id, 1, heard_ms, 1, heard_ms) for one in provisioned))
    assert reason is None, reason
    image = db.serialize()
    journal.close()
    return image


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
