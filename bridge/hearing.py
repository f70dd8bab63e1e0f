"""How well this bridge hears a button lately, and how many missed signs mean that it is gone. Pure.

A phone that sleeps hears a third of a button's bursts, one that is awake practically all: the same silence
means nothing to the one and everything to the other. How many went by unheard between two that were heard is
known exactly, by the alive counter; gone is what would hardly happen to a button in reach:

    share of missed signs ^ how many in a row <= BY_CHANCE

| of its signs are heard | it is gone after | at 15 min, each 20 % late, and 1 min |
|---|---|---|
| 99 % | 2 | 37 min |
| 84 % (an iPhone) | 6 | 1 h 49 min |
| 50 % | 14 | 4 h 13 min |
| 40 % (an Android phone that mostly sleeps) | 19 | 5 h 43 min |
| 31 % and fewer | 24 | 7 h 13 min |

The chance holds for a phone that hears as it did lately. One that is in use all day and asleep at night is
wrong more often.
"""

import math

BY_CHANCE = 1e-4
MISSED_MIN, MISSED_MAX = 2, 24
# About a day of signs at 15 min: nights count in the day, and days at night.
_KEPT = 1 - 1 / 96
_FEWEST = 1e-3  # nobody misses nothing


class Hearing:
    """`missed_max`: so many missed in a row mean that it is gone.

    Before anything is known it takes itself for a poor one: as if it had heard one of three.
    """

    def __init__(self) -> None:
        self._heard, self._sent = 1.0, 3.0
        self.missed_max = self._missed_max()

    def heard(self, missed: int) -> None:
        """Once more, after so many that were not. What is beyond `missed_max` was away, and not missed."""
        for _ in range(min(missed, self.missed_max) + 1):
            self._heard, self._sent = self._heard * _KEPT, self._sent * _KEPT + 1
        self._heard += 1
        self.missed_max = self._missed_max()

    def _missed_max(self) -> int:
        share_missed = max(_FEWEST, 1 - self._heard / self._sent)
        return min(max(MISSED_MIN, math.ceil(math.log(BY_CHANCE, share_missed))), MISSED_MAX)
