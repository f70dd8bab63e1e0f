# bluetooth: MicroPython's low-level Bluetooth API, on the simulated air.

import os

from binascii import hexlify, unhexlify

from _link import call, caller, handlers

FLAG_READ = 0x0002
FLAG_WRITE_NO_RESPONSE = 0x0004
FLAG_WRITE = 0x0008
FLAG_NOTIFY = 0x0010
FLAG_INDICATE = 0x0020

# What the board does without help from here; it knows the signatures.
_CALLS = (
    " active gap_advertise gap_scan gap_connect gap_disconnect gap_pair gap_passkey"
    " gatts_register_services gatts_read gatts_write gatts_notify gatts_indicate gatts_set_buffer"
    " gattc_discover_services gattc_discover_characteristics gattc_discover_descriptors"
    " gattc_read gattc_write gattc_exchange_mtu "
)


class UUID(bytes):
    # As in the C module: little-endian, and the number of bytes is the type.
    _tag = "u"

    def __init__(self, value):
        if isinstance(value, int):
            if not 0 <= value <= 0xFFFF:
                raise ValueError("invalid UUID")
            value = value.to_bytes(2, "little")
        elif isinstance(value, str) and len(value) in (2, 4, 16):
            value = value.encode()
        elif len(memoryview(value)) not in (2, 4, 16):
            digits = str(value).replace("-", "")
            if len(digits) != 32:
                raise ValueError("UUID too short" if len(digits) < 32 else "UUID too long")
            try:
                value = bytes(reversed(unhexlify(digits)))
            except ValueError:
                raise ValueError("invalid char in UUID")
        super().__init__(value)

    def _order(self, other):
        mine, theirs = bytes(self), bytes(other)
        return (len(mine) > len(theirs)) - (len(mine) < len(theirs)) or (mine > theirs) - (mine < theirs)

    def __eq__(self, other):
        return isinstance(other, UUID) and bytes(self) == bytes(other)

    def __lt__(self, other):
        return self._order(other) < 0

    def __le__(self, other):
        return self._order(other) <= 0

    def __gt__(self, other):
        return self._order(other) > 0

    def __ge__(self, other):
        return self._order(other) >= 0

    def __hash__(self):
        return hash(bytes(self))

    def __str__(self):
        d = hexlify(bytes(reversed(bytes(self)))).decode()
        if len(d) < 32:
            return "UUID(0x%s)" % d
        return "UUID('%s-%s-%s-%s-%s')" % (d[:8], d[8:12], d[12:16], d[16:20], d[20:])

    __repr__ = __str__


def _irq(event):
    # ["b", number, ...] or, where an answer is waited for, ["br", id, number, ...].
    asked = event[0] == "br"
    arguments = event[3 if asked else 2 :]
    buffers = []
    for i, value in enumerate(arguments):
        if isinstance(value, str):
            raw = bytearray(unhexlify(value[1:]))
            if value[0] == "u":
                arguments[i] = UUID(raw)
            else:
                buffers.append(raw)
                arguments[i] = memoryview(raw)
    answer = None
    try:
        if _handler:
            answer = _handler(event[2 if asked else 1], tuple(arguments))
    finally:
        if asked:
            call("answer", event[1], answer)
        # On a board these are views of the stack's own memory, gone when the handler returns.
        for raw in buffers:
            for i in range(len(raw)):
                raw[i] = 0xA5


_handler = None
_ble = None
handlers["b"] = handlers["br"] = _irq


class BLE:
    def __new__(cls):
        global _ble
        if _ble is None:
            _ble = super().__new__(cls)
        return _ble

    def irq(self, handler):
        global _handler
        if handler is not None and not callable(handler):
            raise ValueError("invalid handler")
        _handler = handler
        call("irq", handler is not None)

    def config(self, *names, **values):
        if "addr_mode" in values and os.getenv("AMR_PORT") == "zephyr":
            raise OSError(95)  # EOPNOTSUPP: that port has its identity address alone
        return call("config", *names, **values)

    def gap_pair(self, connection):  # here because programs ask the class whether it is there
        call("gap_pair", connection)

    def __getattr__(self, name):
        if " " + name + " " not in _CALLS:
            raise AttributeError(name)
        return caller(name)
