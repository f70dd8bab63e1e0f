# What needs no peer: UUIDs, activity, configuration, addresses, and what is refused.
import bluetooth
from bluetooth import BLE, UUID
from common import errno_of, irq


def raises(kind, function, *args, **kwargs):
    try:
        function(*args, **kwargs)
    except kind:
        return True
    return False


# UUID
battery, long = UUID(0x180F), UUID("6E400001-B5A3-F393-E0A9-E50E24DCCA9E")
assert str(battery) == "UUID(0x180f)" and str(long) == "UUID('6e400001-b5a3-f393-e0a9-e50e24dcca9e')"
assert bytes(battery) == b"\x0f\x18" and bytes(long)[:2] == b"\x9e\xca" and len(bytes(long)) == 16
assert battery == UUID(b"\x0f\x18") == UUID(battery) and long == UUID("6e400001b5a3f393e0a9e50e24dcca9e")
assert battery != long and battery != 0x180F and battery != UUID(0x1810)
assert {battery: 1}[UUID(0x180F)] == 1
assert battery < UUID(0x1810) and battery < long and long > battery and battery <= UUID(0x180F)
assert str(UUID(b"\x78\x56\x34\x12")) == "UUID(0x12345678)"
assert raises(ValueError, UUID, 0x10000) and UUID("12") == UUID(b"12")
assert (
    raises(ValueError, UUID, "123")
    and raises(ValueError, UUID, "z" * 32)
    and raises(ValueError, UUID, "0" * 33)
)

# inactive: ENODEV
ble = BLE()
assert ble is BLE() and ble.active() is False
for function, args in (
    (ble.gap_advertise, (100000,)),
    (ble.gap_scan, (0,)),
    (ble.gap_scan, (None,)),
    (ble.gap_connect, (0, bytes(6))),
    (ble.gap_disconnect, (0,)),
    (ble.gatts_register_services, ((),)),
    (ble.gatts_read, (1,)),
    (ble.gatts_write, (1, b"")),
    (ble.gatts_notify, (0, 1)),
    (ble.gatts_indicate, (0, 1)),
    (ble.gatts_set_buffer, (1, 1)),
    (ble.gattc_discover_services, (0,)),
    (ble.gattc_discover_characteristics, (0, 1, 2)),
    (ble.gattc_discover_descriptors, (0, 1, 2)),
    (ble.gattc_read, (0, 1)),
    (ble.gattc_write, (0, 1, b"")),
    (ble.gattc_exchange_mtu, (0,)),
    (ble.config, ("mac",)),
):
    assert errno_of(function, *args) == 19, function
ble.gap_advertise(None)  # except this
assert ble.config("gap_name") == b"MPY ESP32"

# active
assert ble.active(True) is True and ble.active() is True
ble.irq(irq)
mac = ble.config("mac")
assert mac[0] == 0 and len(mac[1]) == 6
ble.config(addr_mode=1)
static = ble.config("mac")
assert static[0] == 1 and static[1][0] >> 6 == 3 and static[1] != mac[1]
ble.config(addr_mode=1)
assert ble.config("mac")[1] != static[1]  # a new one each time
ble.config(addr_mode=3)
assert ble.config("mac")[0] == 1 and ble.config("mac")[1][0] >> 6 == 0
ble.config(addr_mode=2)
assert errno_of(ble.config, "mac") == 22  # resolvable: the controller's affair
ble.config(addr_mode=0)
assert ble.config("mac") == mac
ble.config(addr_mode=1)
ble.active(True)
assert ble.config("mac") == mac  # every start goes back to the public address

assert ble.config("mtu") == 256
ble.config(mtu=100, gap_name="a name")
assert ble.config("mtu") == 100 and ble.config("gap_name") == b"a name"
assert errno_of(ble.config, mtu=10) == 22 and errno_of(ble.config, mtu=600) == 22
assert errno_of(ble.config, gap_name="x" * 32) == 22
ble.config(rxbuf=512, bond=False, mitm=False, io=3, le_secure=True)
assert raises(ValueError, ble.config, "addr_mode") and raises(ValueError, ble.config, nothing=1)
assert raises(TypeError, ble.config) and raises(TypeError, ble.config, "mtu", mtu=23)
assert raises(ValueError, ble.irq, 3)
assert raises(AttributeError, lambda: ble.no_such_call)
assert raises(TypeError, ble.gap_scan, 1, 2, 3, 4, 5, 6)

# nobody connected
assert ble.gap_disconnect(7) is False
for function, args in (
    (ble.gatts_notify, (7, 1, b"")),
    (ble.gattc_read, (7, 1)),
    (ble.gattc_exchange_mtu, (7,)),
):
    assert errno_of(function, *args) == 107, function
assert raises(ValueError, ble.gap_connect, 0, b"short")

# the table: local values
read_write = bluetooth.FLAG_READ | bluetooth.FLAG_WRITE
((a, b),) = ble.gatts_register_services([(battery, [(UUID(0x2A19), read_write), (long, read_write)])])
assert b == a + 2
assert ble.gatts_read(a) == b"" and ble.gatts_write(a, b"x" * 50) == 50 and len(ble.gatts_read(a)) == 50
ble.gatts_set_buffer(b, 5, True)
ble.gatts_write(b, b"12")
assert ble.gatts_read(b) == b"12" and ble.gatts_read(b) == b""  # an appending buffer is emptied
for function, args in (
    (ble.gatts_read, (999,)),
    (ble.gatts_write, (999, b"")),
    (ble.gatts_set_buffer, (999, 9)),
):
    assert errno_of(function, *args) == 22
assert raises(ValueError, ble.gatts_register_services, ((0x180F, ()),))
assert raises(ValueError, ble.gatts_register_services, ((battery, ((UUID(1), 2, (), 4),)),))

# the table is fixed while anything is going on
ble.gap_advertise(100000)
assert errno_of(ble.gatts_register_services, ()) == 16
ble.gap_advertise(None)
ble.gap_scan(0)
assert errno_of(ble.gatts_register_services, ()) == 16
ble.gap_scan(None)
assert ble.gatts_register_services(()) == ()
assert errno_of(ble.gatts_read, a) == 22  # replaced
ble.irq(None)
assert ble.active(False) is False and errno_of(ble.gap_scan) == 19
print("done")
