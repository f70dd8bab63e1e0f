"""The system's keyring, for keys and tokens: macOS Keychain, Windows' locker, Secret Service, KWallet.

All secrets of one bridge are one entry, so that they are there together or not at all. There are two
places for it, `a` and `b`: the new entry goes where the old one is not, then `credentials.json` is
replaced and names the new place, then the old entry goes (home.py). A kill between any two of
these leaves the old enrolment or the new one; an entry that was left over is written over next time.
"""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

# Whoever opens the list of the keyring's entries reads this name.
SERVICE = "tag-sync"
# It may be asking a person for the keyring's own password.
ANSWER_S_MAX = 60.0
# What keeps secrets in the open, or not at all, and says so of itself only by its name.
_NO_KEYRINGS = ("keyring.backends.null", "keyring.backends.fail", "keyrings.alt")
# keyring's own limit for a backend that it recommends.
_PRIORITY_MIN = 1

T = TypeVar("T")


class KeyringError(Exception):
    """The keyring gives or takes nothing; the text is a sentence with what to do."""


def usable() -> bool:
    """Return whether there is a keyring that really keeps secrets. Raises nothing."""
    try:
        return _bounded(_backend) is not None
    except KeyringError:
        return False


def put(entry: str, text: str) -> None:
    """Keep `text`, and read it back: some keyrings take what is too long, and cut it. Raises KeyringError."""

    def work() -> bool:
        backend = _present()
        backend.set_password(SERVICE, entry, text)
        return backend.get_password(SERVICE, entry) == text

    if not _bounded(work):
        raise KeyringError("the system's keyring did not keep the keys; use: amr-bridge enrol --secrets file")


def get(entry: str, answer_s_max: float = ANSWER_S_MAX) -> str:
    """Return the entry's text. Raises KeyringError."""
    text = _bounded(lambda: _present().get_password(SERVICE, entry), answer_s_max)
    if text is None:
        raise KeyringError(
            "the system's keyring has lost this bridge's keys; take credentials.json out of the home,"
            " and enrol again with a new label"
        )
    return text


def drop(entry: str) -> None:
    """Take the entry out, if it is there and the keyring lets us: what is left is written over."""
    try:
        _bounded(lambda: _present().delete_password(SERVICE, entry))
    except KeyringError:
        return


def _present() -> "KeyringBackend":
    backend = _backend()
    if backend is None:
        raise KeyringError(
            "this bridge's keys are in the system's keyring, and there is none here. Log in to the desktop"
            " that it was enrolled on; or take credentials.json out of the home, and enrol again with a new"
            " label and --secrets file"
        )
    return backend


def _backend() -> "KeyringBackend | None":
    import keyring  # late: nobody who keeps the keys in a file pays for it

    chosen = keyring.get_keyring()
    for backend in getattr(chosen, "backends", [chosen]):  # a chain asks several, the best first
        module = type(backend).__module__
        if backend.priority >= _PRIORITY_MIN and not module.startswith(_NO_KEYRINGS):
            keeper: KeyringBackend = backend
            return keeper
    return None


def _bounded(work: Callable[[], T], answer_s_max: float = ANSWER_S_MAX) -> T:
    """Return the keyring's answer within a minute, or raise KeyringError.

    It is asked in a thread, for its call returns when it pleases.
    """
    answers: list[T] = []
    errors: list[Exception] = []

    def run() -> None:
        try:
            answers.append(work())
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="keyring", daemon=True)
    thread.start()
    thread.join(answer_s_max)
    if answers:
        return answers[0]
    error = errors[0] if errors else None
    if isinstance(error, KeyringError):
        raise error
    # Backends raise what they like (D-Bus errors, too); its text is theirs and may hold anything.
    why = type(error).__name__ if error else f"no answer in {answer_s_max:.0f} s"
    raise KeyringError(f"the system's keyring is locked or does not answer ({why}); unlock it and try again")
