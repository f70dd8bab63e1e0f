# Thirty writes in a row; a write without response gives no event of its own.
import bluetooth
from common import connect, events, start, wait

ble = start()
conn = connect(ble, b"order")
ble.gattc_exchange_mtu(conn)
wait("MTU_EXCHANGED")
ble.gattc_discover_characteristics(conn, 1, 0xFFFF, bluetooth.UUID(0x2A56))
value = wait("CHARACTERISTIC_RESULT")[3]
wait("CHARACTERISTIC_DONE")
for n in range(30):
    ble.gattc_write(conn, value, b"%d" % n)
ble.gattc_read(conn, value)
wait("READ_DONE")
assert wait("READ_RESULT")[3] == b"29"
assert not events, events
ble.gap_disconnect(conn)
wait("PERIPHERAL_DISCONNECT")
print("done")
