import bluetooth
from common import connect, start, wait

ble = start()
conn = connect(ble, b"deaf")
ble.gattc_discover_characteristics(conn, 1, 0xFFFF, bluetooth.UUID(0x2A56))
value = wait("CHARACTERISTIC_RESULT")[3]
wait("CHARACTERISTIC_DONE")
ble.gattc_read(conn, value)
assert wait("READ_RESULT")[3] == b"fresh"
print("done")
