"""`make bench`: everything that is promised in numbers, measured on this machine in this run.

Ratios next to a named floor or peer, medians over at least 30 runs: absolute times are the machine's.
"""

import argparse
from collections.abc import Callable

from sim.physics.medium import share_heard
from tests.bench import (
    adverts,
    awake,
    bluez,
    button,
    centre,
    city,
    desks,
    direct,
    explore,
    hot,
    press,
    size,
    strangers,
    wifi,
)

_COLUMNS = ("what", "measured", "wanted", "beside it")


def air_rows(presses: int) -> list[tuple[str, str, str, str]]:
    share = share_heard(presses, within_ms=11_000, loss=0.5)
    short = share_heard(presses, within_ms=3_000, loss=0.5)
    note = (
        f"Android with its screen off (512 ms of 10.24 s), half of the packets lost; within 3 s: {short:.1%}"
    )
    return [(f"presses heard within 11 s, {presses} presses", f"{share:.1%}", "", note)]


MEASURES: dict[str, Callable[[int], list[tuple[str, str, str, str]]]] = {
    "adverts": adverts.rows,
    "hot": hot.rows,
    "press": press.rows,
    "button": button.rows,
    "awake": awake.rows,
    "bluez": bluez.rows,
    "centre": centre.rows,
    "direct": direct.rows,
    "desks": desks.rows,
    "size": size.rows,
    "explore": explore.rows,
    "city": city.rows,
    "strangers": strangers.rows,
    "wifi": wifi.rows,
    "air": lambda _runs: air_rows(1000),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=30, help="of each measurement (default 30)")
    parser.add_argument("--only", choices=MEASURES, help="this measurement alone")
    arguments = parser.parse_args()
    rows = [_COLUMNS]
    for name, measure in MEASURES.items():
        if arguments.only in (None, name):
            rows += measure(arguments.runs)
    widths = [max(len(row[n]) for row in rows) for n in range(3)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)) + "  " + row[3])


if __name__ == "__main__":
    main()
