"""The centre's log: for programs and for people."""

import contextlib
import json
import os
from typing import Any

import pytest

from centre.platform.log import EVENTS, Log

FIELDS: dict[str, Any] = {
    "url": "https://x",
    "ca": "ca.pem",
    "ca_sha256": "00",
    "device_id": "A" * 16,
    "event": 1,
    "counter": 2,
    "incident": "abc",
    "known": True,
    "reason": "bad_code",
    "count": 3,
    "text": "words",
    "stored": 4,
    "found": 5,
    "ended": 6,
}


@pytest.mark.parametrize("what", EVENTS)
def test_every_event_is_one_json_object_or_an_english_line(
    what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """stdout for programs, stderr for people."""
    Log(as_json=True)(what, at_ms=1.5, **FIELDS)
    out, error = capsys.readouterr()
    assert (json.loads(out), error) == ({"at_ms": 1.5, "what": what} | FIELDS, "")
    Log(as_json=False)(what, **FIELDS)
    out, error = capsys.readouterr()
    assert out == ""
    assert "{" not in error


def test_a_log_that_nobody_reads_stops_nothing() -> None:
    """Whoever started us may be gone: an alarm must not fail over its log line."""
    reader, writer = os.pipe()
    os.close(reader)
    stream = open(writer, "w")  # noqa: SIM115 -- closing it fails, as it must
    with contextlib.redirect_stdout(stream):
        Log(as_json=True)("refused", reason="bad_code", count=1)
    with contextlib.suppress(BrokenPipeError):
        stream.close()
