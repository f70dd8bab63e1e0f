"""What buttons without a phone saw: kept sealed with their alarms, and the places that are known by it."""

import contextlib
import json
from dataclasses import dataclass

from centre.platform.sealing import Broken
from centre.rules import sightings
from centre.rules.access import Caller
from centre.rules.cases import registered_places
from centre.rules.incidents import Fix
from centre.rules.places import Place
from centre.rules.refusals import Refused
from centre.rules.sightings import Sighting
from centre.work import assignments, cases, event_log
from centre.work.core import Core
from wire import codes


@dataclass(frozen=True, slots=True)
class Seen:
    """What a button saw, and when that came."""

    at_ms: int
    sighting: Sighting


def keep(core: Core, incident_id: str, sighting: Sighting) -> None:
    """Keep the newest of an alarm or a test, where anything was seen. In a transaction."""
    if sighting:
        sealed = core.sealer.seal(f"sighting:{incident_id}", sightings.write(sighting))
        core.store.run("keep_sighting", incident_id=incident_id, now_ms=core.now_ms(), sealed=sealed)


def of_incident(core: Core, incident_id: str) -> Seen | None:
    """Return what was seen last, or None; one that does not open is none."""
    row = core.store.one("sighting", incident_id=incident_id)
    with contextlib.suppress(Broken):
        if row is not None:
            content = core.sealer.unseal(f"sighting:{incident_id}", row["sealed"])
            return Seen(row["at_ms"], sightings.read(content))
    return None


def of_last_test(core: Core, case_id: str, device_id: str) -> Seen | None:
    """Return what a button saw in its last silent test for this case, or None."""
    test = core.store.one("last_test_of_button", device_id=device_id, case_id=case_id, test=codes.TEST)
    return None if test is None else of_incident(core, test["incident_id"])


def networks_of(core: Core, case_id: str) -> dict[str, list[str]]:
    """Return the access points of each place of a case, by its name; none where they do not open."""
    row = core.store.one("place_networks", case_id=case_id)
    with contextlib.suppress(Broken):
        if row is not None:
            return dict(json.loads(core.sealer.unseal(f"places:{case_id}", row["networks_sealed"])))
    return {}


def places_of(core: Core, case_id: str) -> list[Place]:
    """Return the places of a case of which it is known where on earth they are."""
    with contextlib.suppress(Broken):
        file = cases.file_of(core, case_id)
        return registered_places(file) if file is not None else []
    return []


def fix_of(core: Core, device_id: str, sighting: Sighting) -> Fix | None:
    """Return the registered place at which a button is, by what it sees, as a position; None elsewhere."""
    case_id = assignments.case_of(core, device_id) if sighting.access_points else None
    networks = networks_of(core, case_id) if case_id else {}
    name = sightings.place_of(sighting, networks)
    if case_id is None or name is None:
        return None
    at = next((place for place in places_of(core, case_id) if place.name == name), None)
    return None if at is None else sightings.fix_at(at, core.now_ms())


def register(core: Core, caller: Caller, case_id: str, device_id: str, place: str) -> None:
    """Know a place from now on by the access points of the button's last silent test.

    Raises Refused: unknown_case, unknown_device, unknown_place, nothing_seen.
    """
    with core.store.transaction():
        assignments.check_held(core, caller, case_id, device_id)
        if place not in {one.name for one in places_of(core, case_id)}:
            raise Refused("unknown_place")
        seen = of_last_test(core, case_id, device_id)
        points = sightings.stays(seen.sighting) if seen is not None else ()
        if not points:
            raise Refused("nothing_seen")
        _set(core, case_id, sightings.registered(networks_of(core, case_id), place, points))
        which = {"case_id": case_id, "device_id": device_id}
        event_log.note(core, "place_registered", caller.actor, **which, count=len(points))


def forget(core: Core, caller: Caller, case_id: str, device_id: str, place: str) -> None:
    """Know a place no longer by its access points.

    Raises Refused: unknown_case, unknown_device, unknown_place.
    """
    with core.store.transaction():
        assignments.check_held(core, caller, case_id, device_id)
        networks = networks_of(core, case_id)
        if place not in networks:
            raise Refused("unknown_place")
        _set(core, case_id, {name: points for name, points in networks.items() if name != place})
        event_log.note(core, "place_forgotten", caller.actor, case_id=case_id, device_id=device_id)


def _set(core: Core, case_id: str, networks: dict[str, list[str]]) -> None:
    sealed = core.sealer.seal(f"places:{case_id}", json.dumps(networks).encode())
    core.store.run("set_place_networks", case_id=case_id, sealed=sealed)
