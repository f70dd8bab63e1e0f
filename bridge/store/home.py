"""The bridge's home: credentials and keys, the lock, the page's secret, the places of journal and settings.

The directory has mode 0700 and its files 0600; what is wider is refused. Keys and tokens are in
`credentials.json`, or in the system's keyring (keyring_store.py) and the file only says in which entry.
"""

import contextlib
import errno
import json
import os
import re
import secrets
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import platformdirs

from bridge.model import Device
from bridge.settings import https_urls
from bridge.store import keyring_store

CREDENTIALS = "credentials.json"
PAGE_SECRET = "page-secret"  # noqa: S105 -- the file's name
KEYRING_ID = "keyring-id"
FILE, KEYRING = "file", "keyring"
_SECRETS = ("k_code", "k_heard", "k_state", "token")
_KEY = re.compile(r"[0-9a-f]{64}", re.ASCII)
# What opening for writing says of a disk, a directory or a file that takes nothing.
_NOT_WRITABLE = (errno.EROFS, errno.EACCES, errno.EPERM)
_DEVICE_ID = re.compile(r"[A-Z2-7]{16}", re.ASCII)
ALIVE_PERIOD_S_MAX = 7 * 86_400


class HomeError(Exception):
    """Something in the home is not as it must be; the text is a sentence for the user."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """One centre, its CA, and the buttons that this bridge follows."""

    centre: str
    ca_pem: str
    devices: tuple[Device, ...]
    addresses: tuple[str, ...] = ()  # further ones of the same centre, by its own word
    secrets: str = FILE  # where keys and tokens are kept: FILE or KEYRING

    def with_devices(self, devices: tuple[Device, ...]) -> "Credentials":
        """Return these with `devices`; one that is enrolled again takes its old one's place."""
        merged = {device.device_id: device for device in (*self.devices, *devices)}
        return replace(self, devices=tuple(merged.values()))


def default_home() -> Path:
    """Return where this system keeps a program's data: on Linux `$XDG_DATA_HOME` or `~/.local/share`."""
    return platformdirs.user_data_path("amr-bridge", appauthor=False)


class Home:
    """A directory that is ours alone."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.journal = path / "journal.sqlite"
        self.settings = path / "config.toml"

    def make(self) -> None:
        """Make the directory where it is not there. Raises HomeError, also for one that others can read."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise HomeError(f"cannot make {self.path}: {error.strerror}") from None
        self._refuse_wider(self.path)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the home, for two bridges would fight over the journal and the button. Raises HomeError."""
        from filelock import FileLock, Timeout  # late: `amr-bridge --help` does without

        with contextlib.ExitStack() as stack:
            try:
                try:
                    stack.enter_context(FileLock(self.path / "lock", timeout=0, mode=0o600))
                except OSError as error:
                    if isinstance(error, Timeout) or error.errno not in _NOT_WRITABLE:
                        raise
                    stack.enter_context(self._lock_for_reading())
            except (Timeout, BlockingIOError):
                raise HomeError(f"another bridge is running with {self.path}") from None
            except OSError as error:
                raise HomeError(f"cannot lock {self.path}: {error.strerror}") from None
            yield

    @contextmanager
    def _lock_for_reading(self) -> Iterator[None]:
        """Hold a home that cannot be written, by the same kind of lock on a file that is there.

        Linux makes a disk with errors read-only (mount(8), errors=remount-ro); a press that waits in the
        journal is to be sent all the same. FileLock opens its file for writing only. Raises OSError.
        """
        import fcntl  # late: Windows has none, and no such disks

        path = self.path / "lock"
        handle = os.open(path if path.exists() else self.path / CREDENTIALS, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        finally:
            os.close(handle)

    def is_locked(self) -> bool:
        """Return whether a bridge is running with this home."""
        try:
            with self.lock():
                return False
        except HomeError:
            return True

    def read(self) -> Credentials | None:
        """Return what is enrolled, None where nothing was yet. Raises HomeError."""
        data = self._read_data()
        if data is None:
            return None
        try:
            place = FILE
            items = data["devices"]
            if "keyring" in data:
                place, apart = KEYRING, json.loads(self._from_keyring(data["keyring"]))
                items = [item | apart[item["device_id"]] for item in items]
            devices = tuple(_device(item, item["token"]) for item in items)
            addresses = https_urls(data.get("addresses", []))
            return Credentials(str(data["centre"]), str(data["ca_pem"]), devices, addresses, place)
        except (ValueError, KeyError, TypeError):
            raise HomeError(f"{self.path / CREDENTIALS} is damaged; take it away and enrol again") from None

    def write(self, credentials: Credentials) -> None:
        """Keep them whole or not at all, whenever we are killed (the order is in keyring_store.py).

        Raises HomeError.
        """
        before = (self._read_data() or {}).get("keyring")
        devices = [_device_json(device) for device in credentials.devices]
        data: dict[str, Any] = {
            "centre": credentials.centre,
            "ca_pem": credentials.ca_pem,
            "addresses": list(credentials.addresses),
        }
        if credentials.secrets == KEYRING:
            data["keyring"] = entry = self._next_entry(before)
            apart = {item["device_id"]: {name: item.pop(name) for name in _SECRETS} for item in devices}
            try:
                keyring_store.put(entry, json.dumps(apart))
            except keyring_store.KeyringError as error:
                raise HomeError(str(error)) from None
        self._replace(CREDENTIALS, json.dumps(data | {"devices": devices}, indent=1))
        if isinstance(before, str):
            keyring_store.drop(before)

    def rehearse(self, place: str) -> None:
        """Try whether `write` can be done, before the label's code is used up. Raises HomeError."""
        self._replace("rehearsal", "")
        (self.path / "rehearsal").unlink(missing_ok=True)
        if place == KEYRING:
            entry = self._next_entry((self._read_data() or {}).get("keyring"))
            try:
                keyring_store.put(entry, "rehearsal")
            except keyring_store.KeyringError as error:
                raise HomeError(str(error)) from None
            keyring_store.drop(entry)

    def page_secret(self) -> str:
        """Return what the page's address ends in; it is made once, and stays the same. Raises HomeError."""
        return self._once(PAGE_SECRET, lambda: secrets.token_urlsafe(24))

    def _read_data(self) -> dict[str, Any] | None:
        text = self._read_private(CREDENTIALS)
        try:
            data = None if text is None else json.loads(text)
        except (ValueError, RecursionError):
            data = []
        if data is not None and not isinstance(data, dict):
            raise self._damaged()
        return data

    def _damaged(self) -> HomeError:
        return HomeError(f"{self.path / CREDENTIALS} is damaged; take it away and enrol again")

    def _from_keyring(self, entry: object) -> str:
        if not isinstance(entry, str):
            raise ValueError("not an entry of the keyring")
        try:
            return keyring_store.get(entry)
        except keyring_store.KeyringError as error:
            raise HomeError(str(error)) from None

    def _next_entry(self, before: object) -> str:
        """Return the one of our two entries that is not in use."""
        mine = self._once(KEYRING_ID, lambda: secrets.token_hex(8))
        return f"{mine}-b" if before == f"{mine}-a" else f"{mine}-a"

    def _once(self, name: str, make: Callable[[], str]) -> str:
        """Return a private file's text, which is made where there is none."""
        text = self._read_private(name)
        if not text:
            text = make()
            self._replace(name, text)
        return text

    def _read_private(self, name: str) -> str | None:
        path = self.path / name
        try:
            self._refuse_wider(self.path)
            self._refuse_wider(path)
            return path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except UnicodeDecodeError:
            raise HomeError(f"{path} is damaged; take it away") from None
        except OSError as error:
            raise HomeError(f"cannot read {path}: {error.strerror}") from None

    def _replace(self, name: str, text: str) -> None:
        """Write a file whole or not at all: a temporary file takes the old one's place."""
        path = self.path / name
        try:
            for left in self.path.glob(f".{name}-*"):  # by a kill in the lines below
                left.unlink(missing_ok=True)
            handle, temporary = tempfile.mkstemp(dir=self.path, prefix=f".{name}-")  # 0600 by itself
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
                Path(temporary).replace(path)
            except OSError:
                Path(temporary).unlink(missing_ok=True)
                raise
            directory = os.open(self.path, os.O_RDONLY)
            try:
                os.fsync(directory)  # the name, too: an enrolment cannot be asked for again
            finally:
                os.close(directory)
        except OSError as error:
            raise HomeError(f"cannot write {path}: {error.strerror}") from None

    @staticmethod
    def _refuse_wider(path: Path) -> None:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            narrow = "700" if path.is_dir() else "600"
            raise HomeError(f"{path} can be read by others; run: chmod {narrow} {path}")


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What the centre answers to the label's code."""

    devices: tuple[Device, ...]
    addresses: tuple[str, ...]


