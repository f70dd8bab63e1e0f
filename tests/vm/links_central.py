# One of four: reads the name, and leaves when it says that all four have been seen at once.
import time

import bluetooth
from common import connect, start, wait

ble = start()
conn = connect(ble, b"links")
ble.gattc_discover_services(conn, bluetooth.UUID(0x1800))
service = wait("SERVICE_RESULT")
wait("SERVICE_DONE")
ble.gattc_discover_characteristics(conn, service[2], service[3], bluetooth.UUID(0x2A00))
value = wait("CHARACTERISTIC_RESULT")
wait("CHARACTERISTIC_DONE")
name = None
while name != b"go":
    time.sleep_ms(20)
    ble.gattc_read(conn, value[3])
    name = wait("READ_RESULT")[3]
    wait("READ_DONE")
    assert name in (b"four links", b"go"), name
ble.gap_disconnect(conn)
wait("PERIPHERAL_DISCONNECT")
print("done")
