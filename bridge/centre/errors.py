"""What can go wrong between the bridge and the centre, and whose fault it is.

CentreError
  CentreDown     no connection, no answer in time, 5xx: it will come back
  TlsWrong       somebody answers who is not the centre that we enrolled with
  CentreRefused  the centre said no (RFC 9457); `reason` is its word
  NotACentre     an answer that no centre gives: HTML, a redirect, more than 64 KiB
"""

import json
import re

_WORD = re.compile(r"[a-z0-9_]{1,40}", re.ASCII)
# Said of this moment; any other 4xx is said of this bridge or of this press, and telling again will
# not help by itself.
_TRANSIENT_STATUS = (408, 425, 429, 503)


class CentreError(Exception):
    """Why the centre did not do it. `reason` is a word for programs, the text a sentence for people.

    `permanent`: another try changes nothing by itself.
    """

    permanent = False

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class CentreDown(CentreError):
    """The link's fault, or the centre's: it will come back."""


class TlsWrong(CentreError):
    """Somebody answers who is not the centre that we enrolled with."""


class CentreRefused(CentreError):
    """The centre said no; `status` is HTTP's."""

    def __init__(self, status: int, reason: str, title: str) -> None:
        super().__init__(reason, f"the centre refused: {title or reason} ({status})")
        self.status = status
        self.permanent = status not in _TRANSIENT_STATUS


class NotACentre(CentreError):
    """An answer that no centre gives."""


def refusal(status: int, body: bytes) -> CentreError:
    """Return what an answer means that is not the one we wanted."""
    if 300 <= status < 400:
        return no_centre(f"a redirect ({status})")
    try:
        problem = json.loads(body)
        reason, title = problem["reason"], problem.get("title", "")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        reason, title = None, None
    # A heartbeat that is shed: the centre lives, and says so. Any other 5xx is a failing centre's.
    if status >= 500 and reason != "shed":
        return CentreDown("centre_failing", f"the centre cannot take it now ({status})")
    if reason is None:
        return no_centre(f"a page instead of a problem report ({status})")
    if not (isinstance(reason, str) and _WORD.fullmatch(reason)):
        return no_centre(f"a refusal without a reason ({status})")
    # The title goes to a terminal: printable and short.
    words = "".join(c for c in title if c.isprintable())[:100] if isinstance(title, str) else ""
    return CentreRefused(status, reason, words)


def no_centre(what: str) -> NotACentre:
    return NotACentre("not_a_centre", f"what answers there is not a centre: {what}")
