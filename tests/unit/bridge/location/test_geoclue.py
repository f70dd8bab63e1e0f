"""What GeoClue says of a place: how it knows, how wide it is, and when it was."""

from typing import Any

import pytest
from dbus_fast import Variant

from bridge.location.geoclue import RADIUS_M_UNKNOWN, read
from bridge.model import rfc3339

NOW = 1_795_428_904_000


def place(**changes: Any) -> dict[str, Any]:
    """Return a Location's properties."""
    properties = {
        "Latitude": Variant("d", 50.8),
        "Longitude": Variant("d", 4.38),
        "Accuracy": Variant("d", 35.0),
        "Timestamp": Variant("(tt)", [NOW // 1000 - 60, 250_000]),
    }
    return properties | changes


@pytest.mark.parametrize(
    ("description", "method"),
    [
        ("GPS GPGGA", "GNSS"),
        ("gps", "GNSS"),
        ("WiFi", "WIFI"),
        ("Wi-Fi", "WIFI"),
        ("3GPP", "CELL"),
        ("CDMA", "CELL"),
        ("Static location", "MANUAL"),
        ("ipf fallback (from WiFi data)", "NETWORK"),
        ("lacf fallback (from 3GPP data)", "NETWORK"),
        ("IP address", "NETWORK"),
        ("GeoIP", "NETWORK"),
        ("wifi by IP", "NETWORK"),
        ("WiFi and 3GPP", "NETWORK"),
        ("no GPSD here", "NETWORK"),
        ("wifimaps", "NETWORK"),
        ("", "NETWORK"),
    ],
)
def test_how_it_knows_is_believed_in_whole_words_alone(description: str, method: str) -> None:
    """A guess by the address in the internet is a guess, whatever it was asked with."""
    fix = read(place(Description=Variant("s", description)), NOW)
    assert fix
    assert fix.method == method


@pytest.mark.parametrize(
    "odd",
    [*(Variant("d", value) for value in (-1.0, 0.0, float("nan"), float("inf"))), Variant("s", "wide"), None],
)
def test_an_accuracy_that_is_none_makes_the_circle_wide(odd: Variant | None) -> None:
    """GeoClue's word for "unknown" is -1; the place is there all the same."""
    fix = read(place(Accuracy=odd), NOW)
    assert fix
    assert (fix.lat, fix.radius_m) == (50.8, RADIUS_M_UNKNOWN)


@pytest.mark.parametrize(
    "odd",
    [
        Variant("(tt)", [0, 0]),
        Variant("(tt)", [2**63, 0]),
        Variant("(tt)", [253_370_764_800, 0]),
        Variant("s", "now"),
        Variant("t", 5),
        None,
    ],
)
def test_a_stamp_that_is_none_makes_it_now(odd: Variant | None) -> None:
    """An odd part costs itself alone."""
    fix = read(place(Timestamp=odd), NOW)
    assert fix
    assert fix.taken_at == rfc3339(NOW)


@pytest.mark.parametrize("odd", [Variant("d", 95.0), Variant("d", float("nan")), Variant("s", "north"), None])
def test_without_a_place_there_is_none(odd: Variant | None) -> None:
    """Nowhere on Earth."""
    assert read(place(Latitude=odd), NOW) is None
