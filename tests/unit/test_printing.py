"""What the four programs print: on a terminal of any encoding, for no reader, onto a full disk."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.parts import some

PROGRAMS = {
    "bridge": ["config"],
    "centre": ["serve", "--help"],
    "sim": ["run", "--describe"],
    "firmware.flash": ["--help"],
}


def run(program: str, arguments: list[str], stdout: int, **environment: str) -> tuple[int, str, str]:
    """Return the exit code, stdout where it is a pipe, and stderr."""
    done = subprocess.run(
        [sys.executable, "-m", program, *arguments],
        stdout=stdout,
        stderr=subprocess.PIPE,
        env=os.environ | environment,
        check=False,
    )
    return done.returncode, (done.stdout or b"").decode(), done.stderr.decode()


@pytest.mark.parametrize("program", some(2, PROGRAMS))
def test_where_nobody_reads_on_nothing_is_said(program: str) -> None:
    """As in `| head -1`: the command's own exit code, and no complaint."""
    read, write = os.pipe()
    os.close(read)
    try:
        assert run(program, PROGRAMS[program], write) == (0, "", "")
    finally:
        os.close(write)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_full_disk_behind_stdout_is_one_sentence(program: str) -> None:
    """The act is done, so its exit code is as it was."""
    with open("/dev/full", "w") as full:
        code, _, error = run(program, PROGRAMS[program], full.fileno())
    assert (code, error.count("\n")) == (0, 1)
    assert "cannot write to stdout: No space left on device" in error


@pytest.mark.parametrize(
    ("program", "before", "after"),
    [
        ("bridge", ["doctor", "--home"], []),
        ("firmware.flash", ["provision", "--image"], []),
        ("centre", ["ca", "--home"], ["--path"]),
    ],
    ids=["bridge", "button", "centre"],
)
def test_letters_that_the_terminal_does_not_have_are_escapes(
    tmp_path: Path, program: str, before: list[str], after: list[str]
) -> None:
    """The encoding of an old terminal, and a folder that it cannot write."""
    folder = str(tmp_path / "Zoë")
    _, out, error = run(
        program, [*before, folder, *after], subprocess.PIPE, PYTHONIOENCODING="ascii", HOME=str(tmp_path)
    )
    assert r"Zo\xeb" in out
    assert not re.search("mistake|Traceback", error)
