"""What a button sees around it, and at which registered place that is."""

import pytest

from centre.rules import sightings
from centre.rules.sightings import Sighting

HOME = ("100000000001", "100000000002", "100000000003", "100000000004")
WORK = ("200000000001",)
NETWORKS = {"home": HOME, "work": WORK}


def seen(*points: str) -> Sighting:
    return Sighting(tuple((point, -60) for point in points))


@pytest.mark.parametrize(
    ("points", "place"),
    [
        (HOME[:2], "home"),
        (HOME[1:], "home"),
        (HOME[:1], None),  # one of four may have been moved, by whoever wants to be believed elsewhere
        (WORK, "work"),
        ((*HOME[:3], *WORK), "home"),
        (("300000000001",), None),
        ((), None),
    ],
    ids=str,
)
def test_a_place_is_known_by_its_access_points(points: tuple[str, ...], place: str | None) -> None:
    """By the most of them; where a place has many, one alone is not enough."""
    assert sightings.place_of(seen(*points), NETWORKS) == place


def test_hotspots_and_what_is_far_away_make_no_place() -> None:
    """A phone's hotspot goes where the phone goes; a weak network is a neighbour's neighbour's."""
    told = Sighting(
        (("100000000001", -60), ("020000000001", -50), ("da0000000001", -50), ("100000000002", -89))
    )
    assert sightings.stays(told) == ("100000000001",)


def test_an_access_point_is_of_one_place_alone() -> None:
    """The last word counts; a place that has none left is known no more."""
    known = sightings.registered(NETWORKS, "school", (HOME[0], WORK[0]))
    assert known == {"home": list(HOME[1:]), "school": [HOME[0], WORK[0]]}


def test_what_was_written_is_read_again() -> None:
    """With a cell, without, and nothing at all."""
    for told in (seen(*HOME), Sighting((), (1, 206, 1, 7, 8, -95)), Sighting()):
        assert sightings.read(sightings.write(told)) == told
    assert not Sighting()


def test_a_cell_is_written_as_its_number_is() -> None:
    """Whoever asks the network's operator needs it in that form."""
    assert sightings.cell_text((1, 206, 1, 7, 8, -95)) == "LTE-M 206-01-7-8, -95 dBm"
    assert sightings.cell_text((9, 206, 20, 7, 8, 0)) == "other 206-20-7-8"
