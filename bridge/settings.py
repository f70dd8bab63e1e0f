"""The bridge's home: credentials and keys (0600, in a directory of 0700), the lock, the journal's place."""

import fcntl
import json
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bridge.model import Device

CREDENTIALS = "credentials.json"
_KEY = re.compile(r"[0-9a-f]{64}", re.ASCII)
_DEVICE_ID = re.compile(r"[A-Z2-7]{16}", re.ASCII)
ALIVE_PERIOD_S_MAX = 7 * 86_400


class SettingsError(Exception):
    """Something in the home is not as it must be; the text is a sentence for the user."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """One centre, its CA, and the buttons that this bridge follows."""

    centre: str
    ca_pem: str
    devices: tuple[Device, ...]

    def with_devices(self, devices: tuple[Device, ...]) -> "Credentials":
        """A button that is enrolled again has new keys and a new token in its old one's place."""
        merged = {device.device_id: device for device in (*self.devices, *devices)}
        return replace(self, devices=tuple(merged.values()))


def default_home() -> Path:
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "amr-bridge"


class Home:
    """A directory that is ours alone."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.journal = path / "journal.sqlite"

    def make(self) -> None:
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(f"cannot make {self.path}: {error.strerror}") from None
        self._refuse_wider(self.path)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """One bridge per home: two would fight over the journal and the button's links."""
        try:
            handle = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise SettingsError(f"cannot lock {self.path}: {error.strerror}") from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            raise SettingsError(f"another bridge is running with {self.path}") from None
        try:
            yield
        finally:
            os.close(handle)

    def is_locked(self) -> bool:
        try:
            with self.lock():
                return False
        except SettingsError:
            return True

    def read(self) -> Credentials | None:
        """None where nothing was enrolled yet. Raises SettingsError."""
        path = self.path / CREDENTIALS
        try:
            self._refuse_wider(self.path)
            self._refuse_wider(path)
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SettingsError(f"cannot read {path}: {error.strerror}") from None
        try:
            data = json.loads(text)
            devices = tuple(_device(item, item["token"]) for item in data["devices"])
            return Credentials(str(data["centre"]), str(data["ca_pem"]), devices)
        except (ValueError, KeyError, TypeError):
            raise SettingsError(f"{path} is damaged; enrol again") from None

    def write(self, credentials: Credentials) -> None:
        """Whole or not at all: a temporary file takes the old one's place."""
        data = {
            "centre": credentials.centre,
            "ca_pem": credentials.ca_pem,
            "devices": [_device_json(device) for device in credentials.devices],
        }
        path = self.path / CREDENTIALS
        try:
            handle, temporary = tempfile.mkstemp(dir=self.path, prefix=".credentials-")  # 0600 by itself
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(data, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        except OSError as error:
            raise SettingsError(f"cannot write {path}: {error.strerror}") from None

    @staticmethod
    def _refuse_wider(path: Path) -> None:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            narrow = "700" if path.is_dir() else "600"
            raise SettingsError(f"{path} can be read by others; run: chmod {narrow} {path}")


def parse_enrolment(answer: dict[str, Any]) -> tuple[Device, ...]:
    """The devices in the centre's answer to an enrolment; raises ValueError where it is none."""
    try:
        token = answer["token"]
        devices = []
        for item in answer["devices"]:
            counters = {f"{stream}_counter": item["counters"][stream] for stream in ("press", "alive")}
            devices.append(_device(item | counters, token))
    except (KeyError, TypeError):
        raise ValueError("not an answer to an enrolment") from None
    if not devices:
        raise ValueError("an enrolment without a button")
    return tuple(devices)


def _device(item: dict[str, Any], token: object) -> Device:
    if not (isinstance(token, str) and re.fullmatch(r"[!-~]{8,512}", token, re.ASCII)):
        raise ValueError("not a token")
    if not _DEVICE_ID.fullmatch(item["device_id"]):
        raise ValueError("not a device_id")
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
    }


def _key(text: str) -> bytes:
    if not _KEY.fullmatch(text):
        raise ValueError("not a key")
    return bytes.fromhex(text)


def _number(value: object, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise ValueError("not a number that can be")
    return value
