"""`amr-sim stalk`: a scenario with a stalker beside it, and what the stalker could tell and do."""

import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bleak.exc import BleakError

from bridge.model import Device
from sim.attacker.active import Attacker, Attempt
from sim.attacker.at_router import at_router
from sim.attacker.beside import beside
from sim.attacker.crowd import crowd
from sim.attacker.packets import Watched, watch
from sim.attacker.questions import Answer, Overheard, ask
from sim.radio.adverts import Heard
from sim.radio.packets import Packet
from sim.realtime.clock import NoFaketime
from sim.realtime.small_disk import CannotMount
from sim.realtime.world import Trouble, World
from sim.recording import scanners
from sim.recording.record import host_port
from sim.recording.replay import registered
from sim.scenarios import files
from sim.scenarios.play import Play
from wire.keys import Mac, derive

OK, FAILED, USAGE = 0, 1, 2
SCANNER = "stalker"
FEW = 5


@dataclass
class Stalked:
    """`broken`: what did not hold in the scenario itself, with the stalker there."""

    title: str
    overheard: list[Overheard] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    watched: list[Watched] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        told = any(one.linked for one in self.overheard) or any(one.leaks for one in self.watched)
        return not told and not self.broken and not any(one.succeeded for one in self.attempts)


class CannotStalk(Exception):
    """The text is a sentence."""


def stalk(name: str, hours: float, seed: int) -> Stalked:
    """Play the scenario with a stalker beside it. Raises files.CannotRead, CannotStalk."""
    path = files.find(name)
    scenario = files.load(path)
    stalked = Stalked(scenario.title)
    with tempfile.TemporaryDirectory() as home:
        heard, devices, packets = asyncio.run(_scenario(path, Path(home), stalked))
        keys = _direct_keys(Path(home))
    until_ms = max((one.at_ms for one in heard), default=0.0)
    stalked.overheard.append(ask("in the scenario", [*heard, *crowd(seed, until_ms)], devices))
    if packets:
        stalked.watched.append(watch("at the router of the scenario's home", packets, keys))
    if hours:
        heard, devices = beside(seed, hours)
        heard += crowd(seed, hours * 3_600_000)
        stalked.overheard.append(ask(f"{hours:g} h beside {len(devices)} protected persons", heard, devices))
        packets, keys = at_router(seed, hours)
        where = f"{hours:g} h at the router of {len(keys)} buttons that do without a phone"
        stalked.watched.append(watch(where, packets, keys))
    return stalked


def _direct_keys(home: Path) -> dict[str, Mac]:
    """Return the keys of the buttons that were provisioned below `home`, for the truth."""
    lines = [
        json.loads(text) for file in home.glob("*/registry.jsonl") for text in file.read_text().splitlines()
    ]
    return {one["device_id"]: Mac(derive(bytes.fromhex(one["root"]), "direct", 0)) for one in lines}


async def _scenario(
    path: Path, home: Path, stalked: Stalked
) -> tuple[list[Heard], list[Device], list[Packet]]:
    heard: list[Heard] = []
    packets: list[Packet] = []
    devices: list[Device] = []
    until: list[int] = []

    @asynccontextmanager
    async def attacker(world: World) -> AsyncGenerator[None]:
        for button in world.buttons.values():
            if button.way:
                button.way.uplink.on_packet = packets.append
        async with scanners.on_the_air(host_port(world.hci), SCANNER, heard.append):
            yield
            until.append(len(heard))
            for name in world.buttons:
                devices.extend(registered(world.home / name / "registry.jsonl", (0, 0)))
            attacker = Attacker(world, heard)
            await attacker.attack()
            stalked.attempts += attacker.attempts

    try:
        played = await Play(files.load(path), path.parent, home, lambda _: None, attacker).run()
    except (Trouble, NoFaketime, CannotMount, BleakError) as error:
        raise CannotStalk(f"{path.stem} could not be played: {error}") from None
    stalked.broken += [one.text for one in played.verdicts if not one.holds]
    return heard[: until[0]], devices, packets


# -- what is told ------------------------------------------------------------------------------------


