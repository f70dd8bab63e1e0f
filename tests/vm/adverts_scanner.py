# Scanning: what arrives, of which kind, passive and active; connecting stops the scan.
import time

from common import errno_of, events, name_field, start, wait

ble = start()
ble.gap_scan(0, 30000, 30000, True)
assert errno_of(ble.gap_scan, 0) == 114
first = wait("SCAN_RESULT", lambda e: name_field(b"first") in e[5])
answer = wait("SCAN_RESULT", lambda e: name_field(b"answer") in e[5])
beacon = wait("SCAN_RESULT", lambda e: name_field(b"beacon") in e[5])
ble.gap_scan(None)
wait("SCAN_DONE")
# (addr_type, addr, adv_type, rssi, adv_data)
assert first[1] == answer[1] == beacon[1] == 0
assert first[2] == answer[2] == beacon[2] and len(first[2]) == 6
assert (first[3], answer[3], beacon[3]) == (0, 4, 2), (first, answer, beacon)  # IND, SCAN_RSP, SCAN_IND
assert -100 < first[4] < 0

# passive, for a time: no scan response, and the end tells itself
events.clear()
begin = time.ticks_ms()
ble.gap_scan(120, 30000, 30000)
wait("SCAN_DONE")
assert 110 <= time.ticks_diff(time.ticks_ms(), begin) < 400
assert not [e for e in events if e[0] == "SCAN_RESULT" and e[3] == 4]
ble.gap_scan(None)  # nothing to stop, nothing to tell
assert not [e for e in events if e[0] == "SCAN_DONE"]

# connecting ends a scan
events.clear()
ble.gap_scan(0, 30000, 30000)
found = wait("SCAN_RESULT", lambda e: name_field(b"end") in e[5])
ble.gap_connect(found[1], found[2])
wait("SCAN_DONE")
conn = wait("PERIPHERAL_CONNECT")
assert errno_of(ble.gap_connect, found[1], found[2]) == 5  # is connected
# now it is silent, until it advertises again
events.clear()
ble.gap_scan(80, 30000, 30000)
wait("SCAN_DONE")
assert not events, events
ble.gap_scan(0, 30000, 30000)
wait("SCAN_RESULT", lambda e: name_field(b"end") in e[5])
ble.gap_disconnect(conn[1])
wait("PERIPHERAL_DISCONNECT")
ble.gap_scan(None)

# an address where nobody is; then an attempt taken back
events.clear()
begin = time.ticks_ms()
ble.gap_connect(0, b"\x01\x02\x03\x04\x05\x06", 100)
assert wait("PERIPHERAL_DISCONNECT")[1:] == (65535, 255, bytes(6))
assert 90 <= time.ticks_diff(time.ticks_ms(), begin) < 500
ble.gap_connect(0, b"\x01\x02\x03\x04\x05\x06", 5000)
assert errno_of(ble.gap_scan) == 16  # while connecting
assert errno_of(ble.gap_connect, 0, bytes(6)) == 114
ble.gap_connect(None)
wait("PERIPHERAL_DISCONNECT", limit_ms=500)
assert errno_of(ble.gap_connect, None) == 114
print("done")
