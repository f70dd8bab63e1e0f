"""A modem for LTE-M and NB-IoT beside a board: it answers AT on a UART, and its datagrams are real ones.

modem = Modem("sim7080g", uplink)
board.attach_modem(modem, uart=1, pwrkey=4)

Two makes, written from their manuals and from what people saw of them (V.250 for the rest). What goes wrong
is an attribute each, which a test or a scenario sets: see `Faults`.
"""

import asyncio
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

OFF, BOOTING, ON, PSM = "off", "booting", "on", "psm"
HOME, ROAMING, SEARCHING, DENIED = 1, 5, 2, 3
MAKES = ("sim7080g", "gm02s")
RATE = 115200
LINE_BYTES_MAX = 560  # SIM7080 Series AT Command Manual, 1.4
DATAGRAM_BYTES_MAX = 1460
QUEUE_MAX = 10
TURN_OFF_S = 1.2

Address = tuple[str, int]
Later = Callable[[float, Callable[[], None]], "Handle"]


class Handle(Protocol):
    """What can still be called off."""

    def cancel(self) -> object: ...


class Uplink(Protocol):
    """The network behind the modem's cell."""

    def send(self, data: bytes, to: Address, answer: Callable[[bytes], None]) -> None: ...


@dataclass
class Faults:
    """What goes wrong. Counts count down: so often it still happens."""

    is_silent: bool = False  # it answers nothing
    is_garbled: bool = False  # all that it says is noise
    coverage: int = HOME  # or SEARCHING (no cell) or DENIED
    keeps_echo: bool = False  # E0 is taken, and does nothing
    has_mux: bool = False  # CARECV names its socket, as the manual has it
    half_lines: bool = False  # what it says comes in pieces
    urc_inside: bytes = b""  # a line between an answer and its OK
    no_prompt: int = 0
    loses_indication: int = 0  # that something came is not said
    restarts_after_send: int = 0
    restarts_in_answer: int = 0  # in the middle of a payload
    rate_after_restart: int = RATE
    browns_out: int = 0  # with the first datagram it sends
    psm_wakes: str = ""  # "late", "alone" or "never"; else as it should
    hides_tries: bool = False  # it does not know how many a SIM has left
    length: int | None = None  # that it announces in place of a payload's own


@dataclass
class Times:
    """How long things take, in seconds."""

    boot: float = 2.0
    answer: float = 0.01
    register: float = 1.5
    activate: float = 0.3
    psm: float = 20.0
    fix: float = 8.0


@dataclass
class Sim:
    """The card. `pin` empty: it asks for none."""

    pin: str = ""
    tries: int = 3
    is_there: bool = True
    entered: list[str] = field(default_factory=list)  # all that was ever tried


