# Pairing, as NimBLE tells of it: with a bond, then by the kept secret, then without.
from common import events, name_field, secrets, start, wait

import bluetooth

ble = start()
ble.config(bond=True)
SECURE = (bluetooth.UUID(0x2A56), 0x0002 | 0x0200)  # read, and that only on an encrypted link
((value,),) = ble.gatts_register_services(((bluetooth.UUID(0x1815), (SECURE,)),))
ble.gatts_write(value, b"secret")


def linked(*wanted):
    # What came from a link's beginning to its end, but for the exchange of MTUs.
    ble.gap_advertise(20000, b"\x02\x01\x06" + name_field(b"pairing"))
    wait("CENTRAL_DISCONNECT")
    came = [entry for entry in events if entry[0] != "MTU_EXCHANGED"]
    events.clear()
    assert [entry[0] for entry in came] == ["CENTRAL_CONNECT"] + list(wanted), came
    return came


READ = "GATTS_READ_REQUEST"
came = linked("GET_SECRET", "GET_SECRET", "ENCRYPTION_UPDATE", "SET_SECRET", "SET_SECRET", READ)
peer = bytes((came[0][2],)) + bytes(reversed(came[0][3]))
assert came[1][1:] == came[2][1:] == (2, 0, peer), came
assert came[3][2:] == (1, 0, 1, 16), came
assert sorted(secrets) == [(1, peer), (2, peer)], secrets
came = linked("GET_SECRET", "GET_SECRET", "ENCRYPTION_UPDATE", READ)
assert [entry[1:] for entry in came[1:3]] == [(2, 0, peer), (1, 0, peer)], came
assert came[3][2:] == (1, 0, 1, 16), came
secrets.clear()
ble.config(bond=False)
came = linked("GET_SECRET", "GET_SECRET", "ENCRYPTION_UPDATE", READ)
assert came[1][1:] == came[2][1:] == (2, 0, peer), came
assert came[3][2:] == (1, 0, 0, 16), came
assert not secrets
print("done")
