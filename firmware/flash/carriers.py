"""The board tries its own ways to the centre, with its own carriers, and says what came of each step.

What it sends is a sign of life under a spare name: the centre answers that, and counts nothing. Nothing of
the button's memory is changed.
"""

import argparse
import binascii
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from firmware.board.config import DIRECT_FILE
from firmware.flash.direct import require_button
from firmware.flash.errors import CommandError
from wire import direct
from wire.direct_centre import read_facts

if TYPE_CHECKING:
    from firmware.flash.remote import Link

UP, DOWN, RAISED = "up", "down", "raised"
_SILENCE_S = 40
_PREPARE = """
import gc, os, time
from binascii import hexlify
from firmware.board import config
from firmware.board.boards import module
from wire import direct
from wire.keys import InvalidMessage, Mac, derive

ms, gone = time.ticks_ms, lambda since: time.ticks_diff(time.ticks_ms(), since)
who = config.load_identity()
mac = Mac(derive(who.root, 'direct', who.epoch))
told, wrong = config.load_direct(config.load_settings(module().PINS)[0])
WAYS = {'udp': direct.WIFI_UDP, 'https': direct.WIFI_HTTPS, 'lte': direct.LTE}

def tell(*words):
    print('carrier', *words)

def wait(begun, said):
    if gone(said) > 10000:
        said = ms()
        tell('waiting', gone(begun) // 1000)
    time.sleep_ms(10)
    return said

def rise(c, limit):
    begun = said = ms()
    c.open(begun, False)
    while gone(begun) < limit:
        came = c.step(ms())
        if came:
            break
        said = wait(begun, said)
    if came == 1:
        tell('up', gone(begun), c.signal, hexlify(c.facts).decode())
        return True
    tell('down', c.error or 11)
    return False

def speak(c, way, limit):
    n = direct.SPARE_FIRST + os.urandom(1)[0] % direct.SPARE_NAMES
    seq = int.from_bytes(os.urandom(2), 'big')
    frame = direct.seal_request(mac, direct.Request(
        direct.CHECKIN, WAYS[way], 0, 0, 0, n, seq, 65535, 0, direct.NO_STAGE, 0, c.signal, 0))
    begun = said = ms()
    pause, sent = 3000 if way == 'lte' else 1000, 0
    while gone(begun) < limit and c.step(ms()) >= 0:
        if not sent or gone(sent) > pause and way != 'https':
            pause, sent = pause * 2 if sent else pause, ms()
            (c.post if way == 'https' else c.send)(frame, sent)
        heard = c.receive()
        if heard:
            try:
                direct.unseal_answer(mac, frame, heard)
                tell('answer', way, gone(begun))
                return
            except InvalidMessage:
                tell('unproven', way)
        said = wait(begun, said)
    tell('silent', way, c.error)

def attempt(make, limit, ways):
    gc.collect()
    c = None
    try:
        c = make()
        c.clock_known = False
        if rise(c, limit):
            for way, patience in ways:
                speak(c, way, patience)
    except Exception as error:
        tell('raised', repr(error))
    if c:
        c.close()
"""
_WIFI = """
def wifi():
    import network
    from firmware.board.wifi import Wifi
    lan = network.WLAN(network.STA_IF)
    lan.active(True)
    names = {}
    for seen in sorted(lan.scan(), key=lambda one: -one[3]):
        name = direct.network_id(mac, seen[0])
        if name in told.networks and name not in names:
            names[name] = seen[0]
            tell('heard', hexlify(seen[0]).decode(), seen[3], seen[4])
        elif name not in told.networks:
            tell('other')
    known = told.networks
    for name in names:
        tell('try', hexlify(names[name]).decode())
        told.networks = {name: known[name]}
        attempt(lambda: Wifi(told, mac), 30000, [('udp', 9000)] + ([('https', 30000)] if told.host else []))

if told is None:
    tell('off', 'wrong' if wrong else '')
else:
    tell('networks', len(told.networks))
    if told.networks:
        try:
            wifi()
        except Exception as error:
            tell('raised', repr(error))
"""
_LTE = """
def lte():
    from firmware.board.lte import Lte
    attempt(lambda: Lte(told), 240000, [('lte', 45000)])

if told is None:
    tell('off', 'wrong' if wrong else '')
else:
    tell('modem', told.modem or '-')
    if told.modem:
        lte()
"""
ERRORS = {
    direct.NOT_SEEN: "it was not to be seen",
    direct.REFUSED: "it refused: the key is wrong, or the SIM may not register there",
    direct.NO_ADDRESS: "it gave the button no address",
    direct.SILENT: "the centre did not answer",
    direct.NO_MEMORY: "the board had no memory left",
    direct.RADIO: "the radio or the modem did not do what it was told: look at its wiring and its supply",
    direct.SIM: "there is no SIM that can be used, or it wants its PUK",
    direct.PIN: "the SIM wants another PIN. Set the right one with `amr-button direct` before you try again: "
    "after three wrong ones it wants its PUK",
    direct.TLS: "the centre's certificate was refused: is --ca the centre's own, and --host a name in it?",
    direct.NOT_OURS: "somebody else answered, such as a sign-in page",
    direct.RESET: "the board did not live through its start: look at its supply",
    direct.SLOW: "it took too long to come up",
}
KINDS = {1: "LTE-M", 2: "NB-IoT", 3: "another kind of network"}
WAYS = {"udp": "a datagram", "https": "HTTPS", "lte": "a datagram"}


