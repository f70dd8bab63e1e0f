# bluetooth: MicroPython's low-level Bluetooth API, on the simulated air.

from binascii import hexlify, unhexlify

from _link import call, handlers

FLAG_BROADCAST = 0x0001
FLAG_READ = 0x0002
FLAG_WRITE_NO_RESPONSE = 0x0004
FLAG_WRITE = 0x0008
FLAG_NOTIFY = 0x0010
FLAG_INDICATE = 0x0020
FLAG_AUTHENTICATED_SIGNED_WRITE = 0x0040
FLAG_AUX_WRITE = 0x0100
FLAG_READ_ENCRYPTED = 0x0200
FLAG_READ_AUTHENTICATED = 0x0400
FLAG_READ_AUTHORIZED = 0x0800
FLAG_WRITE_ENCRYPTED = 0x1000
FLAG_WRITE_AUTHENTICATED = 0x2000
FLAG_WRITE_AUTHORIZED = 0x4000


def _hex(data):
    return None if data is None else hexlify(data).decode()


class UUID(bytes):
    # As in the C module the bytes are little-endian, and the type is their number.
    def __init__(self, value):
        if isinstance(value, int):
            if not 0 <= value <= 0xFFFF:
                raise ValueError("invalid UUID")
            value = value.to_bytes(2, "little")
        elif len(memoryview(value)) not in (2, 4, 16):
            digits = "".join(str(value).split("-"))
            if len(digits) != 32:
                raise ValueError("UUID too " + ("short" if len(digits) < 32 else "long"))
            try:
                value = bytes(reversed(unhexlify(digits)))
            except ValueError:
                raise ValueError("invalid char in UUID")
        super().__init__(value)

    def _key(self):
        raw = bytes(self)
        return len(raw), raw

    def __eq__(self, other):
        return isinstance(other, UUID) and bytes(self) == bytes(other)

    def __lt__(self, other):
        return self._key() < other._key()

    def __le__(self, other):
        return self._key() <= other._key()

    def __gt__(self, other):
        return self._key() > other._key()

    def __ge__(self, other):
        return self._key() >= other._key()

    def __hash__(self):
        return hash(bytes(self))

    def __repr__(self):
        digits = hexlify(bytes(reversed(bytes(self)))).decode()
        if len(digits) < 32:
            return "UUID(0x" + digits + ")"
        return "UUID('" + "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])) + "')"

    __str__ = __repr__


def _uuid(uuid, what):
    if not isinstance(uuid, UUID):
        raise ValueError("invalid " + what + " UUID")
    return _hex(uuid)


def _attributes(entries, what):
    # A characteristic is (uuid, flags[, descriptors]), a descriptor (uuid, flags).
    table = []
    for entry in entries:
        if not 2 <= len(entry) <= 3:
            raise ValueError("invalid characteristic tuple")
        inner = _attributes(entry[2], "descriptor") if len(entry) == 3 else []
        table.append((_uuid(entry[0], what), entry[1], inner))
    return table


def _irq(event):
    # [kind, number, ...]: "x..." is bytes, "u..." a UUID; ["br", id, number, ...] wants an answer.
    asked = event[0] == "br"
    arguments = event[3:] if asked else event[2:]
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
            answer = _handler(event[2] if asked else event[1], tuple(arguments))
    finally:
        if asked:
            call("read_answer", event[1], int(answer) if isinstance(answer, (int, bool)) else 0)
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

    def active(self, active=None):
        return call("active", None if active is None else bool(active))

    def config(self, *name, **values):
        if not values:
            if len(name) != 1:
                raise TypeError("must query one param")
            value = call("config_get", name[0])
            if name[0] == "mac":
                return value[0], unhexlify(value[1])
            return unhexlify(value) if name[0] == "gap_name" else value
        if name:
            raise TypeError("can't specify pos and kw args")
        for key, value in values.items():
            call("config_set", key, _hex(value) if key == "gap_name" else int(value))

    def irq(self, handler):
        global _handler
        if handler is not None and not callable(handler):
            raise ValueError("invalid handler")
        _handler = handler
        call("irq", handler is not None)

    def gap_advertise(self, interval_us=500000, adv_data=None, *, resp_data=None, connectable=True):
        call("advertise", interval_us, _hex(adv_data), _hex(resp_data), bool(connectable))

    def gap_scan(self, duration_ms=0, interval_us=1280000, window_us=11250, active=False):
        call("scan", duration_ms, interval_us, window_us, bool(active))

    def gap_connect(self, addr_type, addr=None, scan_duration_ms=2000, min_conn_interval_us=0, max_conn_interval_us=0):
        if addr_type is None:
            return call("connect_cancel")
        if len(addr) != 6:
            raise ValueError("invalid addr")
        call("connect", addr_type, _hex(addr), scan_duration_ms, min_conn_interval_us, max_conn_interval_us)

    def gap_disconnect(self, conn_handle):
        return call("disconnect", conn_handle)

    def gap_pair(self, conn_handle):
        call("pair", conn_handle)

    def gap_passkey(self, conn_handle, action, passkey):
        call("passkey", conn_handle, action, passkey)

    def gatts_register_services(self, services):
        table = [(_uuid(s[0], "service"), _attributes(s[1], "characteristic")) for s in services]
        return tuple(tuple(handles) for handles in call("register", table))

    def gatts_read(self, value_handle):
        return unhexlify(call("read", value_handle))

    def gatts_write(self, value_handle, data, send_update=False):
        return call("write", value_handle, _hex(data), bool(send_update))

    def gatts_notify(self, conn_handle, value_handle, data=None):
        call("notify", conn_handle, value_handle, _hex(data))

    def gatts_indicate(self, conn_handle, value_handle, data=None):
        call("indicate", conn_handle, value_handle, _hex(data))

    def gatts_set_buffer(self, value_handle, length, append=False):
        call("set_buffer", value_handle, length, bool(append))

    def gattc_discover_services(self, conn_handle, uuid=None):
        call("discover_services", conn_handle, _hex(uuid))

    def gattc_discover_characteristics(self, conn_handle, start_handle, end_handle, uuid=None):
        call("discover_characteristics", conn_handle, start_handle, end_handle, _hex(uuid))

    def gattc_discover_descriptors(self, conn_handle, start_handle, end_handle):
        call("discover_descriptors", conn_handle, start_handle, end_handle)

    def gattc_read(self, conn_handle, value_handle):
        call("gattc_read", conn_handle, value_handle)

    def gattc_write(self, conn_handle, value_handle, data, mode=0):
        call("gattc_write", conn_handle, value_handle, _hex(data), mode)

    def gattc_exchange_mtu(self, conn_handle):
        call("exchange_mtu", conn_handle)
