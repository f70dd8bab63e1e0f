# The least that any button can do (MicroPython): advertise, be written to, say so. No table of
# stages, no counter, no HMAC; what the real firmware takes longer than this is its own.

import os
import time

import bluetooth

ble = bluetooth.BLE()
written = []


def irq(event, data):
    if event == 3:
        written.append(bytes(ble.gatts_read(data[1])))


ble.irq(irq)
while True:
    ble.active(False)
    ble.active(True)
    ble.config(addr_mode=1)
    code = os.urandom(16)
    service = bluetooth.UUID(code)
    ((handle,),) = ble.gatts_register_services(((service, ((service, bluetooth.FLAG_WRITE),)),))
    ble.gap_advertise(20000, adv_data=b"\x02\x01\x06\x11\x07" + code)
    while not written:
        time.sleep_ms(2)
    print("written")
    written.clear()
    time.sleep_ms(150)
