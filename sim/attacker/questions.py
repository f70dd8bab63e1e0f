"""Three questions to a list of adverts, and how well each attack answers them. Pure.

The truth comes from the buttons' keys, which no attacker has.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bridge.model import Device
from bridge.rules.expected_codes import ExpectedCodes, uuid_text
from sim.attacker.attacks import PRESS, PRODUCT, UNLINKABLE, Burst, Score, bursts, linking
from sim.attacker.scores import adjusted_rand, auc, found, rand_by_chance
from sim.radio.adverts import Heard, uuids_128
from wire import codes

_SEED = 1


@dataclass(frozen=True, slots=True)
class Guess:
    """An attack and its score. `by_chance`: what a blind guess gets; `found`: see scores.found."""

    attack: str
    score: float
    by_chance: float
    found: float | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """`of`: how many there are to tell from, `right`: how many are it; no guesses: nothing to tell apart."""

    question: str
    of: int
    right: int
    guesses: tuple[Guess, ...]

    @property
    def best(self) -> Guess | None:
        return max(self.guesses, key=lambda guess: guess.score - guess.by_chance, default=None)


@dataclass(frozen=True, slots=True)
class Overheard:
    """What was told from one place and time."""

    where: str
    adverts: int
    answers: tuple[Answer, ...]

    @property
    def linked(self) -> tuple[str, ...]:
        """The attacks that linked what must not be linkable."""
        return tuple(
            guess.attack
            for guess in self.answers[1].guesses
            if guess.attack in UNLINKABLE and guess.score > guess.by_chance
        )


QUESTIONS = ("Which are the product's?", "Which are one button's?", "Was there a press, and when?")


def ask(where: str, heard: Sequence[Heard], devices: Sequence[Device]) -> Overheard:
    whose = truth(heard, devices)
    all_ = bursts(heard)
    owners = [whose.get(burst.data) for burst in all_]
    ours = [burst for burst, owner in zip(all_, owners, strict=True) if owner]
    buttons = [owner[0] for owner in owners if owner]
    answers = (
        _scored(QUESTIONS[0], PRODUCT, all_, [owner is not None for owner in owners]),
        _linked(ours, buttons),
        _scored(QUESTIONS[2], PRESS, all_, [bool(owner and owner[1] in codes.PRESSES) for owner in owners]),
    )
    return Overheard(where, len(heard), answers)


def truth(heard: Sequence[Heard], devices: Sequence[Device]) -> dict[bytes, tuple[str, int]]:
    """Return `data -> (device_id, event)` of what is ours, by a bridge's own dictionary."""
    watch = ExpectedCodes()
    for device in devices:
        watch.add(device, 0)
    whose: dict[bytes, tuple[str, int]] = {}
    for one in heard:
        if one.data not in whose:
            sighting = watch.hear([uuid_text(uuid) for uuid in uuids_128(one.data)], int(one.at_ms))
            if sighting is not None:
                whose[one.data] = (sighting.device_id, sighting.event)
    return whose


def _scored(question: str, attacks: dict[str, Score], all_: Sequence[Burst], is_it: list[bool]) -> Answer:
    guesses = []
    for name, attack in attacks.items():
        scores = attack(all_)
        score = auc(scores, is_it)
        if score is not None:
            guesses.append(Guess(name, score, 0.5, found(scores, is_it)))
    return Answer(question, len(all_), sum(is_it), tuple(guesses))


def _linked(ours: Sequence[Burst], buttons: Sequence[str]) -> Answer:
    """Of bursts that are known to be the product's."""
    count = len(set(buttons))
    guesses = []
    if 1 < count < len(ours):  # else nothing is heard twice, or there is nobody to mistake it for
        for name, attack in linking(count).items():
            labels = attack(ours)
            chance = max(0.0, rand_by_chance(labels, buttons, _SEED))
            guesses.append(Guess(name, adjusted_rand(labels, buttons), chance))
    return Answer(QUESTIONS[1], len(ours), count, tuple(guesses))
