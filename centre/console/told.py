"""What a phone or a button says of itself, in words for people: "bluetooth_blocked" is for programs."""

from centre.console import words

# The bridge's words (docs/bridge.md), by how they begin; the first that fits.
_KINDS = (
    ("bluetooth", ("bluetooth", "adapter_gone", "permission", "scan_ended")),
    ("position", ("no_position", "gpsd", "nmea", "not_gpsd", "geoclue", "no_dbus", "unusable")),
    ("disk", ("disk", "read_only", "journal")),
    ("network", ("centre_", "no_network", "captive", "tls_", "certificate", "not_a_centre")),
    ("clock", ("clock",)),
    ("phone_battery", ("phone_battery",)),
    ("button_battery", ("battery",)),
    ("reach", ("out_of_reach",)),
    ("recording", ("stale",)),
    ("stuck", ("stuck",)),
    ("counters", ("counters",)),
    ("configuration", ("configuration",)),
    ("program", ("internal", "library", "thread")),
)


def say(language: str, told: str) -> str:
    """Return what was told, words with spaces between them, for people: each kind once."""
    said = [words.say(language, f"told.{_kind(word)}").format(word=word) for word in told.split()]
    return ", ".join(dict.fromkeys(said))


def _kind(word: str) -> str:
    return next((kind for kind, begins in _KINDS if word.startswith(begins)), "other")
