"""Provisioning: a new `device_id` and root for a button, its registry line and its label."""

import base64
import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from firmware.board.memory import ALIVE_FILE, PRESS_FILE, sealed
from firmware.flash.build import MAIN, compile_firmware, flash_image
from wire.codes import RESERVE
from wire.keys import ROOT_BYTES

_DEVICE_ID_BYTES = 10  # 16 base32 characters
_CODE_CHARACTERS = 20  # 100 bits; the centre keeps a hash alone


class Refused(Exception):
    """What was asked cannot be done; the message says what to do instead."""


@dataclass(frozen=True)
class Provisioned:
    device_id: str
    enrolment_code: str
    qr_text: str | None
    registry: Path


def ca_pin(path: Path) -> str:
    """SHA-256 (hex) of the public key of the CA certificate in the PEM file `path`."""
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        raise Refused(f"{path} is not a readable PEM certificate: {error}") from None
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(key).hexdigest()


def provision(
    image: Path,
    *,
    registry: Path,
    board: str,
    centre: str | None,
    ca: Path | None,
    again: bool,
    settings: dict[str, int] | None = None,
) -> Provisioned:
    """Make the flash of a simulated board in folder `image`, and append its registry line.

    The registry comes first: a line too many is a button that never speaks, a line too few
    would be a button that nobody believes. Raises Refused.
    """
    flash = image / "flash.img"
    if flash.exists() and not again:
        raise Refused(f"{flash} is provisioned already; --again gives it a new identity")
    if (centre is None) != (ca is None):
        raise Refused("--centre and --ca belong together: the label names both")
    pin = ca_pin(ca) if ca else None
    device_id = base64.b32encode(secrets.token_bytes(_DEVICE_ID_BYTES)).decode()
    root = secrets.token_bytes(ROOT_BYTES)
    code = base64.b32encode(secrets.token_bytes(_CODE_CHARACTERS)).decode()[:_CODE_CHARACTERS]
    line = {
        "device_id": device_id,
        "root": root.hex(),
        "enrolment_sha256": hashlib.sha256(code.encode()).hexdigest(),
        "kind": "button",
        "board": board,
    }
    try:
        image.mkdir(parents=True, exist_ok=True)
        content = _flash_content(device_id, root, settings or {})
        append_registry(registry, line)
        _replace(flash, content)
    except OSError as error:
        raise Refused(f"cannot write {error.filename or image}: {error.strerror}") from None
    qr_text = f"{centre.rstrip('/')}/e#{code}.{pin}" if centre else None
    return Provisioned(device_id, code, qr_text, registry)


def append_registry(registry: Path, line: dict[str, str]) -> None:
    """Add one JSON line to a file that only its owner may read. Raises Refused, OSError."""
    registry.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(registry, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        if os.fstat(file).st_mode & 0o077:
            raise Refused(f"{registry} can be read by others; make it private with chmod 600")
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.write(file, json.dumps(line).encode() + b"\n")
        os.fsync(file)
    except BlockingIOError:
        raise Refused(f"{registry} is in use by another program; try again") from None
    finally:
        os.close(file)


def _flash_content(device_id: str, root: bytes, settings: dict[str, int]) -> bytes:
    with tempfile.TemporaryDirectory() as build:
        files = compile_firmware(Path(build))
    identity = {"device_id": device_id, "root": root.hex(), "epoch": 0}
    files["main.py"] = MAIN
    files["identity.json"] = json.dumps(identity).encode()
    files["config.json"] = json.dumps(settings).encode()
    files[PRESS_FILE[1:]] = sealed(">IBB", 0, 0, 0)
    files[ALIVE_FILE[1:]] = sealed(">I", RESERVE)
    return flash_image(files)


def _replace(path: Path, content: bytes) -> None:
    """The whole file, or the old one: it holds the root, so nobody else may read it."""
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
