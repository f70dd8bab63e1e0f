"""How well a guess does, next to chance. Pure: its shuffles are seeded."""

from collections import Counter
from collections.abc import Sequence
from math import comb
from random import Random

_SHUFFLES = 200


def auc(scores: Sequence[float], truth: Sequence[bool]) -> float | None:
    """Shown one of each, how often the right one has the higher score, a tie being half: 0.5 is chance.

    None where there are not both.
    """
    positives = sum(truth)
    negatives = len(truth) - positives
    if not positives or not negatives:
        return None
    ranks = _ranks(scores)
    above = sum(rank for rank, is_one in zip(ranks, truth, strict=True) if is_one)
    return (above - positives * (positives + 1) / 2) / (positives * negatives)


def _ranks(scores: Sequence[float]) -> list[float]:
    """From 1; equal scores share their mean rank."""
    order = sorted(range(len(scores)), key=scores.__getitem__)
    ranks = [0.0] * len(scores)
    start = 0
    while start < len(order):
        end = start
        while end < len(order) and scores[order[end]] == scores[order[start]]:
            end += 1
        for place in order[start:end]:
            ranks[place] = (start + 1 + end) / 2
        start = end
    return ranks


def shares(scores: Sequence[float]) -> list[float]:
    """Each score as the share of all that lie below it: what lets different scores be added."""
    return [rank / len(scores) for rank in _ranks(scores)]


def found(scores: Sequence[float], truth: Sequence[bool]) -> float:
    """Of as many best guesses as there are right ones, the share that is right."""
    order = sorted(range(len(scores)), key=lambda place: -scores[place])
    wanted = sum(truth)
    return sum(truth[place] for place in order[:wanted]) / wanted if wanted else 0.0


def adjusted_rand(labels: Sequence[object], truth: Sequence[object]) -> float:
    """Hubert and Arabie, 1985: 1 is the very grouping, 0 what chance gives, on average."""
    pairs = comb(len(truth), 2)
    together = sum(comb(n, 2) for n in Counter(zip(labels, truth, strict=True)).values())
    in_labels = sum(comb(n, 2) for n in Counter(labels).values())
    in_truth = sum(comb(n, 2) for n in Counter(truth).values())
    expected = in_labels * in_truth / pairs if pairs else 0.0
    most = (in_labels + in_truth) / 2
    return 1.0 if most == expected else (together - expected) / (most - expected)


def rand_by_chance(labels: Sequence[object], truth: Sequence[object], seed: int) -> float:
    """Return what 19 of 20 groupings of these sizes, drawn blindly, do not exceed."""
    random, shuffled = Random(seed), list(labels)  # noqa: S311 -- to be the same again
    drawn = []
    for _ in range(_SHUFFLES):
        random.shuffle(shuffled)
        drawn.append(adjusted_rand(shuffled, truth))
    return sorted(drawn)[_SHUFFLES * 19 // 20]