@dataclass
class Tried:
    """What came of one network, or of the modem; `answered`: the ways that were, and after how many ms."""

    name: str
    came: str = RAISED
    detail: str = ""
    answered: dict[str, int] = field(default_factory=dict)
    silent: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether the centre was reached: each way that is set up has been answered."""
        return self.came == UP and bool(self.answered) and not self.silent


class Trial:
    """Lines of the board to sentences for a person, as they come, and to what came of it all."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self.tried: list[Tried] = []
        self.known = 0  # networks that the button knows
        self.others = 0  # networks that it heard and does not know
        self.modem = ""
        self.is_off = self.is_wrong = False

    def line(self, text: str) -> None:
        """Take one line that the board prints; what is not ours is passed over."""
        words = text.split()
        if words[:1] == ["carrier"] and words[1:2] and words[1] in _WORDS:
            getattr(self, f"_{words[1]}")(*words[2:])

    def _off(self, *wrong: str) -> None:
        self.is_off, self.is_wrong = True, bool(wrong)

    def _networks(self, count: str) -> None:
        self.known = int(count)

    def _modem(self, name: str) -> None:
        self.modem = name.removeprefix("-")
        if self.modem:
            self.tried.append(Tried(self.modem))
            self._say(f"{self.modem}: SIM, registration and connection; the first time may take minutes")

    def _other(self) -> None:
        self.others += 1

    def _heard(self, ssid: str, rssi: str, _security: str) -> None:
        self._say(f"{_shown(ssid)} is in reach, at {rssi} dBm")

    def _try(self, ssid: str) -> None:
        self.tried.append(Tried(_shown(ssid)))
        self._say(f"{_shown(ssid)}: connecting")

    def _waiting(self, seconds: str) -> None:
        self._say(f"  still trying, for {seconds} s")

    def _up(self, after_ms: str, signal: str, *facts: str) -> None:
        seen = read_facts(binascii.unhexlify("".join(facts)).ljust(direct.FACTS_BYTES, b"\0"))
        kind = f", {KINDS.get(seen.cell[0], KINDS[3])}" if seen.cell else ""
        strength = f", {signal} dBm" if signal != "0" else ""
        self._of().came, self._of().detail = UP, f"up after {int(after_ms) / 1000:.1f} s{kind}{strength}"
        self._say(f"  {self._of().detail}")

    def _down(self, error: str) -> None:
        self._of().came, self._of().detail = DOWN, _why(error)
        self._say(f"  not connected: {_why(error)}")

    def _raised(self, *words: str) -> None:
        self._of().came, self._of().detail = RAISED, " ".join(words)
        self._say(f"  failed: {self._of().detail}")

    def _answer(self, way: str, after_ms: str) -> None:
        self._of().answered[way] = int(after_ms)
        self._say(f"  the centre answered {WAYS[way]} after {after_ms} ms, and proved that it was the centre")

    def _unproven(self, way: str) -> None:
        self._say(f"  somebody else answered {WAYS[way]}; the button takes nothing from there")

    def _silent(self, way: str, error: str) -> None:
        self._of().silent.append(way)
        why = "" if error in ("0", str(direct.SILENT)) else f": {_why(error)}"
        self._say(f"  no answer of the centre's to {WAYS[way]}{why}")

    def _of(self) -> Tried:
        if not self.tried:
            self.tried.append(Tried("Wi-Fi"))
        return self.tried[-1]


