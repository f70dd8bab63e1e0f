# What the scripts here share: an event log that the IRQ fills, and waits with a limit.
import time

import bluetooth

LIMIT_MS = 60000  # for a busy machine; what never comes is a failure all the same
NAMES = {
    1: "CENTRAL_CONNECT",
    2: "CENTRAL_DISCONNECT",
    3: "GATTS_WRITE",
    4: "GATTS_READ_REQUEST",
    5: "SCAN_RESULT",
    6: "SCAN_DONE",
    7: "PERIPHERAL_CONNECT",
    8: "PERIPHERAL_DISCONNECT",
    9: "SERVICE_RESULT",
    10: "SERVICE_DONE",
    11: "CHARACTERISTIC_RESULT",
    12: "CHARACTERISTIC_DONE",
    13: "DESCRIPTOR_RESULT",
    14: "DESCRIPTOR_DONE",
    15: "READ_RESULT",
    16: "READ_DONE",
    17: "WRITE_DONE",
    18: "NOTIFY",
    19: "INDICATE",
    20: "INDICATE_DONE",
    21: "MTU_EXCHANGED",
    27: "CONNECTION_UPDATE",
    28: "ENCRYPTION_UPDATE",
    29: "GET_SECRET",
    30: "SET_SECRET",
}

events = []
answers = {}  # value handle -> what the read request is answered with
secrets = {}  # what the stack wants to be kept of peers: (type, key) -> value


def _copy(value):
    if isinstance(value, bluetooth.UUID):
        return bluetooth.UUID(value)
    return bytes(value) if isinstance(value, memoryview) else value


def irq(event, data):
    # A scan result is logged once per address and kind of advert.
    entry = (NAMES[event],) + tuple(_copy(value) for value in data)
    if event == 5 and any(e[:4] == entry[:4] for e in events):
        return None
    events.append(entry)
    if event == 4:
        return answers.get(data[1])
    if event == 29:
        return secrets.get((data[0], bytes(data[2] or b"")))
    if event == 30:
        secrets[data[0], bytes(data[1])] = bytes(data[2])
        return True


def wait(name, match=None, limit_ms=LIMIT_MS):
    # The first such event, taken out of the log.
    end = time.ticks_add(time.ticks_ms(), limit_ms)
    while time.ticks_diff(end, time.ticks_ms()) > 0:
        for i, entry in enumerate(events):
            if entry[0] == name and (match is None or match(entry)):
                return events.pop(i)
        time.sleep_ms(2)
    raise AssertionError("no " + name + " among " + str(events))


def errno_of(function, *args, **kwargs):
    try:
        function(*args, **kwargs)
    except OSError as error:
        return error.errno
    return None


def start():
    ble = bluetooth.BLE()
    ble.active(True)
    ble.irq(irq)
    return ble


def name_field(name):
    return bytes((len(name) + 1, 9)) + name


def find(ble, name, active=False):
    # (addr_type, addr) of whoever advertises with this name.
    field = name_field(name)
    ble.gap_scan(0, 30000, 30000, active)
    found = wait("SCAN_RESULT", lambda e: field in e[5])
    ble.gap_scan(None)
    wait("SCAN_DONE")
    events[:] = [e for e in events if e[0] != "SCAN_RESULT"]  # heard once more before the scan was over
    return found


def connect(ble, name):
    found = find(ble, name)
    ble.gap_connect(found[1], found[2])
    conn = wait("PERIPHERAL_CONNECT")
    assert conn[2:] == found[1:3], (conn, found)
    return conn[1]
