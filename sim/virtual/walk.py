"""Where the protected person is, with button and phone: on the way north, on a bicycle. Pure."""

START_LAT, START_LON = 50.8466, 4.3528
SPEED_DEG_S = 5.0 / 111_195  # five metres a second


def place_at(now_s: float) -> tuple[float, float]:
    """Return latitude and longitude."""
    return START_LAT + SPEED_DEG_S * now_s, START_LON
