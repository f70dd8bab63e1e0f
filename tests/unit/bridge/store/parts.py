"""What the tests of the bridge's files and keys share: a keyring that can be killed, credentials."""

import json
import os
import signal
from pathlib import Path

import keyring
import keyring.backends.fail
import keyring.backends.null
from keyring.backend import KeyringBackend

from bridge.store.home import KEYRING, Credentials
from tests.unit.bridge.parts import TOKEN, Authority, device

CA = Authority().pem.decode()
NULL: KeyringBackend = keyring.backends.null.Keyring()  # type: ignore[no-untyped-call]


class WorldKeyring(KeyringBackend):
    """A keyring that keeps its entries in the file `$WORLD_KEYRING`.

    `$WORLD_KEYRING_KILL` = N kills this process, as a power cut would, before its Nth change of an
    entry; with a `+` behind N, right after it.
    """

    priority = 5  # as Secret Service's

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.changes = 0

    def get_password(self, service: str, username: str) -> str | None:
        return self._entries().get(f"{service}/{username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        self._change(self._entries() | {f"{service}/{username}": password})

    def delete_password(self, service: str, username: str) -> None:
        entries = self._entries()
        del entries[f"{service}/{username}"]
        self._change(entries)

    def _entries(self) -> dict[str, str]:
        path = Path(os.environ["WORLD_KEYRING"])
        found: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
        return found

    def _change(self, entries: dict[str, str]) -> None:
        self.changes += 1
        kill = os.environ.get("WORLD_KEYRING_KILL")
        if kill == str(self.changes):
            os.kill(os.getpid(), signal.SIGKILL)
        Path(os.environ["WORLD_KEYRING"]).write_text(json.dumps(entries))
        if kill == f"{self.changes}+":
            os.kill(os.getpid(), signal.SIGKILL)


def credentials(*numbers: int, kept: str = KEYRING, word: str = TOKEN) -> Credentials:
    devices = tuple(device(number, token=word) for number in numbers)
    return Credentials("https://127.0.0.1:1", CA, devices, ("https://127.0.0.1:2",), kept)
