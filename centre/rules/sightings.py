"""What a button without a phone sees around it, and which registered place that is. Pure.

A place (home, work, a shelter) is known by the access points that the button saw there in a silent test. One
that moves about with a person is none: the hotspots of phones, whose addresses are drawn and not given.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from centre.rules.incidents import Fix
from centre.rules.places import Place
from wire.direct_centre import Facts

PLACE_M = 150.0  # how far an access point is heard, and a house around it
WEAK_DBM = -88  # weaker ones belong to others' houses
ENOUGH = 3  # of a place known by so many, one alone is not enough: it may have been moved
_LOCAL = 0x02  # of an address: nobody was given it (IEEE 802)
_NAMES = {1: "LTE-M", 2: "NB-IoT", 3: "other"}


@dataclass(frozen=True, slots=True)
class Sighting:
    """What was seen: `access_points` as (address in hex, dBm), the strongest first; `cell` as in SPEC.md."""

    access_points: tuple[tuple[str, int], ...] = ()
    cell: tuple[int, ...] | None = None

    def __bool__(self) -> bool:
        return bool(self.access_points or self.cell)


NOTHING = Sighting()


def of_facts(facts: Facts) -> Sighting:
    """Return what the facts of a frame say was seen."""
    if not facts.access_points and facts.cell is None:
        return NOTHING
    strongest = sorted(facts.access_points, key=lambda point: -point[1])
    return Sighting(tuple((bssid.hex(), rssi) for bssid, rssi in strongest), facts.cell)


def write(sighting: Sighting) -> bytes:
    """Write it as JSON."""
    return json.dumps(asdict(sighting)).encode()


def read(content: bytes) -> Sighting:
    """Read what `write` has written."""
    whole = json.loads(content)
    points = tuple((bssid, rssi) for bssid, rssi in whole["access_points"])
    return Sighting(points, None if whole["cell"] is None else tuple(whole["cell"]))


def cell_text(cell: tuple[int, ...]) -> str:
    """Write a cell as its number is written (3GPP TS 23.003): kind, MCC-MNC-TAC-cell, dBm."""
    kind, mcc, mnc, tac, cell_id, rsrp = cell
    text = f"{_NAMES.get(kind, 'other')} {mcc:03d}-{mnc:02d}-{tac}-{cell_id}"
    return f"{text}, {rsrp} dBm" if rsrp else text


def stays(sighting: Sighting) -> tuple[str, ...]:
    """Return the access points by which a place can be known."""
    return tuple(
        bssid
        for bssid, rssi in sighting.access_points
        if rssi >= WEAK_DBM and not int(bssid[:2], 16) & _LOCAL
    )


def place_of(sighting: Sighting, networks: Mapping[str, Iterable[str]]) -> str | None:
    """Return at which place this was seen, or None; `networks`: the access points of each place by name."""
    seen = {bssid for bssid, _ in sighting.access_points}
    known = {name: set(points) for name, points in networks.items()}
    found = {
        name: len(points & seen)
        for name, points in known.items()
        if len(points & seen) >= (1 if len(points) < ENOUGH else 2)
    }
    return max(found, key=lambda name: found[name]) if found else None


def fix_at(place: Place, now_ms: int) -> Fix:
    """Return the position of a place: a circle as wide as its access points are heard."""
    return Fix(place.lat, place.lon, PLACE_M, None, "WIFI", now_ms, "place", (), 0.0)


def registered(
    networks: Mapping[str, Iterable[str]], name: str, points: Iterable[str]
) -> dict[str, list[str]]:
    """Return the access points of each place, now that one is known by `points`; none is of two places."""
    own = list(points)
    others = {
        other: [one for one in kept if one not in own] for other, kept in networks.items() if other != name
    }
    return {other: kept for other, kept in (others | {name: own}).items() if kept}
