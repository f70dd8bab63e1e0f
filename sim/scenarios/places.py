"""Where everybody of a scenario is, and what stands between them. Pure: the time is an argument."""

import math

from sim.scenarios.model import Scenario

Point = tuple[float, float]
STRANGER_M = 3.0  # somebody without a place stands wherever that is best


class Places:
    """In metres, seen from above; whoever walks goes straight. `at_ms` counts from the beginning."""

    def __init__(self, scenario: Scenario) -> None:
        self._walls = [(one.corners[:2], one.corners[2:], one.loss_db) for one in scenario.walls]
        self._body_db = {one.name: one.body_db for one in scenario.phones}
        places = {one.name: one.place for one in scenario.buttons}
        places |= {one.name: one.place for one in scenario.phones}
        self._moves = {name: [(0, 0, place, place)] for name, place in places.items()}
        for move in sorted(scenario.moves, key=lambda move: move.at_ms):
            here = self.where(move.who, move.at_ms)
            self._moves[move.who].append((move.at_ms, move.for_ms, here, move.to))

    def where(self, name: str, at_ms: float) -> Point:
        begun = [move for move in self._moves[name] if move[0] <= at_ms] or self._moves[name][:1]
        start_ms, for_ms, here, there = begun[-1]
        done = min(1.0, max(0.0, (at_ms - start_ms) / for_ms)) if for_ms else 1.0
        return (here[0] + (there[0] - here[0]) * done, here[1] + (there[1] - here[1]) * done)

    def distance_m(self, one: str, other: str, at_ms: float) -> float:
        if one not in self._moves or other not in self._moves:
            return STRANGER_M
        return math.dist(self.where(one, at_ms), self.where(other, at_ms))

    def between_db(self, one: str, other: str, at_ms: float) -> float:
        """Return what walls and bodies take, the same both ways."""
        body_db = self._body_db.get(one, 0) + self._body_db.get(other, 0)
        if not self._walls or one not in self._moves or other not in self._moves:
            return body_db
        here, there = self.where(one, at_ms), self.where(other, at_ms)
        return body_db + sum(db for start, end, db in self._walls if _cross(here, there, start, end))


def _cross(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Whether the ways a-b and c-d cross: the ends of each lie on both sides of the other."""
    return _side(a, b, c) * _side(a, b, d) < 0 and _side(c, d, a) * _side(c, d, b) < 0


def _side(a: Point, b: Point, point: Point) -> float:
    """Positive on the left of a-b, negative on its right."""
    return (b[0] - a[0]) * (point[1] - a[1]) - (b[1] - a[1]) * (point[0] - a[0])
