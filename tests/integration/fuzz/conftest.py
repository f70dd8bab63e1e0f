"""A centre for each module."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.integration.fuzz.parts import Served, known


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A centre with a button, a bridge, and somebody of each role signed in."""
    home = tmp_path_factory.mktemp("fuzz") / "home"
    process = subprocess.Popen(
        [sys.executable, "-m", "centre", "serve", "--port", "0", "--json-log", "--home", str(home)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ,
    )
    try:
        assert process.stdout
        line = json.loads(process.stdout.readline())
        headers = known(home, line["url"])
        # Whatever it logs from now on is not read: a full pipe would stop it.
        process.stdout.close()
        yield Served(line["url"], line["ca"], headers)
        assert process.poll() is None, "it has ended"
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()
