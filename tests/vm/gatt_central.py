# A client: discovers everything, then uses it.
import bluetooth
from common import connect, errno_of, events, start, wait

ble = start()
ble.config(mtu=200)
conn = connect(ble, b"gatt")


def drain(result, done):
    status = wait(done)
    assert status[1:] == (conn, 0), status
    found = [e for e in events if e[0] == result]
    for e in found:
        events.remove(e)
    return found


def read(value_handle):
    ble.gattc_read(conn, value_handle)
    done = wait("READ_DONE")
    assert done[1:3] == (conn, value_handle), done
    if done[3]:
        return done[3]
    return wait("READ_RESULT")[3]


# services, all and by UUID
ble.gattc_discover_services(conn)
services = drain("SERVICE_RESULT", "SERVICE_DONE")
uart = bluetooth.UUID("6e400001-b5a3-f393-e0a9-e50e24dcca9e")
assert [s[4] for s in services] == [
    bluetooth.UUID(0x1800),
    bluetooth.UUID(0x1801),
    uart,
    bluetooth.UUID(0x180F),
], services
ble.gattc_discover_services(conn, uart)
((_, _, start_handle, end_handle, uuid),) = drain("SERVICE_RESULT", "SERVICE_DONE")
assert uuid == uart and services[2][2:4] == (start_handle, end_handle)

# characteristics: (conn, end_handle, value_handle, properties, uuid)
ble.gattc_discover_characteristics(conn, start_handle, end_handle)
found = drain("CHARACTERISTIC_RESULT", "CHARACTERISTIC_DONE")
assert [c[4] for c in found] == [0x0E, 0x32, 0x0A], found
assert [c[5] for c in found][:2] == [
    bluetooth.UUID(0x2A6E),
    bluetooth.UUID("6E400003-B5A3-F393-E0A9-E50E24DCCA9E"),
]
assert found[2][5] == bluetooth.UUID("12345678-0000-1000-8000-00805F9B34FB"), found[2]
assert [c[2] for c in found] == [found[1][3] - 2, found[2][3] - 2, end_handle]
plain, told, long = [c[3] for c in found]
ble.gattc_discover_characteristics(conn, start_handle, end_handle, bluetooth.UUID(0x2A6E))
assert len(drain("CHARACTERISTIC_RESULT", "CHARACTERISTIC_DONE")) == 1

# descriptors of one characteristic
ble.gattc_discover_descriptors(conn, told, found[1][2])
descriptors = {d[3]: d[2] for d in drain("DESCRIPTOR_RESULT", "DESCRIPTOR_DONE")}
assert list(sorted(descriptors)) == [bluetooth.UUID(0x2901), bluetooth.UUID(0x2902), bluetooth.UUID(0x2904)]
cccd = descriptors[bluetooth.UUID(0x2902)]
assert cccd == told + 1

# reads
assert read(plain) == b"plain"
assert read(descriptors[bluetooth.UUID(0x2901)]) == b"what it is"
assert read(services[3][2] + 2) == 0x100 + 0x81  # the server's own error
assert read(0x7777) == 0x100 + 0x01

# 1
ble.gattc_write(conn, plain, b"with", 1)
assert wait("WRITE_DONE")[1:] == (conn, plain, 0)
assert wait("NOTIFY")[1:] == (conn, told, b"ok")
ble.gattc_write(conn, plain, b"without")
assert wait("NOTIFY")[1:] == (conn, told, b"ok")
ble.gattc_write(conn, plain, b"0123456789abcdefghijTOO LONG", 1)
assert wait("WRITE_DONE")[3] == 0
wait("NOTIFY")
ble.gattc_write(conn, told, b"x", 1)
assert wait("WRITE_DONE")[3] == 0x100 + 0x03  # write not permitted

# 2
ble.gattc_write(conn, cccd, b"\x01\x00", 1)
assert wait("WRITE_DONE")[3] == 0
assert read(cccd) == b"\x01\x00"
ble.gattc_write(conn, plain, b"go", 1)
assert wait("NOTIFY")[3] == b"news"
ble.gattc_write(conn, cccd, b"\x02\x00", 1)
wait("WRITE_DONE")
ble.gattc_write(conn, plain, b"go", 1)
assert wait("INDICATE")[3] == b"confirmed"
assert wait("INDICATE")[3] == b"explicit"

# 3
ble.gattc_exchange_mtu(conn)
assert wait("MTU_EXCHANGED")[1:] == (conn, 200)
assert errno_of(ble.gattc_exchange_mtu, conn) == 114
ble.gattc_write(conn, long, bytes(range(120)), 1)
wait("WRITE_DONE", lambda e: e[2] == long)
assert read(long) == bytes(range(100))

assert ble.gap_disconnect(conn) is True
wait("PERIPHERAL_DISCONNECT")
assert ble.gap_disconnect(conn) is False
assert errno_of(ble.gattc_read, conn, plain) == 107
print("done")
