# Reads what only an encrypted link may read: refused, paired, by the kept secret, paired without a bond.
from common import connect, events, secrets, start, wait

import bluetooth

ble = start()
ble.config(bond=True)
for bonds, asked in ((1, "paired"), (1, "known"), (0, "paired")):
    if not bonds:
        secrets.clear()
        ble.config(bond=False)
    conn = connect(ble, b"pairing")
    ble.gattc_discover_characteristics(conn, 1, 0xFFFF, bluetooth.UUID(0x2A56))
    value = wait("CHARACTERISTIC_RESULT")[3]
    wait("CHARACTERISTIC_DONE")
    ble.gattc_read(conn, value)
    assert wait("READ_DONE")[3] == (0x105 if asked == "paired" else 0x10F)
    ble.gap_pair(conn)
    assert wait("ENCRYPTION_UPDATE")[2:] == (1, 0, bonds, 16)
    assert wait("GET_SECRET")[1:3] == (2, 0)
    if asked == "paired" and bonds:
        assert [wait("SET_SECRET")[1], wait("SET_SECRET")[1]] == [1, 2]
    ble.gattc_read(conn, value)
    assert wait("READ_RESULT")[3] == b"secret"
    assert wait("READ_DONE")[3] == 0
    assert not [entry for entry in events if entry[0] != "MTU_EXCHANGED"], events
    ble.gap_disconnect(conn)
    wait("PERIPHERAL_DISCONNECT")
print("done")
