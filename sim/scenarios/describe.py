"""The shipped scenarios as pages of Markdown, and every word that a scenario may hold."""

from sim.faults import FAULTS
from sim.scenarios.files import load, shipped
from sim.scenarios.model import ACTS, EXPECTS, STAGES, TABLES, Expect


def pages() -> str:
    """Return a page for each shipped scenario, as docs/scenarios.md has them."""
    lines = ["# The shipped scenarios", "", "`amr-sim run NAME` plays one, `amr-sim run --all` all of them."]
    for path in shipped():
        scenario = load(path)
        lines += ["", f"## `{path.stem}`: {scenario.title}", "", scenario.about.strip(), ""]
        lines += [f"* {_sentence(expect)}" for expect in scenario.expects]
    return "\n".join(lines) + "\n"


def _sentence(expect: Expect) -> str:
    """Say what must hold, as a person would say it."""
    if expect.what in ("incidents", "fixes"):
        number = "exactly" if expect.what == "incidents" else "at least"
        noun = {"incidents": "incident(s)", "fixes": "position(s)"}[expect.what]
        return f"{number} {expect.count} {noun} at the centre"
    if expect.what == "strangers":
        return f"the button lets go of a stranger at least {expect.count} time(s)"
    if expect.what == "refused":
        return f"at least {expect.count} signs of life are refused before press {expect.press} is received"
    what = expect.what.replace("_", " ")
    if expect.what in (*STAGES, "called_off"):
        what = f"press {expect.press} is {what}" + (f" at {expect.who}" if expect.who else "")
    if expect.reason:
        what = f"{expect.who or 'a phone'} tells of `{expect.reason}`"
    if expect.never:
        return f"never: {what}"
    return what + (f" within {expect.within_ms / 1000:g} s" if expect.within_ms else "")


def vocabulary() -> list[str]:
    """Every word that a scenario may hold: tables and their keys, acts, faults, what can be expected."""
    keys = [key for table in TABLES.values() for key in table]
    keys += [value.key for fault in FAULTS.values() for value in fault.takes]
    return list(dict.fromkeys([*filter(None, TABLES), *keys, *ACTS, *FAULTS, *EXPECTS]))
