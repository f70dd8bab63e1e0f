"""The stream of receipts: every event comes, wherever its bytes are cut and however its lines end."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bridge.centre.stream import EventStream

ENDS = st.lists(st.sampled_from([b"\n", b"\r", b"\r\n"]), min_size=12, max_size=12)


@given(ENDS, st.lists(st.integers(0, 200), max_size=40), st.booleans())
def test_every_event_comes_once(ends: list[bytes], cuts: list[int], has_mark: bool) -> None:
    """Lines may end in each of three ways, chunks anywhere, and a byte order mark may come first."""
    lines = [line for n in b"123" for line in (b"event: receipt", b"id: %c" % n, b"data: %c" % n, b"")]
    # An LF after a line that ends with CR and is followed by an empty one would be part of that CR.
    pairs = zip(lines, ends, [*ends[1:], b"\n"], [*lines[1:], b"x"], strict=True)
    text = b"".join(
        line + (b"\r\n" if (end, following, after) == (b"\r", b"\n", b"") else end)
        for line, end, following, after in pairs
    )
    text = (b"\xef\xbb\xbf" if has_mark else b"") + text
    stream, places = EventStream(), [0, *sorted({min(cut, len(text)) for cut in cuts}), len(text)]
    chunks = [text[start:end] for start, end in pairwise(places)]
    assert [event for chunk in chunks for event in stream.feed(chunk)] == [("1", "1"), ("2", "2"), ("3", "3")]


def test_an_empty_line_after_a_split_line_end_ends_the_event() -> None:
    """The LF that belongs to a CR is forgotten with it: the next one is a line of its own."""
    stream = EventStream()
    chunks = [b"event: receipt\nid: 1\ndata: 1\r", b"\n", b"\n"]
    assert [event for chunk in chunks for event in stream.feed(chunk)] == [("1", "1")]
