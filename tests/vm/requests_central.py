# The answer to each request is told before the notification that was sent after it.
import bluetooth
from common import events, find, start, wait

ble = start()
_, kind, address = find(ble, b"requests")[:3]
ble.gap_connect(0, bytes(6), None)  # nobody; None is the default, as in MicroPython
ble.gap_connect(None)
wait("PERIPHERAL_DISCONNECT")
ble.gap_connect(kind, address, 20000, None, None)
connection = wait("PERIPHERAL_CONNECT")[1]
ble.gattc_discover_characteristics(connection, 1, 0xFFFF, bluetooth.UUID(0x2A56))
value = wait("CHARACTERISTIC_RESULT")[3]
wait("CHARACTERISTIC_DONE")
for n in range(20):
    ble.gattc_write(connection, value, b"%d" % n, 1)
    wait("NOTIFY", lambda event, text=b"%d" % n: event[3] == text)
    # What is told first stands first in the log, so it is there by now.
    done = [event for event in events if event[0] == "WRITE_DONE"]
    assert done == [("WRITE_DONE", connection, value, 0)], (n, events)
    events.clear()
ble.gap_disconnect(connection)
wait("PERIPHERAL_DISCONNECT")
print("done")
