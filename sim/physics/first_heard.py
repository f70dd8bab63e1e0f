"""Which advert of a series is heard first, by the medium of every other air; asked advert by advert. Pure."""

from sim.physics.medium import ADV_DELAY_US_MAX, Medium, Reception
from sim.physics.scan_profiles import Duty

_EVENTS = 1_000_000  # of one session, at most


def first_heard(
    medium: Medium,
    names: tuple[str, str],
    session: int,
    times_us: tuple[int, int, int],
    interval_us: int,
    duty: Duty,
) -> tuple[int, Reception | None]:
    """Return when the second of `names` first hears the first one, and how.

    Where it hears nothing: up to when it was looked for, and None. `times_us`: when the adverts began, from
    when on the other one listens, and up to when is looked for. Adverts are at multiples of the interval and
    advDelay's mean, each moved by a delay of its own, so the series does not drift. Those of a scanner's
    pause need not be looked at.
    """
    (sender, receiver), (since_us, from_us, until_us) = names, times_us
    every_us = interval_us + ADV_DELAY_US_MAX // 2
    count = max(0, -(-(from_us - since_us) // every_us))
    while True:
        number = session * _EVENTS + count
        at_us = since_us + count * every_us + medium.adv_delay_us(sender, number)
        if at_us >= until_us:
            return at_us, None
        opens_us = medium.listens_at_us(receiver, at_us, duty)
        if opens_us > at_us:
            count += max(1, (opens_us - at_us) // every_us)
            continue
        reception = medium.hears(sender, receiver, number, at_us, duty)
        if reception is not None:
            return at_us + reception.delay_us, reception
        count += 1
