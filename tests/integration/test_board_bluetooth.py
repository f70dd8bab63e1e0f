"""bluetooth.BLE in real interpreters on one air: MicroPython scripts in tests/vm, run by amr-sim."""

import asyncio
import contextlib
import os
import shlex
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

VM = Path(__file__).parents[1] / "vm"
AMR_SIM = [sys.executable, "-m", "sim.app"]
MICROPYTHON = str(Path(sys.executable).parent / "micropython")


async def run(*command: str, stdin: bytes = b"", env: dict[str, str] | None = None) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=env,
    )
    out, err = await process.communicate(stdin)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def execute(*scripts: str) -> None:
    code, out, err = await run(
        *AMR_SIM, "exec", "--timeout", "120", *(str(VM / f"{name}.py") for name in scripts)
    )
    assert (code, err) == (0, ""), out + err
    assert out.count(": done\n") == len(scripts), out


@pytest.mark.parametrize(
    "scripts",
    [
        ["alone"],
        ["adverts_sender", "adverts_scanner"],
        ["gatt_peripheral", "gatt_central"],
        ["order_peripheral", "order_central"],
        ["asyncio_peripheral", "order_central"],
        ["requests_peripheral", "requests_central"],
        ["links_peripheral", *["links_central"] * 4],
        ["pairing_peripheral", "pairing_central"],
        ["pins"],
    ],
    ids=lambda scripts: scripts[0],
)
async def test_scripts(scripts: list[str]) -> None:
    """What each pair of scripts asserts holds; its first line says what that is."""
    await execute(*scripts)


async def test_a_lossy_air_only_takes_longer() -> None:
    """Half of all adverts lost: the pair still finds each other."""
    arguments = ["--loss", "0.5", "--seed", "3", "--timeout", "120"]
    code, out, err = await run(
        *AMR_SIM, "exec", *arguments, str(VM / "order_peripheral.py"), str(VM / "order_central.py")
    )
    assert code == 0, out + err


@contextlib.asynccontextmanager
async def open_air() -> AsyncIterator[dict[str, str]]:
    """`amr-sim air`; gives the environment that it prints."""
    process = await asyncio.create_subprocess_exec(*AMR_SIM, "air", stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        environment = dict(os.environ)
        for _ in range(2):
            export, assignment = shlex.split((await process.stdout.readline()).decode())
            assert export == "export"
            name, _, value = assignment.partition("=")
            environment[name] = value
        yield environment
    finally:
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 0


async def test_any_micropython_joins_an_open_air() -> None:
    """Two plain `micropython` processes meet; stdin is theirs, and a read is served while one waits on it."""
    async with open_air() as environment:
        assert ".frozen" in environment["MICROPYPATH"].split(":")
        deaf = await asyncio.create_subprocess_exec(
            MICROPYTHON,
            str(VM / "deaf_peripheral.py"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=environment,
        )
        assert deaf.stdout is not None
        assert await deaf.stdout.readline() == b"waiting\n"
        code, out, err = await run(MICROPYTHON, str(VM / "deaf_central.py"), env=environment)
        assert (code, out, err) == (0, "done\n", "")
        rest, _ = await deaf.communicate(b"a line\n")
        assert (deaf.returncode, rest) == (0, b"got a line\n")


async def test_a_guest_that_sleeps_or_resets_ends() -> None:
    """Nobody could start a foreign process again: deepsleep() and reset() end it, cleanly."""
    async with open_air() as environment:
        for call in ("deepsleep(10)", "reset()"):
            code, out, err = await run(
                MICROPYTHON, "-c", f"import machine\nmachine.{call}\nprint('never')", env=environment
            )
            assert (code, out, err) == (0, "", "")


async def test_the_first_failing_script_gives_the_exit_code(tmp_path: Path) -> None:
    """Output is prefixed by board; a traceback goes the same way; the code is the script's."""
    good, bad = tmp_path / "good.py", tmp_path / "bad.py"
    good.write_text("print('fine')\n")
    bad.write_text("import sys\nprint('a', end='')\nsys.exit(7)\n")
    code, out, err = await run(*AMR_SIM, "exec", str(good), str(bad), str(good))
    assert (code, err) == (7, "")
    assert sorted(out.splitlines()) == ["bad: a", "good-2: fine", "good: fine"]
    bad.write_text("1 / 0\n")
    code, out, _ = await run(*AMR_SIM, "exec", str(bad))
    assert code == 1
    assert "bad: ZeroDivisionError: divide by zero" in out


async def test_a_missing_script_is_a_sentence() -> None:
    code, out, err = await run(*AMR_SIM, "exec", "no-such-script.py")
    assert (code, out) == (2, "")
    assert err == "amr-sim: there is no script no-such-script.py\n"


async def test_a_script_that_does_not_end_is_given_up(tmp_path: Path) -> None:
    endless = tmp_path / "endless.py"
    endless.write_text("while True: pass\n")
    code, _, err = await run(*AMR_SIM, "exec", "--timeout", "0.5", str(endless))
    assert (code, err) == (1, "amr-sim: not ended after 0.5 s: endless\n")


async def test_ctrl_c_ends_everything_without_a_traceback(tmp_path: Path) -> None:
    endless = tmp_path / "endless.py"
    endless.write_text("print('up')\nwhile True: pass\n")
    process = await asyncio.create_subprocess_exec(
        *AMR_SIM,
        "exec",
        str(endless),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"endless: up\n"
    process.send_signal(signal.SIGINT)
    _, err = await process.communicate()
    assert (process.returncode, err) == (130, b"")
