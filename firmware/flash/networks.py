"""The `networks` commands of `amr-button`: which Wi-Fi networks a button may use.

Name and passphrase are typed, and are kept nowhere: the button gets the key that Wi-Fi derives from both
(PMK), under a sealed name that it computes with its own key. Who holds the button learns neither.
"""

import argparse
import binascii
import hashlib
import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from firmware.board.direct_config import NETWORKS_FILE, NETWORKS_MAX, networks_of
from firmware.flash import carriers
from firmware.flash.direct import ask, ask_secret, require_button
from firmware.flash.errors import CommandError

if TYPE_CHECKING:
    from firmware.flash.remote import Link

Networks = dict[bytes, str]

_SSID_BYTES_MAX = 32
_PASSPHRASE_MIN, _PASSPHRASE_MAX = 8, 63
_PMK_DIGITS = 64
_ROUNDS, _PMK_BYTES = 4096, 32
_SHOWN = 4  # digits of a sealed name: enough to tell eight apart
# Computed there, for only the button knows which epoch of its keys is in use.
_SEALED_NAME = """
from binascii import hexlify
from firmware.board.config import load_identity
from wire.direct import network_id
from wire.keys import Mac, derive
i = load_identity()
print(hexlify(network_id(Mac(derive(i.root, 'direct', i.epoch)), {ssid!r})).decode())
"""


def pmk_of(ssid: bytes, passphrase: str) -> str:
    """Return the key of a WPA2 network (IEEE 802.11, J.4) in hexadecimal digits. Raises CommandError.

    64 hexadecimal digits are that key already, as everywhere.
    """
    if len(passphrase) == _PMK_DIGITS:
        try:
            return binascii.unhexlify(passphrase).hex()
        except ValueError:
            raise CommandError(
                "64 characters are a key, in hexadecimal digits alone; nothing was written"
            ) from None
    fits = _PASSPHRASE_MIN <= len(passphrase) <= _PASSPHRASE_MAX
    if not fits or not all(" " <= letter <= "~" for letter in passphrase):
        raise CommandError(
            "a WPA2 passphrase has 8 to 63 letters, digits and signs of ASCII; a network without one, "
            "with a sign-in page or with WPA3 alone is of no use to the button. Nothing was written"
        )
    return hashlib.pbkdf2_hmac("sha1", passphrase.encode(), ssid, _ROUNDS, _PMK_BYTES).hex()


def ssid_of(text: str) -> bytes:
    """Return a network's name as it is on the air. Raises CommandError."""
    ssid = text.encode()
    if not 1 <= len(ssid) <= _SSID_BYTES_MAX:
        raise CommandError("a network's name has 1 to 32 bytes; a hidden network cannot be used")
    return ssid


def file_of(networks: Networks) -> bytes:
    """Return `networks.json`. Raises CommandError where there are too many."""
    if len(networks) > NETWORKS_MAX:
        raise CommandError(f"a button knows at most {NETWORKS_MAX} networks: remove one first")
    return json.dumps([{"id": name.hex(), "pmk": pmk} for name, pmk in networks.items()]).encode()


def add_to(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    add_port: Callable[[argparse.ArgumentParser], None],
    link: Callable[[str], "Link"],
) -> None:
    """The `networks` commands of `amr-button`."""
    parser = commands.add_parser(
        "networks",
        help="which Wi-Fi networks a button may use where no phone hears it",
        description="Name and passphrase are asked for, or read from stdin, a line each; neither is kept.",
    )
    acts = parser.add_subparsers(dest="act", required=True, metavar="ACT")
    for name, act, told in (
        ("add", _add, "add a network, or give a known one another key"),
        ("list", _list, "list the sealed names; the true ones are not there"),
        ("remove", _remove, "remove a network, by its name or by what `list` shows"),
    ):
        one = acts.add_parser(name, help=told)
        add_port(one)
        if name == "remove":
            one.add_argument(
                "--listed", metavar="DIGITS", help="as `list` shows it (default: the name is asked for)"
            )
        one.set_defaults(run=lambda options, act=act: _run(options, act, link))
    test = acts.add_parser("test", help="connect to each network that is in reach, and ask the centre")
    add_port(test)
    test.set_defaults(run=lambda options: carriers.run(options.port, link, carriers.try_wifi, "networks"))


def _run(
    options: argparse.Namespace,
    act: "Callable[[Link, argparse.Namespace], None]",
    link: Callable[[str], "Link"],
) -> int:
    with link(options.port) as board:
        require_button(board)
        act(board, options)
    return 0


def _add(link: "Link", _options: argparse.Namespace) -> None:
    networks = read(link)
    ssid = ssid_of(ask("name of the network (SSID): "))
    pmk = pmk_of(ssid, ask_secret("its passphrase: "))
    name = _sealed_name(link, ssid)
    was_known = name in networks
    _write(link, {**networks, name: pmk})
    what = "has another key now" if was_known else "is added"
    print(f"the network {what}: {_number(len(networks) + (not was_known))}. Try it: amr-button networks test")


def _list(link: "Link", _options: argparse.Namespace) -> None:
    networks = read(link)
    for name in networks:
        print(f"{name.hex()[:_SHOWN]}  a key, and a name that only the button can tell when it hears it")
    print(_number(len(networks)))


def _remove(link: "Link", options: argparse.Namespace) -> None:
    networks = read(link)
    if options.listed:
        gone = [name for name in networks if name.hex().startswith(options.listed.lower())]
    else:
        name = _sealed_name(link, ssid_of(ask("name of the network (SSID): ")))
        gone = [name] if name in networks else []
    if len(gone) != 1:
        raise CommandError(
            "the button does not know this network; `amr-button networks list` says what there is"
        )
    _write(link, {name: pmk for name, pmk in networks.items() if name not in gone})
    print(f"the network is removed: {_number(len(networks) - 1)}")


def _number(count: int) -> str:
    known = {0: "no network", 1: "one network"}.get(count, f"{count} networks")
    return f"the button knows {known} of at most {NETWORKS_MAX}"


# -- on the board --------------------------------------------------------------------------


def read(link: "Link") -> Networks:
    """Return what the button knows. Raises CommandError where the file is damaged."""
    content = link.read(NETWORKS_FILE)
    if content is None:
        return {}
    try:
        return networks_of(json.loads(content))
    except (ValueError, TypeError, KeyError):
        raise CommandError(
            f"{NETWORKS_FILE} on the board at {link.port} is damaged: remove it "
            f"(mpremote connect {link.port} fs rm :{NETWORKS_FILE}) and add the networks again"
        ) from None


def _sealed_name(link: "Link", ssid: bytes) -> bytes:
    return binascii.unhexlify(link.run(_SEALED_NAME.format(ssid=ssid)).strip())


def _write(link: "Link", networks: Networks) -> None:
    """Replace the file as a whole; without networks there is none."""
    from firmware.flash.files import NEW, stage

    if not networks:
        link.remove([NETWORKS_FILE])
        return
    stage(link, {NETWORKS_FILE: file_of(networks)}, lambda _: None)
    link.rename([(NETWORKS_FILE + NEW, NETWORKS_FILE)])
