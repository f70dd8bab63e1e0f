"""What a button may be asked to seal, beyond what the vectors hold."""

import struct

import pytest

from wire import direct
from wire.direct import Answer, Request
from wire.direct_centre import seal_answer, unseal_request
from wire.keys import InvalidMessage, Mac, derive

MAC = Mac(derive(bytes(range(32)), "direct"))


def press(**changes: int | bytes) -> Request:
    request = Request(direct.PRESS, direct.LTE, 1, 1, 7, 41, 0, 2, 195, direct.NO_STAGE, 0, -61, 0)
    for field, value in changes.items():
        setattr(request, field, value)
    return request


@pytest.mark.parametrize(
    "changes",
    [{"n": 1 << 32}, {"n": -1}, {"counter": 1 << 32}, {"signal": -129}, {"kind": 256}, {"facts": bytes(81)}],
    ids=str,
)
def test_what_does_not_fit_is_not_cut(changes: dict[str, int | bytes]) -> None:
    """A field that is too large is an error of ours, and never another press."""
    with pytest.raises((ValueError, struct.error)):
        direct.seal_request(MAC, press(**changes))


def test_every_kind_has_one_length_and_no_byte_in_common() -> None:
    """A sniffer cannot tell a press from a check-in: no byte stays the same from one to the other."""
    kinds = [
        press(),
        press(n=42, kind=direct.POLL, wait_s=20),
        press(n=43, kind=direct.CHECKIN, event=0, counter=0),
        press(n=44, kind=direct.FIX, facts=direct.gnss(1, 2, 3, 4)),
    ]
    frames = [direct.seal_request(MAC, request) for request in kinds]
    assert {len(frame) for frame in frames} == {direct.REQUEST_BYTES}
    assert not [column for column in zip(*frames, strict=True) if len(set(column)) == 1]


def test_the_same_press_is_the_same_bytes_and_the_next_try_is_not() -> None:
    """A frame sent again says nothing new to who listens; one with the next `seq` looks like no other."""
    again, later = direct.seal_request(MAC, press()), direct.seal_request(MAC, press(seq=1))
    assert direct.seal_request(MAC, press()) == again
    assert again[:8] == later[:8]
    assert again[8:24] != later[8:24]


def test_the_strongest_access_points_are_kept() -> None:
    """Of a long scan go the ten strongest, or nine where the cell has to fit in beside them."""
    seen = [(bytes((2, 0, 0, 0, 0, at)), -30 - at * 7 % 61) for at in range(30)]
    kept = direct.access_points(seen)
    assert len(kept) == 2 + 10 * 7
    rest = direct.cell(1, 262, 3, 4, 5, -200)
    both = direct.access_points(seen, 9) + rest
    assert len(both) <= direct.FACTS_BYTES
    strongest = sorted(seen, key=lambda point: point[1], reverse=True)[:10]
    assert [kept[2 + 7 * at : 8 + 7 * at] for at in range(10)] == [bssid for bssid, _ in strongest]


def test_an_answer_proves_its_request() -> None:
    """The same words in answer to another frame are other bytes: an old RECEIVED cannot be played again."""
    said = Answer(bytes(17), 1_800_000_000_000, 0, 0, 42)
    first, second = (direct.seal_request(MAC, press(seq=seq)) for seq in (0, 1))
    answered = seal_answer(MAC, first, said)
    assert direct.unseal_answer(MAC, first, answered).n == 42
    with pytest.raises(InvalidMessage, match="tag"):
        direct.unseal_answer(MAC, second, answered)


def test_what_the_button_is_not_known_by_is_refused() -> None:
    """A frame under the name of one session is none of another session."""
    with pytest.raises(InvalidMessage, match="name"):
        unseal_request(MAC, direct.seal_request(MAC, press()), 40)
