"""What orjson does not take is read and written all the same."""

import json
import math

import pytest

from centre.platform import json_text


def test_what_only_python_takes_is_written() -> None:
    """Half a character of a command line, in a log line or in the event log, stops nothing."""
    content = {"b": "name \udcff", "a": 2**70}
    written = json_text.write(content, sort=True)
    assert json.loads(written) == content
    assert written.index(b'"a"') < written.index(b'"b"')


def test_what_only_python_takes_is_read() -> None:
    """A NaN is refused where it stands, not with all that is around it."""
    read = json_text.read(b'{"counter": 1, "lat": NaN}')
    assert isinstance(read, dict)
    assert read["counter"] == 1
    assert math.isnan(read["lat"])


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe{}", b"[" * 60_000])
def test_what_is_no_json_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 -- whatever its text
        json_text.read(body)
