# A server: read, write, notify, indicate, descriptors; what its IRQ sees, in order.

import bluetooth
from common import answers, events, name_field, start, wait

SERVICE = bluetooth.UUID("6E400001-B5A3-F393-E0A9-E50E24DCCA9E")
PLAIN = (bluetooth.UUID(0x2A6E), 0x0002 | 0x0008 | 0x0004)
TOLD = (
    bluetooth.UUID("6E400003-B5A3-F393-E0A9-E50E24DCCA9E"),
    0x0002 | 0x0010 | 0x0020,
    ((bluetooth.UUID(0x2901), 0x0002), (bluetooth.UUID(0x2904), 0x0002 | 0x0008)),
)
LONG = (bluetooth.UUID(b"\x78\x56\x34\x12"), 0x0002 | 0x0008)

ble = start()
((plain, told, described, formatted, long), (battery,)) = ble.gatts_register_services(
    ((SERVICE, (PLAIN, TOLD, LONG)), (bluetooth.UUID(0x180F), ((bluetooth.UUID(0x2A19), 0x0002),)))
)
# NimBLE: declaration, value, then its CCCD before its other descriptors
assert told == plain + 2, (plain, told)
assert described == told + 2 and formatted == described + 1
assert long == formatted + 2
assert battery == long + 3
ble.gatts_write(plain, b"plain")
ble.gatts_write(described, b"what it is")
ble.gatts_set_buffer(long, 100)
ble.gatts_write(battery, b"\x64")
answers[battery] = 0x81  # an error of our own
ble.gap_advertise(20000, b"\x02\x01\x06" + name_field(b"gatt"))

order = []
conn = wait("CENTRAL_CONNECT")
handle = conn[1]
assert ble.gatts_read(plain) == b"plain"

# 1: a write with response, one without, one too long for its 20 bytes
for expected in (b"with", b"without", b"0123456789abcdefghij"):
    assert wait("GATTS_WRITE")[1:] == (handle, plain)
    assert ble.gatts_read(plain) == expected, ble.gatts_read(plain)
    ble.gatts_notify(handle, told, b"ok")

# 2: our own value, told to who has subscribed: notification first, then indication
ble.gatts_write(told, b"quiet", True)
wait("GATTS_WRITE")
ble.gatts_write(told, b"news", True)
wait("GATTS_WRITE")
ble.gatts_write(told, b"confirmed", True)
assert wait("INDICATE_DONE")[1:] == (handle, told, 0)
ble.gatts_indicate(handle, told, b"explicit")
assert wait("INDICATE_DONE")[1:] == (handle, told, 0)

# 3: after the MTU exchange more fits into one packet
assert wait("MTU_EXCHANGED")[1:] == (handle, 200)
wait("GATTS_WRITE")
assert ble.gatts_read(long) == bytes(range(100)), ble.gatts_read(long)
assert wait("CENTRAL_DISCONNECT")[1:] == conn[1:]
names = [e[0] for e in events]
assert "GATTS_READ_REQUEST" in names and "CENTRAL_CONNECT" not in names, names
print("done")
