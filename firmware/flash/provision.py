"""Provisioning: a new `device_id` and root for a button, its registry line and its label.

The target is the flash image of a simulated board, or a board at a port. A board is untouched or
complete, whenever the cable comes off:

    1. identity.json.new and the others are written and compared, with provision.new: what this was
    2. the registry gets its line: one too many is a button that never speaks, one too few would be
       a button that nobody believes
    3. the old identity goes, the new files take their places, the identity last
    4. the label; then provision.new goes

A re-run that finds provision.new goes on at 3 if the registry has the button, else it begins anew.
"""

import base64
import contextlib
import hashlib
import json
import os
import secrets
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from firmware.board.config import IDENTITY_FILE
from firmware.board.memory import ALIVE_FILE, PRESS_FILE, sealed
from firmware.flash import direct, label
from firmware.flash.build import MAIN, capabilities_of, compile_firmware, flash_image
from firmware.flash.errors import CommandError
from firmware.flash.registry import Registry, refuse_in_work_tree
from wire.codes import RESERVE
from wire.keys import ROOT_BYTES

if TYPE_CHECKING:
    from firmware.flash.remote import Link

_DEVICE_ID_BYTES = 10  # 16 base32 characters
_CODE_CHARACTERS = 20  # 100 bits; the centre keeps a hash alone
_BEGUN = "provision.new"


@dataclass(frozen=True)
class Provisioned:
    device_id: str
    enrolment_code: str
    qr_text: str | None
    registry: Path
    label: Path | None = None


@dataclass(frozen=True)
class _Drawn:
    """What was drawn for one button; `line` and `files` hold the root."""

    device_id: str
    enrolment_code: str
    qr_text: str | None
    line: dict[str, Any]
    files: dict[str, bytes]


def ca_pin(path: Path) -> str:
    """Return the SHA-256 (hex) of the public key of the CA certificate in the PEM file `path`."""
    key = (
        direct.certificate_of(path).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    )
    return hashlib.sha256(key).hexdigest()


@dataclass(frozen=True)
class _Made:
    """What kind of board the firmware was made for, and what such a board can do at all."""

    board: str
    capabilities: dict[str, bool]


def _draw(
    made: _Made,
    centre: str | None,
    ca: Path | None,
    settings: dict[str, int] | None,
    alone: direct.Direct | None,
) -> _Drawn:
    if centre is not None and ca is None:
        raise CommandError("--centre and --ca belong together: the label names both")
    pin = ca_pin(ca) if ca else None
    more = alone.files(made.board, settings or {}) if alone else {}
    device_id = base64.b32encode(secrets.token_bytes(_DEVICE_ID_BYTES)).decode()
    root = secrets.token_bytes(ROOT_BYTES)
    code = base64.b32encode(secrets.token_bytes(_CODE_CHARACTERS)).decode()[:_CODE_CHARACTERS]
    line = {
        "device_id": device_id,
        "root": root.hex(),
        "enrolment_sha256": hashlib.sha256(code.encode()).hexdigest(),
        "kind": "button",
        "board": made.board,
        "capabilities": made.capabilities,
    }
    identity = {"device_id": device_id, "root": root.hex(), "epoch": 0}
    files = {
        "config.json": json.dumps(settings or {}).encode(),
        PRESS_FILE: sealed(">IBB", 0, 0, 0),
        ALIVE_FILE: sealed(">I", RESERVE),
        **more,
        IDENTITY_FILE: json.dumps(identity).encode(),
    }
    qr_text = f"{centre.rstrip('/')}/e#{code}.{pin}" if centre else None
    return _Drawn(device_id, code, qr_text, line, files)


# -- a simulated board ---------------------------------------------------------------------


def provision(
    image: Path,
    *,
    registry: Path,
    board: str,
    centre: str | None,
    ca: Path | None,
    again: bool,
    settings: dict[str, int] | None = None,
    alone: direct.Direct | None = None,
) -> Provisioned:
    """Make the flash of a simulated board in `image`, and append its registry line. Raises CommandError.

    Nothing that is worth hiding hangs on its root, so a git work tree is no reason to refuse.
    """
    flash = image / "flash.img"
    if flash.exists() and not again:
        raise CommandError(f"{flash} is provisioned already; --again gives it a new identity")
    drawn = _draw(_Made(board, capabilities_of(board)), centre, ca, settings, alone)
    try:
        image.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as build:
            files = compile_firmware(Path(build), board)
        content = flash_image({**files, "main.py": MAIN, **drawn.files})
        with Registry(registry) as book:
            book.append(drawn.line)
        _replace(flash, content)
    except OSError as error:
        raise CommandError(f"cannot write {error.filename or image}: {error.strerror}") from None
    return Provisioned(drawn.device_id, drawn.enrolment_code, drawn.qr_text, registry)


