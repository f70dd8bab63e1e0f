"""Speak AT to an LTE modem. Pure: bytes and the time (ms) in, bytes to write and states out.

    state   does                                        then
    -----   ----                                        ----
    OFF     nothing                                     `open`: WAKE
    WAKE    AT, then the power key and AT at all rates  OK: BUSY; three keys in vain: FAILED
    BUSY    a script of the table, command by command   its end: the next script, or UP
    UP      the socket is open: sends, asks what came   `locate`: BUSY; the modem is lost: WAKE
    FAILED  nothing; `error` says why                   `open`: WAKE

    script  from the table of modems/                   then
    ------  -------------------------                   ----
    START   echo, SIM, what is asked of the network     NET; the SIM wants its PIN: PIN, then START
    NET     registered, cell, context, socket           UP; it fails: REDO and NET, three times in all
    SEND    one frame, at the prompt or without it      RECV
    RECV    what has come                               UP
    FIX     LTE off where it must be, a fix, LTE on     NET

A modem that restarts by itself, or falls silent, is woken anew, and the last frame is sent again: to send
the same twice changes nothing. How long a payload is the modem says ahead of it: what is in it is never
looked at. A PIN is entered only while the SIM has all its tries left; where it does not say, once for ever.
"""

from wire import direct
from wire.direct import NOT_SEEN, PIN, RADIO, REFUSED, RESET, SIM

OFF = 0
WAKE = 1
BUSY = 2
UP = 3
FAILED = -1

LINE = 0
PROMPT = 1
BLOCK = 2

LINE_BYTES_MAX = 192
BLOCK_BYTES_MAX = 512
BLOCKS_MAX = 4
_ANSWER_BYTES = 64
_AFTER = {"PIN": "START", "START": "NET", "REDO": "NET", "FIX": "NET"}  # after the others it is UP
_PAYLOAD = ">"  # what a step waits for that sends the frame: a prompt
_BAUDS = (115200, 9600, 57600)
_CALL_MS = 300  # AT again
_CALLS = 3  # before the power key: a modem that is awake need not be switched on
_BOOT_CALLS = 40
_BOOT_STEADY = 12  # of them at the rate that is known; then each second one at another
_KEYS_MAX = 3
_DEAF_MS = 2000  # for a prompt, or for the answer to a question
_ROUNDS_MAX = 3
_POLL_MS = 1500  # that something has come is said once, and that may be lost
_AWAIT_MS = 25_000  # the centre holds an answer for 20 s at most
_DENIED_MAX = 10
_UNANSWERED_MAX = 2  # frames, before another address of the centre has its turn


class Parser:
    """Cut a modem's bytes into lines, prompts and payloads, of bounded size, whatever comes."""

    def __init__(self, head: bytes, inline: bool) -> None:
        """Begin. `head` begins the line that announces a payload; `inline`: which follows its comma."""
        self._head = head
        self._inline = inline
        self.clear()

    def clear(self) -> None:
        """Forget what has not ended."""
        self._line = bytearray()
        self._missing = 0  # of the payload
        self._is_return = False  # a line has just ended, and its LF may follow

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Return what has become whole, in order: `(LINE | PROMPT | BLOCK, bytes)`."""
        items = []
        for byte in data:
            line = self._line
            was_return, self._is_return = self._is_return, byte == 13
            if byte == 10 and was_return:
                pass
            elif self._missing:
                self._is_return = False
                line.append(byte)
                self._missing -= 1
                if not self._missing:
                    items.append(self._take(BLOCK))
            elif byte in (10, 13):
                if line and not (not self._inline and self._announced(line)):
                    items.append(self._take(LINE))
            elif byte == 62 and not line:
                items.append((PROMPT, b">"))
            elif (byte != 32 or line) and len(line) < LINE_BYTES_MAX:
                line.append(byte)
                if byte == 44 and self._inline:
                    self._announced(line)
        return items

    def _take(self, kind: int) -> tuple[int, bytes]:
        item = kind, bytes(self._line)
        self._line = bytearray()
        return item

    def _announced(self, line: bytearray) -> bool:
        """Take the length that `line` announces. A number 0 ahead of it is the socket's, seen or not."""
        if not line.startswith(self._head):
            return False
        number = bytes(line).rstrip(b",").split(b",")[-1].split(b" ")[-1].decode("latin-1")
        if not (number.isdigit() and len(number) < 4 and 0 < int(number) <= BLOCK_BYTES_MAX):
            return False
        self._missing = int(number)
        self._line = bytearray()
        return True


