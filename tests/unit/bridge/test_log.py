"""The bridge's log never stands in the way of a press."""

import contextlib
import sys
from pathlib import Path

import pytest

from bridge.log import Log


@pytest.mark.parametrize("as_json", [True, False])
def test_a_log_that_cannot_be_written_is_no_matter(as_json: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk under a redirected log, or a reader that has gone: the bridge goes on."""
    full = Path("/dev/full").open("w", buffering=1)  # noqa: SIM115 -- closing it fails, too
    monkeypatch.setattr(sys, "stdout" if as_json else "stderr", full)
    Log(as_json)("trouble", reason="disk_full", text="words")
    monkeypatch.undo()
    with contextlib.suppress(OSError):
        full.close()
