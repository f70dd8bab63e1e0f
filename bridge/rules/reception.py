"""How well this bridge hears a button lately, and how many missed heartbeats mean that it is gone. Pure.

A phone that sleeps hears a third of a button's bursts, one that is awake practically all: the same silence
means nothing to the one and everything to the other. How many went by unheard between two that were heard is
known exactly, by the alive counter; gone is what would hardly happen to a button in reach:

    share of missed heartbeats ^ how many in a row <= BY_CHANCE

| of its heartbeats are heard | it is gone after | at 15 min, each 20 % late, and 1 min |
|---|---|---|
| 99 % | 2 | 37 min |
| 84 % (an iPhone) | 6 | 1 h 49 min |
| 50 % | 14 | 4 h 13 min |
| 40 % (an Android phone that mostly sleeps) | 19 | 5 h 43 min |
| 31 % and fewer | 24 | 7 h 13 min |

Misses come in company: a phone that is in the hand by day sleeps at night. So the share is the one of all
heartbeats or, where that is greater, of those right behind a missed one.
"""

import math

BY_CHANCE = 1e-4
MISSED_MIN, MISSED_MAX = 2, 24
# About a day of heartbeats at 15 min: nights count in the day, and days at night.
_KEPT = 1 - 1 / 96
_LEAST = 1e-3  # nobody misses nothing
_FEW = 5  # misses say little of what follows one


class Reception:
    """How well one button is heard. `missed_max`: so many missed in a row mean that it is gone.

    Before anything is known it takes itself for a poor one: as if it had heard one of three. `learnt` is what
    it goes by, to begin with again.
    """

    def __init__(self, sent: float = 3.0, missed: float = 2.0, in_company: float = 0.0) -> None:
        self._sent, self._missed, self._in_company = sent, missed, in_company
        self.missed_max = self._missed_max()

    @property
    def learnt(self) -> tuple[float, ...]:
        return self._sent, self._missed, self._in_company

    def heard(self, missed: int) -> None:
        """Take one more that was heard, after `missed` that were not.

        If those are more than `missed_max`, it was away: so many count as missed, and say nothing of company.
        """
        counted = min(missed, self.missed_max)
        for number in range(counted + 1):
            self._sent = self._sent * _KEPT + 1
            self._missed = self._missed * _KEPT + (number < counted)
            self._in_company = self._in_company * _KEPT + (0 < number < counted == missed)
        self.missed_max = self._missed_max()

    def _missed_max(self) -> int:
        share = self._missed / self._sent
        after_one = (self._in_company + _FEW * share) / (self._missed + _FEW)
        by_chance = math.log(BY_CHANCE, max(share, after_one, _LEAST))
        return min(max(MISSED_MIN, math.ceil(by_chance)), MISSED_MAX)
