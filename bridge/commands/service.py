"""`amr-bridge service`: a systemd unit of the user's own, that has the bridge run from login on.

Its name and words say nothing of what it is. Only what an unprivileged user manager can carry out is
in it (systemd.exec(5): what needs mount namespaces does not work there); no secret is.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import platformdirs

from bridge.commands.errors import FAILED, OK, CommandError
from bridge.store.home import Home

UNIT = "tag-sync.service"
COMMAND_S_MAX = 30.0
_TEXT = """\
[Unit]
Description=Tag sync
# Never given up, however often it failed.
StartLimitIntervalSec=0

[Service]
ExecStart={command}
Restart=always
RestartSec=1
UMask=0077
LimitCORE=0
NoNewPrivileges=yes
LockPersonality=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK AF_BLUETOOTH

[Install]
WantedBy=default.target
"""
_START = (["systemctl", "--user", "daemon-reload"], ["systemctl", "--user", "enable", "--now", UNIT])
# So that it runs without a login, too: a home gateway, or a machine that was started again.
_LINGER = ["loginctl", "enable-linger"]
_STOP = (["systemctl", "--user", "stop", UNIT],)
_FORGET = (["systemctl", "--user", "daemon-reload"],)


class ServiceError(CommandError):
    """The service manager could not be told; the text is a sentence."""


def run(home: Home, arguments: argparse.Namespace) -> int:
    """Install the service, take it out, or say how it is. Raises ServiceError."""
    if arguments.action == "status":
        runs, sentence = status()
        print(sentence)
        return OK if runs else FAILED
    if arguments.action == "install":
        print(install(home.path, arguments.now))
    else:
        print(uninstall(arguments.now))
    return OK


def unit_path() -> Path:
    """Return where systemd looks for a user's own units (systemd.unit(5))."""
    return platformdirs.user_config_path() / "systemd" / "user" / UNIT


def unit_text(home: Path) -> str:
    """Return the unit. Raises ServiceError for a path that no unit can name."""
    # -P: what lies in the working directory is not ours to import.
    words = [sys.executable, "-P", "-m", "bridge", "run", "--home", str(home.absolute())]
    return _TEXT.format(command=" ".join(_quoted(word) for word in words))


def _quoted(word: str) -> str:
    """Quote as systemd.service(5) has it, "Command lines": C escapes, `%` specifiers, `$` variables."""
    if not word.isprintable():
        raise ServiceError(f"a unit cannot name {word!r}")
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'


def install(home: Path, now: bool) -> str:
    """Write the unit; return what is to be done next, or with `now` was done. Raises ServiceError."""
    path, text = unit_path(), unit_text(home)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{UNIT}-")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).replace(path)
    except OSError as error:
        raise ServiceError(f"cannot write {path}: {error.strerror}") from None
    return "\n".join([f"written: {path}", *_do((*_START, _LINGER), now)])


def uninstall(now: bool) -> str:
    """Take the unit out; with `now`, stop it first. Return what was done. Raises ServiceError."""
    path = unit_path()
    if not path.exists():
        return f"not installed: there is no {path}"
    stopped, failure = [], None
    try:
        stopped = _do(_STOP, now)
    except ServiceError as error:  # nothing to stop it with: then it is at least not started again
        failure = error
    try:
        (path.parent / "default.target.wants" / UNIT).unlink(missing_ok=True)  # what `enable` made
        path.unlink()
    except OSError as error:
        raise ServiceError(f"cannot remove {path}: {error.strerror}") from None
    if failure is not None:
        raise ServiceError(f"removed {path}, but what runs goes on running: {failure}")
    lines = [*stopped, *_do(_FORGET, now)] if now else _do((*_STOP, *_FORGET), now)
    return "\n".join([f"removed: {path}", *lines])


def status() -> tuple[bool, str]:
    """Return whether it runs, and a sentence."""
    if not unit_path().exists():
        return False, "not installed; run: amr-bridge service install"
    try:
        answer = _run(["systemctl", "--user", "is-active", UNIT])
        state = answer.stdout.strip()
        if not state:  # no session of this user: "Failed to connect to bus"
            state = f"nobody knows whether it runs; log in as this user first ({answer.stderr.strip()})"
    except ServiceError as error:
        return False, f"installed at {unit_path()}; {error}"
    return state == "active", f"installed at {unit_path()}; {state}"


def _do(commands: tuple[list[str], ...], now: bool) -> list[str]:
    if not now:
        return ["now run:", *(f"  {' '.join(command)}" for command in commands)]
    for command in commands:
        result = _run(command)
        if result.returncode:
            why = (result.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise ServiceError(f"{' '.join(command)} failed: {why}")
    return [f"done: {' '.join(command)}" for command in commands]


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_S_MAX)
    except FileNotFoundError:
        raise ServiceError(f"there is no {command[0]} here, so no systemd to run it") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ServiceError(f"{' '.join(command)} failed: {type(error).__name__}") from None
