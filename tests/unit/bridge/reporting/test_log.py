"""The bridge's log never stands in the way of a press, and never says what it must not."""

import asyncio
import contextlib
import gc
import json
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bridge.reporting.log import EVENTS, QUEUE_LINES_MAX, Log, mistakes, place

ROOT = Path(__file__).resolve().parents[4]
FIELDS = {
    **{"device_id": "DEVICEBAAAAAAAAA", "event": 1, "counter": 7, "stage": 1, "incident": "i", "rssi": -60},
    **{"buttons": 1, "stored": 2, "outcome": "done", "reason": "r", "text": "words", "where": "disk"},
    **{"count": 3, "in_ms": 500, "in_reach": 1, "age_s": 20},
}


@pytest.mark.parametrize("as_json", [True, False])
def test_a_log_that_cannot_be_written_is_no_matter(as_json: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk under a redirected log, or a reader that has gone: the bridge goes on."""
    full = Path("/dev/full").open("w", buffering=1)  # noqa: SIM115 -- closing it fails, too
    monkeypatch.setattr(sys, "stdout" if as_json else "stderr", full)
    with Log(as_json) as log:
        log("trouble", where="disk", reason="disk_full", text="words")
        log("scanning", buttons=1)
    monkeypatch.undo()
    with contextlib.suppress(OSError):
        full.close()


def test_a_program_reads_one_object_per_line(capfd: pytest.CaptureFixture[str]) -> None:
    """`at_ms` and `what` first, the fields beside them, in the order in which it happened."""
    with Log(True) as log:
        for event in EVENTS:
            log(event, **FIELDS)
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [line["what"] for line in lines] == list(EVENTS)
    assert all(line["at_ms"] > 1_700_000_000_000 for line in lines)
    assert all(FIELDS.items() <= line.items() for line in lines)


def test_a_person_reads_english(capfd: pytest.CaptureFixture[str]) -> None:
    """Every event has its sentence; stdout stays clean."""
    with Log(False) as log:
        for event in EVENTS:
            log(event, **FIELDS)
    said = capfd.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == len(EVENTS)
    assert "DEVICEBAAAAAAAAA has taken: ALARM number 7 is RECEIVED" in said.err
    assert "unwritable" not in said.err


def test_a_line_that_cannot_be_rendered_says_so(capfd: pytest.CaptureFixture[str]) -> None:
    """A field too few, an event that is new: the log goes on."""
    with Log(False) as log:
        log("heard")
        log("nonsense", x=1)
        log("scanning", buttons=1)
    lines = capfd.readouterr().err.splitlines()
    assert ["unwritable" in line for line in lines] == [True, True, False]


STALLED = f"""
import sys
from bridge.reporting.log import Log
with Log(True) as log:
    for number in range({QUEUE_LINES_MAX * 20}):
        log("refused", reason="x" * 200, count=number)
    print("through", file=sys.stderr, flush=True)
    if sys.stdin.readline() == "read\\n":
        log("scanning", buttons=1)
        sys.stdin.readline()
        log("scanning", buttons=2)
"""


def stalled() -> subprocess.Popen[str]:
    """Return a program that has logged 4 MB into a pipe that nobody reads."""
    program = subprocess.Popen(
        [sys.executable, "-c", STALLED],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert program.stderr
    assert program.stderr.readline() == "through\n"
    return program


def test_a_reader_that_stalls_delays_nothing_and_is_told_what_it_missed() -> None:
    """Each line was either read or is counted as dropped."""
    program = stalled()
    assert program.stdin
    assert program.stdout
    read = [json.loads(program.stdout.readline()) for _ in range(10)]
    program.stdin.write("read\n")
    program.stdin.flush()
    while read[-1]["what"] != "dropped":
        read.append(json.loads(program.stdout.readline()))
    program.stdin.close()
    read += [json.loads(line) for line in program.stdout]
    assert program.wait(timeout=60) == 0
    dropped = sum(line["count"] for line in read if line["what"] == "dropped")
    assert dropped > 0
    refused = [line["count"] for line in read if line["what"] == "refused"]
    assert refused == sorted(refused)
    scanning = sum(line["what"] == "scanning" for line in read)
    program.stdout.close()
    assert program.stderr
    program.stderr.close()
    assert len(refused) + scanning + dropped == QUEUE_LINES_MAX * 20 + 2


def test_a_reader_that_never_reads_does_not_keep_us_from_ending() -> None:
    """The end comes within moments, without a complaint of the interpreter's."""
    program = stalled()
    assert program.stdin
    program.stdin.close()
    assert program.wait(timeout=60) == 0
    assert program.stderr
    assert program.stdout
    assert program.stderr.read() == ""
    program.stderr.close()
    program.stdout.close()


async def test_what_nobody_catches_is_told_by_its_place_alone(capfd: pytest.CaptureFixture[str]) -> None:
    """A library's error log, a task that nobody awaited, a thread: the text may hold a token."""
    secret = "token-in-the-text-of-an-error"  # noqa: S105 -- opens nothing

    def fail() -> None:
        raise RuntimeError(secret)

    async def fail_alone() -> None:
        fail()

    with Log(True) as log, mistakes(log):
        for _ in range(5):
            try:
                fail()
            except RuntimeError:
                logging.getLogger("aiohttp.server").exception("with %s", secret)
        thread = threading.Thread(target=fail)
        thread.start()
        thread.join()
        task = asyncio.create_task(fail_alone())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        del task
        gc.collect()
    said = capfd.readouterr()
    lines = [json.loads(line) for line in said.out.splitlines()]
    assert [line["where"] for line in lines] == ["library", "thread", "library"]
    assert all("RuntimeError at reporting/test_log.py:" in line["text"] for line in lines)
    assert secret not in said.out + said.err


def test_a_place_is_a_kind_a_file_and_a_line() -> None:
    """No text."""
    with pytest.raises(OSError, match="secret") as caught:
        os.stat("/nowhere/" + "secret")
    assert place(caught.value).startswith("FileNotFoundError at reporting/test_log.py:")
    assert place(ValueError("secret")) == "ValueError"
