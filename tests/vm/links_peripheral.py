# Four peers at once, and no fifth; the table cannot change meanwhile. They stay until the name says go.
from common import errno_of, events, name_field, start, wait

ble = start()
ble.config(gap_name="four links")
for _ in range(4):
    ble.gap_advertise(20000, b"\x02\x01\x06" + name_field(b"links"))
    wait("CENTRAL_CONNECT")
assert errno_of(ble.gap_advertise, 20000) == 12
ble.gap_advertise(20000, connectable=False)  # a beacon needs no link
ble.gap_advertise(None)
assert errno_of(ble.gatts_register_services, ()) == 16
ble.config(gap_name="go")
for _ in range(4):
    wait("CENTRAL_DISCONNECT")
assert not events, events
assert ble.gatts_register_services(()) == ()
print("done")
