# Adverts: connectable with a scan response, reuse of what was set before, non-connectable, and silence.
import time

from common import errno_of, events, name_field, start, wait

FLAGS = b"\x02\x01\x06"

ble = start()
ble.gap_advertise(30000, FLAGS + name_field(b"first"), resp_data=name_field(b"answer"))
time.sleep_ms(1500)  # a board on a busy machine begins to listen late
ble.gap_advertise(None)
ble.gap_advertise(None)  # twice is once
time.sleep_ms(50)
ble.gap_advertise(30000, FLAGS + name_field(b"beacon"), connectable=False)
time.sleep_ms(500)
ble.gap_advertise(30000, connectable=False)  # the same data as before
time.sleep_ms(100)
assert errno_of(ble.gap_advertise, 30000, bytes(32)) == -18  # too long; and the old advert is down
assert errno_of(ble.gap_advertise, 19999) == -530  # the controller refuses it
ble.gap_advertise(20000, adv_data="\x02\x01\x06" + "\x04\x09end")  # str is a buffer, too
conn = wait("CENTRAL_CONNECT")
# A link stops the adverts; another is made and dropped.
time.sleep_ms(150)
ble.gap_advertise(20000)
wait("CENTRAL_DISCONNECT")
assert not events, events
print("done")