def as_json(stalked: Stalked) -> str:
    overheard = [
        {
            "where": one.where,
            "adverts": one.adverts,
            "linked": one.linked,
            "answers": [_answer(answer) for answer in one.answers],
        }
        for one in stalked.overheard
    ]
    data = {"title": stalked.title, "holds": stalked.holds, "overheard": overheard, "broken": stalked.broken}
    data["watched"] = [asdict(one) for one in stalked.watched]
    return json.dumps(data | {"attempts": [asdict(one) for one in stalked.attempts]}, indent=1) + "\n"


def _answer(answer: Answer) -> dict[str, object]:
    return asdict(answer) | {"best": answer.best and answer.best.attack}


def as_text(stalked: Stalked) -> str:
    lines = [f"{stalked.title}: what a stalker can tell, who hears everything and has no key"]
    for one in stalked.overheard:
        lines += ["", f"# {one.where}: {one.adverts} adverts"]
        product, linked, press = one.answers
        lines += _told(product, "bursts of adverts", "of them the product's", _SHOWN_ONE)
        lines += _told(press, "bursts of adverts", "of them a press", _SHOWN_ONE)
        lines += _told(linked, "bursts, told to be the product's", "buttons", _GROUPED)
    for router in stalked.watched:
        lines += _at(router)
    lines += ["", "# What the stalker tries, and what comes of it"]
    for attempt in stalked.attempts:
        mark = {True: "SUCCEEDED", False: "held", None: "not tried"}[attempt.succeeded]
        lines.append(f"{mark:10} the stalker {attempt.what}: {attempt.came}")
    lines += [f"BROKEN     {text}" for text in stalked.broken]
    lines.append("")
    held = "held: nothing forged, nothing linked by address or code, no press told by a frame"
    lines.append(held if stalked.holds else "BROKEN")
    return "\n".join(lines) + "\n"


def _at(router: Watched) -> list[str]:
    """Return what the owner of a router could tell."""
    lines = ["", f"# {router.where}: {router.frames} frames, {router.presses} of them presses"]
    lines.append(f"  ({_SHOWN_ONE}; in brackets what luck alone stays below)")
    for one in sorted(router.told, key=lambda one: -abs(one.score - 0.5)):
        score = max(one.score, 1 - one.score)
        lines.append(f"  {score:6.0%} ({one.by_chance:.0%})  by {one.by}{'  <- tells' if one.tells else ''}")
    lines += [f"  cannot be hidden: {seen}" for seen in router.seen]
    return [*lines, *(f"LEAKS      {leak}" for leak in router.leaks)]


_SHOWN_ONE = "shown one of each, how often the stalker picks the right one; blindly: 50 %"
_GROUPED = "adjusted Rand index: 1 is right, 0 is chance; in brackets what 19 of 20 blind guesses stay below"


def _told(answer: Answer, of: str, right: str, meaning: str) -> list[str]:
    lines = ["", f"{answer.question}  {answer.of} {of}, {answer.right} {right}"]
    if not answer.guesses:
        return [*lines, "  nothing to tell apart"]
    best = answer.best
    lines.append(f"  ({meaning})")
    if answer.right < FEW and answer.guesses[0].found is not None:
        lines.append(f"  With only {answer.right} of them, luck decides much of this.")
    for guess in sorted(answer.guesses, key=lambda guess: -guess.score):
        mark = "  <- best" if guess is best and guess.score > guess.by_chance else ""
        if guess.found is None:
            lines.append(f"  {guess.score:6.2f} ({guess.by_chance:.2f})  by {guess.attack}{mark}")
        else:
            caught = f"; of the {answer.right} best guesses {guess.found:.0%} are right"
            lines.append(f"  {guess.score:6.0%}  by {guess.attack}{caught}{mark}")
    return lines


def main(name: str, hours: float, seed: int, json_to: Path | None) -> int:
    """Return the exit code: 0 nothing succeeded, 1 something did or nothing was played, 2 wrong usage."""
    try:
        stalked = stalk(name, hours, seed)
    except files.CannotRead as error:
        print(f"amr-sim stalk: {error}", file=sys.stderr)
        return USAGE
    except CannotStalk as error:
        print(f"amr-sim stalk: {error}", file=sys.stderr)
        return FAILED
    print(as_text(stalked), end="")
    if json_to:
        try:
            json_to.write_text(as_json(stalked), "utf-8")
        except OSError as error:
            print(f"amr-sim stalk: {json_to}: {error.strerror}", file=sys.stderr)
            return FAILED
    return OK if stalked.holds else FAILED