def parse_enrolment(answer: dict[str, Any]) -> Enrolment:
    """Read the centre's answer to an enrolment. Raises ValueError where it is none."""
    try:
        token = answer["token"]
        devices = []
        for item in answer["devices"]:
            counters = {f"{stream}_counter": item["counters"][stream] for stream in ("press", "alive")}
            devices.append(_device(item | counters, token))
        addresses = https_urls(answer.get("addresses") or [])
    except (KeyError, TypeError):
        raise ValueError("not an answer to an enrolment") from None
    if not devices:
        raise ValueError("an enrolment without a button")
    return Enrolment(tuple(devices), addresses)


def _device(item: dict[str, Any], token: object) -> Device:
    if not (isinstance(token, str) and re.fullmatch(r"[!-~]{8,512}", token, re.ASCII)):
        raise ValueError("not a token")
    if not _DEVICE_ID.fullmatch(item["device_id"]):
        raise ValueError("not a device_id")
    has_pin = item.get("has_pin", True)
    if not isinstance(has_pin, bool):
        raise ValueError("not a yes or no")
    return Device(
        device_id=item["device_id"],
        epoch=_number(item["epoch"], 0, 0xFFFFFFFF),
        k_code=_key(item["k_code"]),
        k_heard=_key(item["k_heard"]),
        k_state=_key(item["k_state"]),
        alive_period_s=_number(item["alive_period_s"], 1, ALIVE_PERIOD_S_MAX),
        press_counter=_number(item["press_counter"], 0, 0x7FFFFFFF),
        alive_counter=_number(item["alive_counter"], 0, 0x7FFFFFFF),
        token=token,
        has_pin=has_pin,
    )


def _device_json(device: Device) -> dict[str, Any]:
    return {
        "device_id": device.device_id,
        "epoch": device.epoch,
        "k_code": device.k_code.hex(),
        "k_heard": device.k_heard.hex(),
        "k_state": device.k_state.hex(),
        "alive_period_s": device.alive_period_s,
        "press_counter": device.press_counter,
        "alive_counter": device.alive_counter,
        "token": device.token,
        "has_pin": device.has_pin,
    }


def _key(text: str) -> bytes:
    if not _KEY.fullmatch(text):
        raise ValueError("not a key")
    return bytes.fromhex(text)


def _number(value: object, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise ValueError("not a number that can be")
    return value
