"""A burst as one event: which of its adverts a phone hears first, by the medium of every other air. Pure."""

from sim.physics.medium import ADV_DELAY_US_MAX, Medium
from sim.physics.scan_profiles import Duty

_EVENTS = 1_000_000  # of one session, at most


def first_heard_us(
    medium: Medium,
    names: tuple[str, str],
    session: int,
    times_us: tuple[int, int, int],
    interval_us: int,
    duty: Duty,
) -> int | None:
    """When the second of `names` first hears the first one; None: not at all.

    `times_us`: when the adverts began, from when on the phone listens, and when they end. Adverts are at
    multiples of the interval and advDelay's mean, each moved by a delay of its own: so those of a scanner's
    pause need not be looked at.
    """
    (button, phone), (since_us, from_us, until_us) = names, times_us
    every_us = interval_us + ADV_DELAY_US_MAX // 2
    count = max(0, -(-(from_us - since_us) // every_us))
    while True:
        number = session * _EVENTS + count
        at_us = since_us + count * every_us + medium.adv_delay_us(button, number)
        if at_us >= until_us:
            return None
        opens_us = medium.listens_at_us(phone, at_us, duty)
        if opens_us > at_us:
            count += max(1, (opens_us - at_us) // every_us)
            continue
        reception = medium.hears(button, phone, number, at_us, duty)
        if reception is not None:
            return at_us + reception.delay_us
        count += 1
