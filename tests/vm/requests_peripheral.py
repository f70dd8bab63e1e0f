# Notifies as soon as it has seen a write, which the stack has answered by then.
import time

import bluetooth
from common import LIMIT_MS, events, name_field, start, wait

ble = start()
((value,),) = ble.gatts_register_services(((bluetooth.UUID(0x1815), ((bluetooth.UUID(0x2A56), 0x1A),)),))
ble.gap_advertise(20000, b"\x02\x01\x06" + name_field(b"requests"))
connection = wait("CENTRAL_CONNECT")[1]
seen = []
end = time.ticks_add(time.ticks_ms(), LIMIT_MS)
while len(seen) < 20 and time.ticks_diff(end, time.ticks_ms()) > 0:
    time.sleep_ms(2)
    if any(event[0] == "GATTS_WRITE" for event in events):
        events[:] = [event for event in events if event[0] != "GATTS_WRITE"]
        seen.append(ble.gatts_read(value))
        ble.gatts_notify(connection, value, seen[-1])
assert seen == [b"%d" % n for n in range(20)], seen
wait("CENTRAL_DISCONNECT")
print("done")
