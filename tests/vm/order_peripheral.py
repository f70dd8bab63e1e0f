# The order of IRQ events on a server, and that their data does not outlive the handler.
import time

import bluetooth
from common import LIMIT_MS, name_field

ble = bluetooth.BLE()
ble.active(True)
log = []
kept = []
state = {"nested": 0, "deepest": 0}


def irq(event, data):
    state["nested"] += 1
    state["deepest"] = max(state["deepest"], state["nested"])
    if event == 1:
        kept.append(data[2])
        log.append((event, data[1], bytes(data[2])))
    elif event == 3:
        log.append((event, ble.gatts_read(data[1])))  # a call inside a handler
    else:
        log.append((event,))
    state["nested"] -= 1


ble.irq(irq)
((value,),) = ble.gatts_register_services(((bluetooth.UUID(0x1815), ((bluetooth.UUID(0x2A56), 0x0E),)),))
ble.gatts_set_buffer(value, 40)
ble.gap_advertise(20000, b"\x02\x01\x06" + name_field(b"order"))
end = time.ticks_add(time.ticks_ms(), LIMIT_MS)
while (2,) not in log and time.ticks_diff(end, time.ticks_ms()) > 0:
    ble.config("mac")  # calls all the time: events come between them, never inside
writes = [entry[1] for entry in log if entry[0] == 3]
assert writes == [b"%d" % n for n in range(30)], writes
numbers = [entry[0] for entry in log]
assert numbers[0] == 1 and numbers[1] == 21 and numbers[-1] == 2, numbers
assert numbers[2:-1] == [3] * 30 + [4], numbers
assert state["deepest"] == 1
assert bytes(kept[0]) != log[0][2]  # whoever keeps the view keeps garbage
print("done")