class Modem:
    """One modem. `later(seconds, act)` is the clock, asyncio's where none is given."""

    def __init__(self, make: str, uplink: Uplink, later: Later | None = None, seed: int = 0) -> None:
        self.make = make
        self.faults, self.times, self.sim = Faults(), Times(), Sim()
        self.place: tuple[float, float] | None = (52.5219, 13.4132)  # None: no sky
        self.say: Callable[[bytes], None] = lambda _: None
        self.power = OFF
        self.commands: list[str] = []  # all that it was told
        self.starts = 0
        self._uplink = uplink
        self._clock = later or (lambda s, act: asyncio.get_running_loop().call_later(s, act))
        self._random = random.Random(seed)  # noqa: S311 -- noise, not a secret
        self._board_rate = self._rate = RATE
        self._psm_pulses = 0
        self._is_saving = self._was_registered = False
        self._handles: list[Handle] = []
        self._key: Handle | None = None
        self._restart()

    def _restart(self) -> None:
        for handle in self._handles:
            handle.cancel()
        self._handles = []
        self._line = b""
        self._payload: bytes | None = None
        self._payload_bytes = 0
        self._echo = True
        self._reports = 0  # +CEREG=
        self._cfun = 1
        self._is_unlocked = not self.sim.pin
        self._registered = SEARCHING
        self._is_hidden = self.faults.coverage == SEARCHING
        self._active = False
        self._socket: Address | None = None
        self._received: list[bytes] = []
        self._gnss = False
        self._fix: str | None = None
        self._idle: Handle | None = None
        self._queue: list[bytes] = []
        self._generation = getattr(self, "_generation", 0) + 1

    def _later(self, seconds: float, act: Callable[[], None]) -> Handle:
        handle = self._clock(seconds, act)
        self._handles = [*self._handles[-50:], handle]
        return handle

    # -- power -----------------------------------------------------------------------------------------

    def pwrkey(self, down: bool) -> None:
        """Press or let go the power key; at a GM02S it is the reset line."""
        if self._key:
            self._key.cancel()
            self._key = None
        if self.make == "gm02s":
            if not down and self.faults.psm_wakes != "never":
                self._boot()
        elif down and self.power in (OFF, PSM):
            self._key = self._clock(1.0, self._pressed)
        elif down and self.power == ON:
            self._key = self._clock(TURN_OFF_S, self._turn_off)

    def _pressed(self) -> None:
        if self.power == PSM and self.faults.psm_wakes == "never":
            return
        self._boot()

    def _boot(self) -> None:
        from_psm = self.power == PSM
        self._was_registered = self._was_registered and from_psm
        self._restart()
        self.power = BOOTING
        self.starts += 1
        late = 5.0 if from_psm and self.faults.psm_wakes == "late" else 1.0
        self._later(self.times.boot * late, self._booted)

    def _booted(self) -> None:
        self.power = ON
        self._urc(b"RDY" if self.make == "sim7080g" else b"+SYSSTART")
        if self.make == "sim7080g":
            self._urc(b"+CFUN: 1")
            self._urc(b"+CPIN: READY" if self._is_unlocked else b"+CPIN: SIM PIN")
            self._urc(b"SMS Ready")
        else:
            self._cfun = 0
        self._search()

    def _turn_off(self) -> None:
        self._urc(b"NORMAL POWER DOWN")
        self.cut()

    def cut(self) -> None:
        """Take its power away, without a word."""
        self._restart()
        self.power = OFF
        self._was_registered = False

    def restart(self) -> None:
        """Let it start again by itself."""
        self._rate = self.faults.rate_after_restart
        self.power = ON
        self._was_registered = False
        self._boot()

    def _awake(self) -> None:
        """It was spoken to: PSM is put off."""
        if self._idle:
            self._idle.cancel()
        self._idle = self._later(self.times.psm, self._sleep) if self._is_saving else None

    def _sleep(self) -> None:
        if self.power == ON and self._registered in (HOME, ROAMING) and not self._gnss:
            self._restart()
            self.power = PSM
            self._was_registered = True
            if self.faults.psm_wakes == "alone":
                self._later(3.0, self._boot)

    # -- the UART --------------------------------------------------------------------------------------

    def opened(self, rate: int) -> None:
        """The board speaks at `rate` from now on."""
        self._board_rate = rate

    def closed(self) -> None:
        """The board has let go of its UART."""
        self._line = b""

    def hear(self, data: bytes) -> None:
        """Take what the board has written."""
        if self.power != ON or self.faults.is_silent or self._board_rate != self._rate:
            return
        self._awake()
        self._look()
        for at in range(len(data)):
            byte = data[at : at + 1]
            if self._payload is not None:
                self._payload += byte
                if len(self._payload) == self._payload_bytes:
                    self._send()
            elif byte == b"\r":
                line, self._line = self._line, b""
                self._answer_to(line)
            elif byte != b"\n" and len(self._line) < LINE_BYTES_MAX:
                self._line += byte

    def _tell(self, data: bytes) -> None:
        if self.faults.is_silent:
            return
        if self.faults.is_garbled or self._board_rate != self._rate:
            data = bytes(self._random.choice(b"\x00\xf8\x1c\xe0\x80\xfe\xff\r>A") for _ in range(len(data)))
        if not self.faults.half_lines:
            self.say(data)
            return
        while data:
            size = self._random.randint(1, 7)
            self._queue.append(data[:size])
            data = data[size:]
        if len(self._queue) and not getattr(self, "_is_dripping", False):
            self._is_dripping = True
            self._clock(0.005, self._drip)

    def _drip(self) -> None:
        self._is_dripping = bool(self._queue)
        if self._queue:
            self.say(self._queue.pop(0))
            self._clock(0.005, self._drip)

    def _urc(self, line: bytes) -> None:
        self._tell(b"\r\n" + line + b"\r\n")

    # -- V.250 -----------------------------------------------------------------------------------------

    def _answer_to(self, line: bytes) -> None:
        begin = line.upper().rfind(b"AT")
        if begin < 0:
            return
        if self._echo:
            self._tell(line + b"\r")
        text = line[begin + 2 :].decode("latin-1")
        self.commands.append(text)
        generation = self._generation
        self._later(
            self.times.answer, lambda: self._carry_out(text) if generation == self._generation else None
        )

    def _carry_out(self, text: str) -> None:
        generation = self._generation
        if self._socket is not None and self.faults.urc_inside:
            self._urc(self.faults.urc_inside)
        for command in re.findall(r'(?:[^;"]|"[^"]*")+', text) or [""]:
            result = self._command(command)
            if generation != self._generation or result is None:
                return  # it has restarted, or says by itself when it is done
            if result:
                self._urc(result.encode())
                return
        self._urc(b"OK")

    def _command(self, command: str) -> str | None:
        """Carry out one command. Return what ends the whole line, empty where it went well."""
        match = re.fullmatch(r"([EVQ&]+\d?|\+[A-Z]+)?(=\?|\?|=(.*))?", command, re.IGNORECASE | re.DOTALL)
        if match is None:
            return "ERROR"
        name, kind, arguments = (match[1] or "").upper(), match[2] or "", match[3]
        if name in ("", "E0", "E1", "E"):
            self._echo = self._echo if not name else (name == "E1" or self.faults.keeps_echo)
            return ""
        values = [value.strip('"') for value in re.findall(r'"[^"]*"|[^,]+|(?<=,)(?=,|$)', arguments or "")]
        ask = "ask" if kind == "?" else "do"
        method = getattr(self, f"_{ask}_{name[1:].lower()}", None)
        own = getattr(self, f"_{self.make}_{ask}_{name[1:].lower()}", None)
        handler: Callable[[list[str]], str | None] | None = own or method
        if handler is None:
            return "" if name[1:] in _TAKEN else "ERROR"
        try:
            return handler(values)
        except (IndexError, ValueError):
            return "+CME ERROR: 50"  # TS 27.007, 9.2.1: incorrect parameters

    # -- SIM and network (3GPP TS 27.007) ---------------------------------------------------------------

    def _ask_cpin(self, _: list[str]) -> str:
        if not self.sim.is_there or not self._cfun:
            return "+CME ERROR: 10"
        if self.sim.tries == 0:
            self._urc(b"+CPIN: SIM PUK")
        else:
            self._urc(b"+CPIN: READY" if self._is_unlocked else b"+CPIN: SIM PIN")
        return ""

    def _do_cpin(self, values: list[str]) -> str:
        if self._is_unlocked or self.sim.tries == 0:
            return "+CME ERROR: 3"
        self.sim.entered.append(values[0])
        if values[0] != self.sim.pin:
            self.sim.tries -= 1
            return "+CME ERROR: 16"
        self.sim.tries = 3
        self._is_unlocked = True
        self._search()
        return ""

    def _sim7080g_do_spic(self, _: list[str]) -> str:
        if self.faults.hides_tries:
            return "ERROR"
        self._urc(b"+SPIC: %d,10,3,10" % self.sim.tries)
        return ""

    def _gm02s_do_cpinr(self, _: list[str]) -> str:
        if self.faults.hides_tries:
            return "ERROR"
        self._urc(b"+CPINR: SIM PIN,%d,3" % self.sim.tries)
        return ""

    def _search(self) -> None:
        if self._cfun == 1 and self._is_unlocked and self.sim.is_there:
            was = self._was_registered
            self._later(0.0 if was else self.times.register, self._found)

    def _found(self) -> None:
        self._registered = self.faults.coverage if self._cfun == 1 else SEARCHING
        if self._reports:
            self._urc(self._registration())
        if self._registered in (HOME, ROAMING) and self.make == "sim7080g":
            self._urc(b'*PSUTTZ: 26/11/30,08:00:00","+04",0')
            self._urc(b"DST: 0")

    def cover(self, coverage: int) -> None:
        """Change what the network is where the board is."""
        self.faults.coverage = coverage
        self._look()

    def _look(self) -> None:
        """See whether the network is still what it was."""
        coverage = self.faults.coverage
        if self.power == ON and self._registered in (HOME, ROAMING, DENIED) and coverage != self._registered:
            self._was_registered = False
            self._registered = SEARCHING
            if coverage not in (HOME, ROAMING):
                self._lose()
            self._search()
        elif self.power == ON and self._is_hidden and coverage != SEARCHING:
            self._search()
        self._is_hidden = coverage == SEARCHING

    def _registration(self, mode: str = "") -> bytes:
        cell = b',"4E2A","01A2D001",7' if self._reports >= 2 and self._registered in (HOME, ROAMING) else b""
        return b"+CEREG: " + mode.encode() + b"%d" % self._registered + cell

    def _ask_cereg(self, _: list[str]) -> str:
        self._urc(self._registration(f"{self._reports},"))
        return ""

    def _do_cereg(self, values: list[str]) -> str:
        self._reports = int(values[0])
        return ""

    def _do_cfun(self, values: list[str]) -> str:
        self._cfun = int(values[0])
        self._registered = SEARCHING
        self._was_registered = False
        self._lose()
        self._search()
        return ""

    def _lose(self) -> None:
        if self._active:
            self._active = False
            self._socket = None
            self._urc(b"+APP PDP: 0,DEACTIVE")

    def _do_cpsms(self, values: list[str]) -> str:
        self._is_saving = values[0] == "1"
        self._awake()
        return ""

    def _ask_cops(self, _: list[str]) -> str:
        self._urc(b'+COPS: 0,2,"26201",7' if self._registered in (HOME, ROAMING) else b"+COPS: 0")
        return ""

    def _do_cesq(self, _: list[str]) -> str:
        self._urc(b"+CESQ: 99,99,255,255,21,43" if self._registered in (HOME, ROAMING) else b"+CESQ: 99,99")
        return ""

    # -- SIM7080 ----------------------------------------------------------------------------------------

    def _sim7080g_do_cpowd(self, _: list[str]) -> None:
        self._turn_off()

    def _sim7080g_ask_cpsi(self, _: list[str]) -> str:
        if self._registered in (HOME, ROAMING):
            self._urc(
                b"+CPSI: LTE CAT-M1,Online,262-01,0x4E2A,27447297,210,EUTRAN-BAND20,6300,3,3,-12,-98,-70,11"
            )
        else:
            self._urc(b"+CPSI: NO SERVICE,Online")
        return ""

    def _sim7080g_do_cnact(self, values: list[str]) -> str:
        if values[1] == "0":
            self._lose()
            return ""
        if self._registered not in (HOME, ROAMING):
            return "ERROR"
        if self._active:
            return "+CME ERROR: 3"  # operation not allowed: it is active
        self._later(self.times.activate, self._activate)
        return ""

    def _activate(self) -> None:
        self._active = self._registered in (HOME, ROAMING)
        self._urc(b"+APP PDP: 0,ACTIVE" if self._active else b"+APP PDP: 0,DEACTIVE")

    def _sim7080g_do_caopen(self, values: list[str]) -> str:
        if values[0] != "0" or len(values) != 5:  # one more, the manual's recv_mode, fails in the field
            return "ERROR"
        if self._socket is not None:
            result = 4
        elif not self._active:
            result = 1
        else:
            self._socket, self._received, result = (values[3], int(values[4])), [], 0
        self._urc(b"+CAOPEN: 0,%d" % result)
        return ""

    def _sim7080g_do_caclose(self, _: list[str]) -> str:
        was, self._socket = self._socket, None
        return "" if was else "ERROR"

    def _sim7080g_do_casend(self, values: list[str]) -> str | None:
        if self._socket is None:
            return "ERROR"
        self._prompt(int(values[1]))
        return None

    def _sim7080g_do_carecv(self, values: list[str]) -> str | None:
        if self._socket is None:
            return "ERROR"
        data = self._taken(int(values[1]))
        if not data:
            self._urc(b"+CARECV: 0")
            return ""
        size = len(data) if self.faults.length is None else self.faults.length
        self._payload_out(b"\r\n+CARECV: " + b"0," * self.faults.has_mux + b"%d," % size, data)
        return None

    def _sim7080g_do_cgnspwr(self, values: list[str]) -> str | None:
        self._gnss = values[0] == "1"
        self._fix = None
        if self._gnss and self._cfun == 1:
            self.restart()  # as people have seen it: one receiver, and both want it
            return None
        if self._gnss:
            self._later(self.times.fix, self._fixed)
        return ""

    def _fixed(self) -> None:
        if self._gnss and self.place:
            self._fix = f"{self.place[0]:.6f},{self.place[1]:.6f}"

    def _sim7080g_do_cgnsinf(self, _: list[str]) -> str:
        if self._fix:
            tail = "34.100,0.00,0.0,1,,1.2,1.5,0.9,,9,,,38,,"
            self._urc(f"+CGNSINF: 1,1,20261130080000.000,{self._fix},{tail}".encode())
        else:
            self._urc(b"+CGNSINF: %d,0,,,,,,,,,,,,,,,,,,,," % self._gnss)
        return ""

    # -- GM02S ------------------------------------------------------------------------------------------

    def _gm02s_do_sqnsd(self, values: list[str]) -> str:
        if self._registered not in (HOME, ROAMING) or self._socket is not None:
            return "+CME ERROR: 3"
        self._socket, self._received = (values[3], int(values[2])), []
        return ""

    def _gm02s_do_sqnsh(self, _: list[str]) -> str:
        was, self._socket = self._socket, None
        return "" if was else "+CME ERROR: 3"

    def _gm02s_do_sqnssendext(self, values: list[str]) -> str | None:
        if self._socket is None:
            return "+CME ERROR: 3"
        self._prompt(int(values[1]))
        return None

    def _gm02s_do_sqnsrecv(self, values: list[str]) -> str | None:
        data = self._taken(int(values[1])) if self._socket else b""
        if not data:
            return "+CME ERROR: 3"
        size = len(data) if self.faults.length is None else self.faults.length
        self._payload_out(b"\r\n+SQNSRECV: 1,%d\r\n" % size, data)
        return None

    def _gm02s_do_lpgnssfixprog(self, values: list[str]) -> str:
        self._gnss = values[0] == "single"
        if self._gnss and self._cfun == 1:
            self._urc(b'+LPGNSSFIXSTOP: "LTE_CONCURRENCY"')
        elif self._gnss:
            self._later(self.times.fix, self._gm02s_fixed)
        return ""

    def _gm02s_fixed(self) -> None:
        if self._gnss and self.place:
            lat, lon = self.place
            head = '+LPGNSSFIXREADY: 0,"2026-11-30T08:00:00.000000",7012,"38.5"'
            rest = '"34.000000","0.0","0.0","0.0",' + ",".join(f"({n},31.5)" for n in range(1, 60))
            self._urc(f'{head},"{lat:.6f}","{lon:.6f}",{rest}'.encode())

    # -- datagrams --------------------------------------------------------------------------------------

    def _prompt(self, size: int) -> None:
        if not 0 < size <= DATAGRAM_BYTES_MAX:
            raise ValueError
        self._payload, self._payload_bytes = b"", size
        if self.faults.no_prompt:
            self.faults.no_prompt -= 1
        else:
            self._tell(b"\r\n> ")

    def _send(self) -> None:
        data, self._payload = self._payload or b"", None
        if self._echo:
            self._tell(data)
        if self.faults.browns_out:
            self.faults.browns_out -= 1
            self.cut()
            return
        assert self._socket is not None
        self._uplink.send(data, self._socket, self._incoming_of(self._socket, self._generation))
        self._urc(b"OK")
        if self.make == "sim7080g":
            self._urc(b"+CASEND: 0,0,%d" % len(data))
        if self.faults.restarts_after_send:
            self.faults.restarts_after_send -= 1
            self.restart()

    def _incoming_of(self, socket: Address, generation: int) -> Callable[[bytes], None]:
        def incoming(data: bytes) -> None:
            self._look()
            if (
                self._socket == socket
                and generation == self._generation
                and self._registered in (HOME, ROAMING)
            ):
                self._incoming(data)

        return incoming

    def _incoming(self, data: bytes) -> None:
        if len(self._received) >= QUEUE_MAX:
            return
        self._received.append(data[:DATAGRAM_BYTES_MAX])
        self._awake()
        if self.faults.loses_indication:
            self.faults.loses_indication -= 1
        elif self.make == "sim7080g":
            self._urc(b"+CADATAIND: 0")
        else:
            self._urc(b"+SQNSRING: 1,%d" % sum(map(len, self._received)))

    def _taken(self, most: int) -> bytes:
        """Take up to `most` bytes of what has come: the borders of datagrams are not kept."""
        whole = b"".join(self._received)
        self._received = [whole[most:]] if whole[most:] else []
        return whole[:most]

    def _payload_out(self, head: bytes, data: bytes) -> None:
        if self.faults.restarts_in_answer:
            self.faults.restarts_in_answer -= 1
            self._tell(head + data[: len(data) // 2])
            self.restart()
            return
        self._tell(head + data + b"\r\n")
        self._urc(b"OK")


# Commands that are taken, and do nothing that matters here.
_TAKEN = {
    *("CMEE", "CSCLK", "CGDCONT", "CNCFG", "COPS", "SQNSCFG", "SQNSCFGEXT", "LPGNSSCFG", "CRAI"),
}
