# One of four: reads the name and leaves when the others had time to come.
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
ble.gattc_read(conn, value[3])
assert wait("READ_RESULT")[3] == b"four links"
wait("READ_DONE")
time.sleep_ms(900)
ble.gap_disconnect(conn)
wait("PERIPHERAL_DISCONNECT")
print("done")
