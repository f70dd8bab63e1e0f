"""The label of a button: the QR that enrols its bridge. It holds a code that works once, and no key."""

import os
import sys
import tempfile
from pathlib import Path

import segno

from firmware.flash.errors import CommandError

_SCALE = 8  # pixels per module: 4 cm at 300 dpi


def save(qr_text: str, path: Path) -> None:
    """Write the QR as a PNG that its owner alone may read. Raises CommandError."""
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, suffix=".png")
        with os.fdopen(descriptor, "wb") as file:
            segno.make(qr_text, micro=False).save(file, kind="png", scale=_SCALE)
        os.replace(name, path)
    except OSError as error:
        raise CommandError(
            f"cannot write the label {path}: {error.strerror}; run this again with another --label"
        ) from None


def show(qr_text: str) -> None:
    """Show the QR on a terminal; a file or a pipe gets the text alone, which is printed anyway."""
    if sys.stdout.isatty():
        segno.make(qr_text, micro=False).terminal(compact=True)
