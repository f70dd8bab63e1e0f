"""What a board says at its serial port after a restart: the last line of every command that held one."""

from collections.abc import Iterable

from firmware.flash.errors import CommandError
from wire.codes import ALARM, TEST

GONE = "(gone)"  # a line of its own: the port went away, and did not come back
_OPEN = {str(ALARM): "an alarm", str(TEST): "a test"}


def restarted(port: str, lines: Iterable[str]) -> str:
    """Return what became of the board at `port`, from what it prints. Raises CommandError.

    `lines` ends where nothing more is to be waited for.
    """
    who = f"the board at {port}"
    last = ""
    for line in lines:
        words = line.split()
        if words[:1] == ["boot"] and len(words) == 3:
            who = f"button {words[1]}"
        elif words[:1] == ["sleep"]:
            return f"{who} has restarted: it sleeps and answers"
        elif words[:1] == ["advert"] and words[1] in _OPEN:
            return f"{who} has restarted: {_OPEN[words[1]]} is open, and it is on the air"
        elif line == "fault not provisioned":
            return f"{who} has restarted: it is no button yet, so provision it"
        elif words[:1] == ["fault"]:
            raise CommandError(f"{who} has restarted and failed: {line[6:]}; flash it again")
        elif line == GONE:
            return f"{port} is gone, as with a C3 or S3 that sleeps: press the button, and feel the motor"
        last = line or last
    raise CommandError(
        f"{who} did not go to sleep after its restart (its last words: {last or 'none'}): "
        "let go of its button, press RESET, and run selftest"
    )
