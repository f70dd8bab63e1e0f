"""Registered places: read as maps write them, and how near a position is."""

import pytest

from centre.rules import cases, places
from centre.rules.incidents import Fix
from centre.rules.places import Nearness, Place
from centre.rules.refusals import Refused
from sim.realtime.people import EXAMPLE

HOME = Place("home", 50.8466, 4.3528)


@pytest.mark.parametrize(
    "text",
    ["50.8466, 4.3528", "geo:50.8466,4.3528", " 50.8466 4.3528 ", "50,8466; 4,3528", "50,8466 4,3528"],
)
def test_a_position_is_read_as_maps_copy_it(text: str) -> None:
    """With a comma, a semicolon or a space between; with a decimal comma too."""
    assert places.read(text) == (50.8466, 4.3528)


@pytest.mark.parametrize(
    "text", ["", "here", "50.8", "91, 4", "50, 181", "1e9, 4", "٥٠, 4", "nan, 4", "50.8466, 4.3528, 7"]
)
def test_what_is_no_position_is_refused(text: str) -> None:
    """A wrong place would send help there."""
    with pytest.raises(ValueError, match="it is"):
        places.read(text)


@pytest.mark.parametrize(
    ("north_m", "radius_m", "nearness"),
    [
        (0, 20, Nearness.AT),
        (110, 20, Nearness.AT),
        (130, 20, Nearness.AWAY),
        (0, 251, Nearness.COULD_BE_AT),
        (900, 1000, Nearness.COULD_BE_AT),
        (1200, 1000, Nearness.AWAY),
        (19_000, 20, Nearness.AWAY),
        (21_000, 20, None),
    ],
)
def test_near_is_what_the_circle_allows_to_say(
    north_m: float, radius_m: float, nearness: Nearness | None
) -> None:
    """Never "at" by a circle in which other houses are as well; nothing beyond 20 km."""
    fix = Fix(HOME.lat + north_m / 111_195, HOME.lon, radius_m, None, "GNSS", 1)
    assert [one.nearness for one in places.near(fix, [HOME])] == ([nearness] if nearness else [])


@pytest.mark.parametrize("change", [{"addresses.0.position": "here"}, {"addresses.0.what": ""}])
def test_a_form_with_a_place_that_cannot_be_named_is_refused(change: dict[str, str]) -> None:
    """Its position is none, or it has no name by which an alarm could call it."""
    form = cases.to_form(EXAMPLE) | {"addresses.0.position": "50.8, 4.3"}
    assert cases.from_form(form).addresses[0].position == "50.8, 4.3"
    with pytest.raises(Refused) as refused:
        cases.from_form(form | change)
    assert refused.value.field == next(iter(change))
