from _link import call, handlers

_FRAMES = {}  # the ports that are open
_LEFT = 1000


class UART:
    # As on an ESP32: what has come waits in a buffer, what does not fit is lost; there is no flush on a tty.
    RTS = 1
    CTS = 2
    INV_TX = 1 << 5
    INV_RX = 1 << 2
    IRQ_RX = 1
    IRQ_RXIDLE = 2
    IRQ_BREAK = 4

    def __init__(self, id, *arguments, **keywords):
        if id not in (1, 2):  # 0 is the prompt's
            raise ValueError("UART(%d) does not exist" % id)
        self._id = id
        self._heard = b""
        self._handler = None
        self._trigger = 0
        self._settings = {"baudrate": 115200, "tx": -1, "rx": -1, "rxbuf": 256, "timeout": 0}
        self.init(*arguments, **keywords)

    def init(self, baudrate=None, **keywords):
        if baudrate is not None:
            keywords["baudrate"] = baudrate
        self._settings.update(keywords)
        settings = self._settings
        pins = [getattr(settings[name], "_id", settings[name]) for name in ("tx", "rx")]
        call("uart_open", self._id, settings["baudrate"], *pins)
        _FRAMES[self._id] = self

    def deinit(self):
        if _FRAMES.get(self._id) is self:
            del _FRAMES[self._id]
            call("uart_close", self._id)

    def any(self):
        return len(self._heard)

    def read(self, most=_LEFT):
        heard, self._heard = self._heard[:most], self._heard[most:]
        return heard or None

    def readinto(self, buffer, most=None):
        heard = self.read(len(buffer) if most is None else min(most, len(buffer)))
        if heard:
            buffer[: len(heard)] = heard
            return len(heard)

    def readline(self):
        return self.read(self._heard.find(b"\n") + 1 or _LEFT)

    def write(self, data):
        call("uart_write", self._id, bytes(data))
        return len(data)

    def txdone(self):
        return True

    def irq(self, handler=None, trigger=0, hard=False):
        self._handler, self._trigger = handler, trigger
        return self


def _heard(event):
    from _link import unpack

    port = _FRAMES.get(event[1])
    if port:
        room = port._settings["rxbuf"] - len(port._heard)
        port._heard += unpack(event[2])[: max(room, 0)]
        if port._handler and port._trigger & UART.IRQ_RXIDLE:
            port._handler(port)


handlers["u"] = _heard