def fields(line: bytes) -> list[str]:
    """Return what stands behind the name in `line`, cut at its commas, without quotation marks."""
    text = "".join([chr(byte) for byte in line if 32 <= byte < 127 and byte != 34])
    return [field.strip() for field in text.partition(":")[2].split(",")]


def number(text: str, scale: int = 1, base: int = 10) -> int | None:
    """Return a decimal number times `scale` (a power of ten), or None; one of base 16 has no fraction."""
    whole, _, part = text.partition(".")
    digits = whole + (part + "0000000")[: len(str(scale)) - 1]
    try:
        return int(digits, base) if len(digits) < 17 else None
    except ValueError:
        return None


def _begins(line: bytes, words: tuple[bytes, ...]) -> bool:
    return any([line.startswith(word) for word in words])


class Modem:
    """Bring a modem up, send and receive; see the tables above.

    `table`: a module of modems/. `addresses`: of the centre, one after the other. Whoever carries the bytes
    sets the power key to `key` and the UART to `baud` whenever these change, and writes `take()`.
    """

    def __init__(self, table, apn: str, pin: str, addresses) -> None:  # type: ignore[no-untyped-def]
        self.table = table
        self.apn = apn
        self.pin = pin
        self.addresses = addresses
        self.state = OFF
        self.error = 0
        self.key = False
        self.baud = _BAUDS[0]
        self.blocks: list[bytes] = []  # what came
        self.read: dict[str, int | None] = {}  # of the cell and the fix, by the table's `read`
        self.wants_pin = False
        self._address = 0
        self.pin_tried = False  # and not known to be right: remembered before the next byte is written
        self.has_entered = False
        self._denied = 0
        self.frame = b""  # the last one: whether what came back answers it is not for us to say
        self._parser = Parser(table.HEAD, table.INLINE)
        self._out = b""
        self._clear()

    def _clear(self) -> None:
        self._parser.clear()
        self.key = False
        self._end_script()
        self._calls = self._keys = self._rounds = self._restarts = 0
        self._next_ms = self._until_ms = 0
        self._poll_ms: int | None = None  # when to ask unasked what has come
        self._await_ms = 0
        self._is_ok = self._is_met = False
        self.unanswered = 0
        self._has_frame = self._rings = self._wants_fix = self._was_up = False

    def _end_script(self) -> None:
        self._script = self._command = self._wanted = ""
        self._lines: list[str] = []
        self._wait_ms = self._every_ms = self._error = 0

    # -- what is asked of it -----------------------------------------------------------

    def open(self, now_ms: int) -> None:
        """Begin to come up; a fix that is under way ends."""
        if self._script == "FIX":
            self._until_ms = now_ms
        if self.state not in (OFF, FAILED):
            return
        self._clear()
        self.error = 0
        self.blocks.clear()
        self._denied = 0
        self.has_entered = False
        self.read.clear()
        self._wake(now_ms)

    def send(self, frame: bytes, now_ms: int) -> None:
        """Send `frame` as soon as that can be; a frame that has not left yet gives way to it."""
        self.frame = frame
        self._has_frame = True
        self.tick(now_ms)

    def locate(self, now_ms: int) -> None:
        """Begin a fix, once nothing is to be sent."""
        self._wants_fix = True
        self.tick(now_ms)

    def close(self) -> None:
        """Let the modem rest; `take` gives what is to be written for that, at once."""
        self._out = b""
        if self.state in (BUSY, UP):
            self._write(self.table.REST if self._was_up else self.table.POWER_OFF)
        self.state = OFF
        self.key = False
        self.frame = b""

    def is_up(self) -> bool:
        """Return whether frames go out, if one is not just on its way."""
        if self._wants_fix:
            return False
        return self.state == UP or (self.state == BUSY and self._script in ("SEND", "RECV"))

    def take(self) -> bytes:
        """Return what is to be written now."""
        out, self._out = self._out, b""
        return out

    # -- what comes --------------------------------------------------------------------

    def feed(self, data: bytes, now_ms: int) -> None:
        """Take what the modem has said."""
        for kind, item in self._parser.feed(data):
            if self.state in (OFF, FAILED):
                return
            if kind == BLOCK:
                self._block(item)
            elif kind == LINE:
                self._line(item, now_ms)
            elif self._wanted == _PAYLOAD:
                self._pay(now_ms)
        self.tick(now_ms)

    def _block(self, data: bytes) -> None:
        self._rounds = self._restarts = self.unanswered = 0
        self._rings = True  # perhaps there is more
        if len(data) % _ANSWER_BYTES:
            return  # none of the centre's; it will be asked again
        for at in range(0, len(data), _ANSWER_BYTES):
            if len(self.blocks) < BLOCKS_MAX:
                self.blocks.append(data[at : at + _ANSWER_BYTES])

    def _line(self, line: bytes, now_ms: int) -> None:
        if line.startswith(b"AT"):
            return  # the echo, which a modem that has restarted switches on again
        if self.state == WAKE:
            if line == b"OK":
                self._begin("START", now_ms)
            return
        if _begins(line, self.table.RESTARTED):
            self._again(now_ms)
            return
        if line.startswith(self.table.RINGS):
            self._rings = True
        elif self.state == UP and _begins(line, self.table.CLOSED):
            self._has_frame = bool(self.frame)
            self._begin("NET", now_ms)
            return
        self.table.read(line, self.read)
        if self.state == BUSY:
            self._judge(line, now_ms)

    def _judge(self, line: bytes, now_ms: int) -> None:
        wanted = self._wanted
        is_error = line == b"ERROR" or line.startswith(b"+CME ERROR")
        if is_error and not self._every_ms:
            self._failed(self._error, now_ms)
            return
        if is_error or line == b"OK":
            self._is_ok = True
            if self._every_ms:
                self._next_ms = now_ms + self._every_ms
        elif wanted and wanted != _PAYLOAD:
            verdict = self._verdict(wanted, line)
            if verdict is True:
                self._is_met = True
            elif verdict is not None and verdict < 0:
                self._failed(-verdict if verdict < -1 else self._error, now_ms)
                return
        if self._is_ok and self._is_met:
            self._forward(now_ms)

    # What a line means to the step that waits for it. None: nothing; True: what it waits for; False: not yet;
    # a negative number: the step has failed, and why.

    def _verdict(self, wanted: str, line: bytes) -> int | None:
        if wanted[0] != "+":
            verdict: int | None = getattr(self, "_" + wanted)(line)
            return verdict
        if line.startswith(wanted.encode()):
            return True
        # The same name with another value is a refusal, unless it is asked for again and again.
        name = wanted.partition(":")[0].encode() + b":"
        return -1 if not self._every_ms and line.startswith(name) else None

    def _sim(self, line: bytes) -> int | None:
        """Judge the answer to +CPIN?: a SIM that wants its PIN gets it, once."""
        if not line.startswith(b"+CPIN:"):
            return None
        if b"READY" in line:
            return b"NOT" not in line
        if b"SIM PIN" not in line or not self.pin:
            return -SIM  # a PUK: the PIN was wrong three times, wherever that was
        if self.has_entered:
            return False  # it was taken, and the SIM is not ready yet
        self.wants_pin = True
        return True

    def _tries(self, line: bytes) -> int | None:
        """Judge how often a PIN may be wrong: ours is tried only with all three left."""
        if not line.startswith(self.table.TRIES):
            return None
        if "3" not in fields(line)[: self.table.TRIES_FIELDS]:
            return -PIN
        self.pin_tried = False
        return True

    def _registered(self, line: bytes) -> int | None:
        """Judge +CEREG, as answer or by itself: 1 at home, 5 roaming, 3 denied for a while."""
        if not line.startswith(b"+CEREG:"):
            return None
        values = fields(line)
        state = values[0] if len(values) in (1, 4) else values[1]  # by itself it does not repeat its mode
        if state == "3":
            self._denied += 1
            return -REFUSED if self._denied >= _DENIED_MAX else False
        return state in ("1", "5")

    # -- time --------------------------------------------------------------------------

    def tick(self, now_ms: int) -> None:
        """Do what is due."""
        if self.state == WAKE:
            self._call(now_ms)
        elif self.state == UP:
            self._work(now_ms)
        elif self.state == BUSY:
            if self._next_ms and now_ms >= self._next_ms:
                if self._wanted == _PAYLOAD:
                    self._pay(now_ms)  # after sleep the prompt may be missing, and the modem waits for bytes
                elif self._is_ok:
                    self._issue(now_ms)
                else:
                    self._again(now_ms)
            elif now_ms >= self._until_ms:
                self._parser.clear()
                if self._is_ok:
                    self._failed(self._error, now_ms)
                else:
                    self._again(now_ms)  # deaf: another rate, or off

    def _work(self, now_ms: int) -> None:
        if self._has_frame and self.unanswered >= _UNANSWERED_MAX and len(self.addresses) > 1:
            self._elsewhere(now_ms)
        elif self._has_frame:
            self._has_frame = False
            self.unanswered += 1
            self._await_ms = now_ms + _AWAIT_MS
            self._begin("SEND", now_ms)
        elif self._rings or (self._poll_ms is not None and now_ms >= self._poll_ms):
            self._rings = False
            self._begin("RECV", now_ms)
        elif self._wants_fix:
            self._wants_fix = False
            self._begin("FIX", now_ms)

    def _elsewhere(self, now_ms: int) -> None:
        """Open the socket anew, to the next address of the centre."""
        self.unanswered = 0
        self._address += 1
        self._begin("REDO", now_ms)

    # -- waking ------------------------------------------------------------------------

    def _wake(self, now_ms: int) -> None:
        self.state = WAKE
        self._end_script()
        self._calls = 0
        self._next_ms = self._until_ms = now_ms
        self.tick(now_ms)

    def _again(self, now_ms: int) -> None:
        self._restarts += 1
        self._parser.clear()
        self.key = False
        self._keys = 0
        if self._restarts > _ROUNDS_MAX:
            self._fail(RESET)
            return
        self._has_frame = bool(self.frame)
        self._wake(now_ms)

    def _call(self, now_ms: int) -> None:
        if now_ms < self._next_ms:
            return
        if self.key:
            self.key = False
            self._calls = -_BOOT_CALLS
        elif self._calls == _CALLS:
            if self._keys == _KEYS_MAX:
                self._fail(RADIO)
                return
            self._keys += 1
            self.key = True
            self.baud = _BAUDS[0]
            self._next_ms = self._until_ms = now_ms + self.table.KEY_MS
            return
        if _BOOT_STEADY - _BOOT_CALLS <= self._calls < 0:
            self.baud = _BAUDS[self._calls // 2 % len(_BAUDS)]
        self._calls += 1
        self._next_ms = self._until_ms = now_ms + _CALL_MS
        self._write("")

    # -- scripts -----------------------------------------------------------------------

    def _begin(self, script: str, now_ms: int) -> None:
        self.state = BUSY
        self._script = script
        self._lines = getattr(self.table, script).strip().split("\n")
        self._forward(now_ms)

    def _forward(self, now_ms: int) -> None:
        if not self._lines or self.wants_pin:
            self._ended(now_ms)
            return
        step = self._lines.pop(0).split("|")
        self._command, self._wanted = step[:2]
        self._wait_ms, self._every_ms = int(step[2]) * 1000, int(step[3]) * 1000
        self._error = getattr(direct, step[4]) if step[4] else 0
        self._until_ms = now_ms + self._wait_ms
        self._issue(now_ms)

    def _issue(self, now_ms: int) -> None:
        self._next_ms = now_ms + _DEAF_MS if self._every_ms or self._wanted == _PAYLOAD else 0
        self._is_ok = False
        self._is_met = not self._wanted
        if "{pin}" in self._command:
            if self.pin_tried:
                self._fail(PIN)  # the SIM does not say how many tries are left
                return
            self.pin_tried = self.has_entered = True
        self._write(self._command)

    def _write(self, command: str) -> None:
        host, port = self.addresses[self._address % len(self.addresses)]
        values = (("apn", self.apn), ("pin", self.pin), ("host", host), ("port", str(port)))
        for name, value in values:
            command = command.replace("{" + name + "}", value)
        self._out += b"AT" + command.encode() + b"\r"

    def _pay(self, now_ms: int) -> None:
        if not self._is_met:
            self._is_met = True
            self._is_ok = False
            self._next_ms = 0
            self._until_ms = now_ms + self._wait_ms
            self._out += self.frame

    def _ended(self, now_ms: int) -> None:
        after = _AFTER.get(self._script)
        if self.wants_pin:
            self.wants_pin = False
            after = "PIN"
        elif self._script == "START":
            self.pin_tried = False
        if after:
            self._begin(after, now_ms)
        else:
            self._up(now_ms)

    def _up(self, now_ms: int) -> None:
        self._was_up = True
        self.state = UP
        self._poll_ms = now_ms + _POLL_MS if now_ms < self._await_ms else None
        self._work(now_ms)

    def _failed(self, error: int, now_ms: int) -> None:
        """Go on after a step that failed: past it where it does not matter, else once more or not at all."""
        if not error:
            self._forward(now_ms)
            return
        self._has_frame = bool(self.frame)
        self._rounds += 1
        if error in (SIM, PIN, REFUSED, NOT_SEEN) or self._rounds >= _ROUNDS_MAX:
            self._fail(error)
        else:
            self._elsewhere(now_ms)

    def _fail(self, error: int) -> None:
        if self.state == BUSY and error != RESET:
            self._write(self.table.POWER_OFF)  # else it would search on, and empty the battery
        self.state = FAILED
        self.error = error
        self.key = False
