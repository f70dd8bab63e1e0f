# Waits for a line on stdin, as a test runner's boards do; its IRQ must be served meanwhile.
import sys

import bluetooth
from common import name_field

ble = bluetooth.BLE()
ble.active(True)
values = []


def irq(event, data):
    if event == 4:
        ble.gatts_write(data[1], b"fresh")


ble.irq(irq)
((value,),) = ble.gatts_register_services(((bluetooth.UUID(0x1815), ((bluetooth.UUID(0x2A56), 0x0A),)),))
ble.gap_advertise(20000, b"\x02\x01\x06" + name_field(b"deaf"))
print("waiting")
print("got", sys.stdin.readline().strip())
