"""What an attacker can tell: the attacks find what is there to be found, and nothing where nothing is."""

import json

import pytest

from sim.attacker.active import Attempt
from sim.attacker.beside import beside
from sim.attacker.crowd import crowd
from sim.attacker.questions import Answer, Overheard, ask
from sim.attacker.scores import adjusted_rand, auc, found, rand_by_chance
from sim.attacker.stalk import Stalked, as_json, as_text
from sim.radio.adverts import Heard
from sim.recording.replay import device_of
from wire import codes
from wire.keys import Mac, derive

HOURS, SEED = 2.0, 1


@pytest.fixture(scope="module")
def overheard() -> Overheard:
    heard, devices = beside(SEED, HOURS)
    return ask("beside", heard + crowd(SEED, HOURS * 3_600_000), devices)


def scores(answer: Answer) -> dict[str, float]:
    return {guess.attack: guess.score for guess in answer.guesses}


# -- the scores --------------------------------------------------------------------------------------


def test_a_score_is_one_for_the_truth_and_chance_for_a_blind_guess() -> None:
    """AUC 0.5 and adjusted Rand index 0 are chance; ties are half right."""
    truth = [True, True, False, False]
    assert auc([4, 3, 2, 1], truth) == 1
    assert auc([1, 2, 3, 4], truth) == 0
    assert auc([7, 7, 7, 7], truth) == 0.5
    assert auc([1, 2], [True, True]) is None
    assert (found([4, 1, 3, 2], truth), found([1, 1], [False, False])) == (0.5, 0)
    who = ["a", "a", "b", "b", "c", "c"]
    assert adjusted_rand([1, 1, 2, 2, 3, 3], who) == 1
    assert adjusted_rand(range(6), who) == 0
    assert adjusted_rand([0] * 6, who) == 0
    assert adjusted_rand([1, 2, 1, 2, 1, 2], who) < 0
    assert 0 < rand_by_chance([1, 1, 2, 2, 3, 3] * 4, who * 4, 1) < 0.3


# -- what must not be told ---------------------------------------------------------------------------


def test_nothing_is_linked_by_address_or_code(overheard: Overheard) -> None:
    """Exactly chance: each burst has an address and a code of its own."""
    linked = scores(overheard.answers[1])
    assert (linked["address"], linked["code"]) == (0, 0)
    assert overheard.linked == ()
    assert overheard.answers[1].of > 20


def planted(reused: str) -> Overheard:
    """Two buttons, eight signs of life each; one of them keeps its address, or lists nearly the same code."""
    heard = []
    roots = [bytes([1]) * 32, bytes([2]) * 32]
    for slot in range(8):
        for number, root in enumerate(roots):
            code = codes.code(Mac(derive(root, "code")), codes.ALIVE, slot + 1)
            keeps = number == 0 and reused == "address"
            address = "C0:00:00:00:00:01" if keeps else f"C0:00:00:00:{number:02X}:{slot + 2:02X}"
            at_ms = slot * 900_000 + number * 400_000
            for advert in range(20):
                data = codes.advert(code)
                heard.append(Heard(at_ms + advert * 157.5, -50, address, "random", "ADV_SCAN_IND", data))
    return ask("planted", heard, [device_of(f"DEVICE{n}AAAAAAAAA", root) for n, root in enumerate(roots)])


def test_a_button_that_reuses_its_address_is_found() -> None:
    """So the attack can find something; without that it finds nothing."""
    assert planted("address").linked == ("address",)
    assert scores(planted("address").answers[1])["address"] > 0.3
    assert planted("").linked == ()


# -- what is known to be told ------------------------------------------------------------------------


def test_the_make_is_told_and_the_report_says_so(overheard: Overheard) -> None:
    """Shape, rhythm and connectability give it away to who knows it: a known limit, shown as what it is."""
    product = scores(overheard.answers[0])
    assert product["all together"] > 0.9
    assert product["rhythm (a burst, and never again)"] > 0.7
    assert product["connectability"] > 0.7
    assert product["code"] < 1  # others list random UUIDs, too


def test_a_press_is_told_by_its_burst(overheard: Overheard) -> None:
    """20 ms, or over at once: far above chance."""
    press = overheard.answers[2]
    assert press.right > 3
    assert scores(press)["all together"] > 0.9
    assert press.best is not None
    assert press.best.score > 0.9


def test_the_crowd_is_seeded_and_has_what_looks_like_us() -> None:
    """The same seed, the same people; one UUID of version 4 in 21 bytes, every 20 ms, is not ours alone."""
    people = crowd(3, 120_000)
    assert people == crowd(3, 120_000)
    assert people != crowd(4, 120_000)
    assert any(len(one.data) == 21 and one.data[:5].hex() == "0201061107" for one in people)
    assert {one.kind for one in people} == {"ADV_IND", "ADV_NONCONN_IND"}


def test_one_button_alone_has_nobody_to_be_told_from() -> None:
    """No figure rather than a meaningless one; nothing at all is heard of nobody."""
    devices = [device_of("A" * 16, bytes(32))]
    assert [answer.guesses for answer in ask("nowhere", [], devices).answers] == [(), (), ()]


def test_an_attempt_that_succeeds_is_told_and_is_the_verdict() -> None:
    """As are a button that is linked by its address, and a promise that broke in the scenario itself."""
    refused = Attempt("forges", "nothing was counted", False)
    assert Stalked("x", [], [refused]).holds
    invented = Attempt("forges", "centre: received 1 7", True)
    for stalked in (
        Stalked("x", [], [refused, invented]),
        Stalked("x", [planted("address")], [refused]),
        Stalked("x", [], [refused], ["one incident per press"]),
    ):
        assert not stalked.holds
        assert as_text(stalked).endswith("BROKEN\n")
    assert "SUCCEEDED  the stalker forges: centre: received 1 7" in as_text(Stalked("x", [], [invented]))
    assert not json.loads(as_json(Stalked("x", [], [invented])))["holds"]
