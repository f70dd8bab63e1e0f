"""Cases: opened, read, handed a button. What is personal in them lies sealed."""

import secrets

from centre.core import Core
from centre.rules import cases
from centre.rules.access import Caller
from centre.rules.cases import CaseFile
from centre.rules.refusals import Refused
from centre.work import evidence
from centre.work.buttons import BASE32


def open_case(core: Core, caller: Caller, file: CaseFile) -> str:
    """A new case of the caller's zone; its case_id."""
    assert caller.zone
    case_id = "".join(secrets.choice(BASE32) for _ in range(8))
    sealed = core.sealer.seal(f"case:{case_id}", cases.write(file))
    with core.store.transaction():
        core.store.run(
            "open_case", case_id=case_id, zone=caller.zone, file_sealed=sealed, now_ms=core.now_ms()
        )
        evidence.note(core, "case_opened", caller.actor, case_id=case_id)
    return case_id


def file_of(core: Core, case_id: str) -> CaseFile | None:
    """None once it was erased. Whoever shows it to somebody notes "case_seen"."""
    row = core.store.one("case", case_id=case_id)
    if row is None or row["file_sealed"] is None:
        return None
    return cases.read(core.sealer.unseal(f"case:{case_id}", row["file_sealed"]))


def hand_out(core: Core, caller: Caller, case_id: str, device_id: str) -> None:
    """From now on the button's alarms are about this case. Raises Refused("unknown_device")."""
    with core.store.transaction():
        if core.store.one("device", device_id=device_id) is None:
            raise Refused("unknown_device")
        core.store.run("hand_out", device_id=device_id, case_id=case_id, now_ms=core.now_ms())
        evidence.note(core, "button_handed_out", caller.actor, case_id=case_id, device_id=device_id)