_WORDS = {
    *("off", "networks", "modem", "other", "heard", "try", "waiting", "up", "down", "raised", "answer"),
    *("unproven", "silent"),
}


def _why(error: str) -> str:
    return ERRORS.get(int(error), "of a cause that has no name")


def _shown(ssid: str) -> str:
    """Return a network's name as a person reads it; what is on the air may be anything."""
    text = binascii.unhexlify(ssid).decode(errors="backslashreplace")
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def try_wifi(link: "Link", say: Callable[[str], None]) -> Trial:
    """Let the board try each of its networks that is in reach. Raises CommandError."""
    return _try(link, _WIFI, say)


def try_modem(link: "Link", say: Callable[[str], None]) -> Trial:
    """Let the board try its modem. Raises CommandError."""
    return _try(link, _LTE, say)


def _try(link: "Link", code: str, say: Callable[[str], None]) -> Trial:
    trial = Trial(say)
    link.clear()
    link.run(_PREPARE, silence_s=_SILENCE_S)  # apart: a small heap has no room for all of it as text
    link.run(code, trial.line, silence_s=_SILENCE_S)
    return trial


def verdict(trial: Trial, what: str) -> str:
    """Return in a sentence that the centre was reached. Raises CommandError where it was not.

    `what`: `modem` or `networks`, which was to be tried.
    """
    if trial.is_off:
        wrong = "direct.json holds a wrong value" if trial.is_wrong else "the direct path is off"
        raise CommandError(f"{wrong}: set it with `amr-button direct`")
    if not trial.tried and what == "modem":
        raise CommandError("no modem is set: `amr-button direct` takes --modem")
    if not trial.tried and not trial.known:
        raise CommandError("the button knows no network: `amr-button networks add`")
    if not trial.tried:
        raise CommandError(f"none of the button's networks is in reach here, of others {trial.others}")
    bad = [one.name for one in trial.tried if not one.holds]
    if bad:
        raise CommandError(
            f"the centre was not reached by all ways of {', '.join(bad)}: does it serve --direct-port, and "
            "know this button?"
        )
    return f"{', '.join(one.name for one in trial.tried)}: the button reaches the centre without a phone"


def add_to(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    add_port: Callable[[argparse.ArgumentParser], None],
    link: Callable[[str], "Link"],
) -> None:
    """The `modem` command of `amr-button`."""
    parser = commands.add_parser("modem", help="try the modem of a button: SIM, network, the centre and back")
    acts = parser.add_subparsers(dest="act", required=True, metavar="ACT")
    test = acts.add_parser("test", help="say each step in a sentence")
    add_port(test)
    test.set_defaults(run=lambda options: run(options.port, link, try_modem, "modem"))


def run(
    port: str,
    link: Callable[[str], "Link"],
    attempt: "Callable[[Link, Callable[[str], None]], Trial]",
    what: str,
) -> int:
    """Try one kind of carrier at a port, and say what came of it. Raises CommandError."""
    with link(port) as board:
        require_button(board)
        trial = attempt(board, lambda text: print(text, flush=True))
    print(verdict(trial, what))
    return 0


# -- for the self-test ---------------------------------------------------------------------


def rows(link: "Link") -> Iterator[tuple[str, str, str]]:
    """Yield `(name, result, detail)` of each carrier that is set up, without the name of any network.

    A carrier that came up is a part that works, whether or not the centre knows this button by now.
    """
    if not link.device_id() or not link.hashes([DIRECT_FILE]):
        return
    wifi = try_wifi(link, lambda _: None)
    if wifi.is_off:
        return  # a wrong value is said by another item
    if wifi.known and not wifi.tried:
        yield "wifi", "skip", "none of its networks is in reach here"
    elif wifi.tried:
        yield ("wifi", *_row(wifi.tried))
    lte = try_modem(link, lambda _: None)
    if lte.modem:
        yield ("lte", *_row(lte.tried))


def _row(tried: list[Tried]) -> tuple[str, str]:
    up = [one for one in tried if one.came == UP]
    best = max(up or tried, key=lambda one: (one.holds, len(one.answered)))
    if not up:
        return "fail", best.detail
    if best.holds:
        return "pass", f"{best.detail}; the centre answered after {min(best.answered.values())} ms"
    return "pass", f"{best.detail}; the centre did not answer: does it know this button yet?"
