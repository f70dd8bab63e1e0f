"""The centre's log: for programs and for people."""

import contextlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
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
    "sound": "heard",
}


@pytest.mark.parametrize("what", EVENTS)
def test_every_event_is_one_json_object_or_an_english_line(
    what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Programs read stdout, stderr for people."""
    with contextlib.closing(Log(as_json=True)) as log:
        log(what, at_ms=1.5, **FIELDS)
    out, error = capsys.readouterr()
    assert (json.loads(out), error) == ({"at_ms": 1.5, "what": what} | FIELDS, "")
    with contextlib.closing(Log(as_json=False)) as log:
        log(what, **FIELDS)
    out, error = capsys.readouterr()
    assert out == ""
    assert "{" not in error


def test_a_log_that_nobody_reads_stops_nothing() -> None:
    """Whoever started us may be gone: an alarm must not fail over its log line."""
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as stream, contextlib.redirect_stdout(stream):
        log = Log(as_json=True)
        log("refused", reason="bad_code", count=1)
        log.close()


def test_a_reader_that_stands_still_holds_up_nobody_and_learns_what_it_missed() -> None:
    """The pipe is full and so is the queue: no call waits; lines that are written are whole, in order."""
    reader, writer = os.pipe()
    count = 5_000
    with open(writer, "w") as stream:
        with contextlib.redirect_stdout(stream):
            log = Log(as_json=True, lines_max=100)
        for number in range(count):
            log("trouble", reason="internal", text=f"{number} {'x' * 100}")
        with open(reader) as lines, ThreadPoolExecutor(1) as readers:
            read = readers.submit(lines.readlines)
            log.close()
            stream.close()
            content = [json.loads(line) for line in read.result()]
    numbers = [int(line["text"].split()[0]) for line in content if line["what"] == "trouble"]
    assert numbers == sorted(set(numbers))
    assert sum(line["count"] for line in content if line["what"] == "dropped") == count - len(numbers) > 0