def _replace(path: Path, content: bytes) -> None:
    """Replace the whole file, or leave the old one: it holds the root, so nobody else may read it."""
    descriptor, name = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


# -- a board at a port ---------------------------------------------------------------------

_WHAT = """
import json
try:
    from firmware.board.boards import module
    b = module()
    print(json.dumps([b.NAME, b.CAPABILITIES]))
except (ImportError, AttributeError):
    pass
"""
# The old identity goes before its counters: they never go back under a key that is in use, and RTC memory
# must not carry them, or an open press, to the new one. Its networks are sealed under its key, and go too.
_COMMIT = """
import os
def there(n):
    try: os.stat(n)
    except OSError: return False
    return True
if there({identity!r} + '.new'):
    if there({identity!r}):
        for n in {gone!r}:
            if there(n): os.remove(n)
    try:
        import machine
        machine.RTC().memory(b'')
    except Exception: pass
    for n in {names!r}:
        if there(n + '.new'): os.rename(n + '.new', n)
    print('new')
"""


def provision_board(
    link: "Link",
    *,
    registry: Path,
    board: str | None,
    centre: str | None,
    ca: Path | None,
    again: bool,
    settings: dict[str, int] | None,
    alone: direct.Direct | None,
    label_file: Path | None,
    say: Callable[[str], None],
) -> Provisioned:
    """Give the board behind `link` an identity, or finish what an earlier run began. Raises CommandError.

    `board`: what it must be; None takes what it was flashed as. `alone`: how it does without a phone.
    """
    from firmware.flash.files import NEW, stage

    if label_file and not centre:
        raise CommandError("a label needs --centre and --ca: its QR names both")
    refuse_in_work_tree(registry)
    if label_file:
        refuse_in_work_tree(label_file)
    with Registry(registry) as book:
        begun = _begun(link)
        if begun and book.has(str(begun["device_id"])):
            say("finishing what an earlier run began")
        else:
            _check(link, book, again=again)
            drawn = _draw(_made(link, board), centre, ca, settings, alone)
            begun = {
                "device_id": drawn.device_id,
                "enrolment_code": drawn.enrolment_code,
                "qr_text": drawn.qr_text,
                "sha256": {name: hashlib.sha256(data).hexdigest() for name, data in drawn.files.items()},
            }
            stage(link, {**drawn.files, _BEGUN[: -len(NEW)]: json.dumps(begun).encode()}, say)
            book.append(drawn.line)
        wanted = dict(begun["sha256"])
        gone = (*direct.FILES, IDENTITY_FILE)
        if not link.run(_COMMIT.format(identity=IDENTITY_FILE, gone=gone, names=list(wanted))):
            # It was complete, and has lived since: its counters moved.
            wanted = {IDENTITY_FILE: wanted[IDENTITY_FILE]}
        if link.hashes(wanted) != wanted:
            raise CommandError(
                f"the board at {link.port} did not keep what was written; provision it with --again"
            )
        return _labelled(link, begun, registry, label_file)


def _labelled(link: "Link", begun: dict[str, Any], registry: Path, label_file: Path | None) -> Provisioned:
    path = None
    if begun["qr_text"]:
        path = label_file or registry.with_name(f"{begun['device_id']}.png")
        label.save(begun["qr_text"], path)
    link.remove([_BEGUN])
    return Provisioned(begun["device_id"], begun["enrolment_code"], begun["qr_text"], registry, path)


def _begun(link: "Link") -> dict[str, Any] | None:
    """Return what an earlier run wrote into provision.new, if it got so far."""
    try:
        begun = json.loads(link.read(_BEGUN) or b"")
        return begun if begun["sha256"].keys() and begun["device_id"] else None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _check(link: "Link", book: Registry, *, again: bool) -> None:
    """Refuse a board without firmware, and one that is a button already."""
    if "main.py" not in link.hashes(["main.py"]):
        raise CommandError(f"there is no firmware on the board at {link.port}: flash it first")
    device_id = link.device_id()
    if device_id and not again:
        known = "" if book.has(device_id) else f", and {book.path} does not have it"
        raise CommandError(
            f"{link.port} is button {device_id} already{known}; --again gives it a new identity"
        )


def _made(link: "Link", board: str | None) -> _Made:
    """Return what the board itself says. Raises CommandError if that is another than `board`."""
    try:
        name, capabilities = json.loads(link.run(_WHAT))
    except ValueError:
        raise CommandError(f"the firmware on the board at {link.port} is too old: flash it first") from None
    if board not in (None, name):
        raise CommandError(f"the board at {link.port} was flashed as an {name} and not as an {board}")
    return _Made(name, capabilities)


def known_button(link: "Link", registry: Path) -> str:
    """Return the device_id of a board that is complete and in the registry; else "". Raises CommandError."""
    refuse_in_work_tree(registry)
    with Registry(registry) as book:
        device_id = "" if _begun(link) else link.device_id()
        return device_id if book.has(device_id) else ""
