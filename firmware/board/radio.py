"""The radio: one advert, one table and one address per session, on `bluetooth.BLE`.

The IRQ handler only records; app.py takes the record and acts.
"""

import bluetooth

from wire.codes import RECEIPT_XOR, STATE_XOR, advert, characteristic

CONNECTED = 1  # bluetooth's own event numbers
DISCONNECTED = 2
WRITTEN = 3
ENCRYPTION = 28

_FLAG_READ = 0x0002
_FLAG_WRITE = 0x0008
_FLAG_NOTIFY = 0x0010
# Longer than any valid value, for what is written past the end is cut without a word.
_WRITE_BYTES_MAX = 32
_RECORD_MAX = 32
_RETRY_MS = 100  # where nothing is on the air
_RECONNECTABLE_MS = 1000  # where the code is, but nobody can connect; a link that ends comes first


class Radio:
    """Carry out what app.py decides, on `ble`, a `bluetooth.BLE`."""

    def __init__(self, ble: bluetooth.BLE) -> None:
        self._ble = ble
        self._record: list[tuple[int, int, bytes]] = []
        self._links: list[int] = []
        self._advert = b""
        self._connectable = False
        self._receipt = self._state = -1
        self.is_warm = False
        ble.irq(self._irq)

    def _irq(self, event: int, data: tuple[int, ...]) -> None:
        # Room is kept for connects and disconnects: they cannot be repeated by whoever sent them.
        if event == WRITTEN:
            if data[1] == self._receipt and len(self._record) < _RECORD_MAX // 2:
                self._record.append((event, data[0], bytes(self._ble.gatts_read(data[1]))))
            return
        if event == CONNECTED:
            self._links.append(data[0])
        elif event == DISCONNECTED and data[0] in self._links:
            self._links.remove(data[0])
        if event in (CONNECTED, DISCONNECTED, ENCRYPTION) and len(self._record) < _RECORD_MAX:
            self._record.append((event, data[0], b""))

    def take(self) -> list[tuple[int, int, bytes]]:
        """Return what happened since the last call: `(event, connection, value written)`."""
        record = self._record
        self._record = []
        return record

    def warm(self) -> None:
        """Switch on ahead of a session, with a fresh random static address and no name."""
        if self.is_warm:
            return
        self.off()
        self._ble.active(True)
        try:
            self._ble.config(addr_mode=1)  # after active(True), which goes back to the public one
        except OSError:
            pass  # Zephyr's port knows one address only (boards/nrf52840.py says so)
        self._ble.config(gap_name="")
        self.is_warm = True

    def session(self, code: bytes, connectable: bool) -> None:
        """Begin a session: a fresh address and, where connectable, the one-time table of `code`."""
        self.warm()
        self.is_warm = False
        self._advert = advert(code)
        self._connectable = connectable
        self._receipt = self._state = -1
        if connectable:
            receipt = (_uuid(characteristic(code, RECEIPT_XOR)), _FLAG_WRITE)
            state = (_uuid(characteristic(code, STATE_XOR)), _FLAG_READ | _FLAG_NOTIFY)
            table = ((_uuid(code), (receipt, state)),)
            ((self._receipt, self._state),) = self._ble.gatts_register_services(table)
            self._ble.gatts_set_buffer(self._receipt, _WRITE_BYTES_MAX)

    def advertise(self, interval_us: int) -> int:
        """Go on the air. Return in how many ms to try again, 0 for not at all.

        NimBLE refuses a connectable advert while no link is left for whoever may connect: links that a
        peer does not let go of last up to 32 s. The code goes out all the same, and is heard as soon.
        """
        for connectable, retry_ms in ((self._connectable, 0), (False, _RECONNECTABLE_MS)):
            try:
                self._ble.gap_advertise(interval_us, adv_data=self._advert, connectable=connectable)
            except OSError:
                continue
            return retry_ms
        return _RETRY_MS

    def state(self, value: bytes) -> None:
        """Let *state* read `value` from now on, and notify whoever asked for it."""
        if self._state >= 0:
            self._ble.gatts_write(self._state, value, True)

    def hush(self) -> None:
        """Stop the adverts; links stay."""
        self._ble.gap_advertise(None)

    def drop(self, connection: int) -> None:
        """Let a peer go."""
        try:
            self._ble.gap_disconnect(connection)
        except OSError:
            pass  # it is gone already

    def let_go(self) -> None:
        """Leave the air and let every peer go.

        `off` would wait for each of them, for up to 2 s (NimBLE's ble_hs_stop.c), and block meanwhile.
        """
        self.hush()
        for connection in self._links[:]:
            self.drop(connection)

    def is_linked(self) -> bool:
        """Return whether any peer is linked, or still is after it was let go."""
        return bool(self._links)

    def off(self) -> None:
        """Switch off; whoever is linked is let go."""
        self.is_warm = False
        self._receipt = self._state = -1
        self._ble.active(False)
        self._record = []
        self._links = []


def _uuid(value: bytes) -> bluetooth.UUID:
    return bluetooth.UUID(bytes(reversed(value)))
