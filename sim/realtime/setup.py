"""What is typed at the centre and at a phone before anybody presses, done in this process.

A process for each of these commands takes longer than the press itself.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from bridge.centre import client
from bridge.commands import enrol as bridge
from bridge.store import home as bridge_home
from centre.jobs import webhook
from centre.platform import tls
from centre.platform.home import Home
from centre.rules import access, registry
from centre.work import accounts, buttons, dispatch
from centre.work.core import Core, open_core


@contextlib.contextmanager
def core_of(home: Path) -> Iterator[Core]:
    """The store of the centre in `home`, beside the centre that may be serving it."""
    core = open_core(Home(home))
    try:
        yield core
    finally:
        core.store.close()


def add_user(home: Path, login: str, name: str, role: str) -> None:
    """Add a user, as `amr-centre users add` does."""
    with core_of(home) as core:
        accounts.add_user(core, login, name, role, None, "en")


def dispatch_system(home: Path, name: str) -> tuple[str, str]:
    """Return the webhook's secret, and a token, as `amr-centre webhook secret` and `dispatch add` do."""
    with core_of(home) as core:
        token = dispatch.add(core, name, [], every_zone=True, may_close=True)
    assert token is not None
    return webhook.secrets_of(Home(home))[0], token


def entrance(home: Path, url: str, login: str) -> str:
    """Return an address that lets the user in, once, as `amr-centre console` does."""
    with core_of(home) as core:
        return f"{url}/console/enter?key={accounts.invite(core, login, 'enter', access.ENTER_MS)}"


def import_buttons(home: Path, file: Path) -> None:
    """As `amr-centre buttons import`."""
    with core_of(home) as core:
        buttons.import_buttons(core, registry.read(file.read_text("utf-8")))


def label(home: Path, url: str, device_id: str) -> str:
    """As `amr-centre buttons enrol`: the QR text for one more bridge."""
    with core_of(home) as core:
        code = buttons.issue_enrolment(core, device_id)
    return f"{url}/e#{code}.{tls.development(Home(home)).sha256}"


async def enrol(home: Path, qr_text: str, *pins: str) -> None:
    """As `amr-bridge enrol`; in a file: the keyring of whoever runs this is not ours to write in."""
    label = client.parse_label(qr_text)
    await bridge.enrol(bridge_home.Home(home), label, *pins, secrets=bridge_home.FILE)
