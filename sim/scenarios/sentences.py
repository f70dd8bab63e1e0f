"""An event in a few words, for the terminal and for the picture. Pure."""

from sim.judge.events import WorldEvent

_EVENTS = {1: "ALARM", 2: "TEST"}
_KEYS = ("button", "does", "pattern", "fault", "who", "event", "counter", "reason")


def words(e: WorldEvent) -> str:
    """Say what happened, and to what."""
    data = e.data | ({"event": _EVENTS[e.data["event"]]} if e.data.get("event") in _EVENTS else {})
    return " ".join([verb(e), *(str(data[key]) for key in _KEYS if key in data)])


def verb(e: WorldEvent) -> str:
    """Say what happened. An act that was refused is told as refused."""
    if e.by == "centre" and e.what == "received" and e.data.get("known"):
        return "told the age of" if e.data.get("is_age") else "told again of"
    if e.what == "called off" and e.data["outcome"] != "done":
        return "call-off waits on the phone" if e.data["outcome"] == "kept" else _refusal(e)
    return e.what.replace("_", " ")


def is_refused(e: WorldEvent) -> bool:
    """Return whether this is an act of a person that came to nothing."""
    return e.what == "called off" and e.data["outcome"] not in ("done", "kept")


def _refusal(e: WorldEvent) -> str:
    return f"call-off refused: {e.data['outcome'].replace('_', ' ')}"
