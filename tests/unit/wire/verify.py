"""Holds `wire/` against vectors.json; runs in MicroPython and in CPython, and prints what failed.

micropython tests/unit/wire/verify.py wire/vectors.json
"""

import json
import sys

try:  # noqa: SIM105
    from typing import Any
except ImportError:
    pass  # MicroPython, which does not look at annotations

from binascii import hexlify, unhexlify

from wire import codes, direct, direct_centre, receipts, state
from wire.keys import InvalidMessage, Mac, derive


def mac(vector: dict[str, Any], label: str) -> Mac:
    return Mac(derive(unhexlify(vector["root"]), label, vector["epoch"]))


# fmt: off
REQUEST_FIELDS = (
    "kind", "carrier", "event", "flags", "counter", "n", "seq", "age_10s",
    "battery_20mv", "stage", "wait_s", "signal", "errors",
)
# fmt: on
ANSWER_FIELDS = ("time_ms", "next_s", "flags", "n")


def written(value: bytes) -> str:
    return hexlify(value).decode()


def packed(vector: dict[str, Any]) -> bytes:
    """The facts that the button packs of what the vector says it has seen."""
    points = [(unhexlify(bssid), rssi) for bssid, rssi in vector["access_points"]]
    value = direct.access_points(points, 9 if vector["cell"] else 10) if points else b""
    value += direct.cell(*vector["cell"]) if vector["cell"] else b""
    return value + (direct.gnss(*vector["gnss"]) if vector["gnss"] else b"")


def read(value: bytes) -> dict[str, Any]:
    """What the centre reads of such facts."""
    facts = direct_centre.read_facts(value)
    return {
        "access_points": [[written(bssid), rssi] for bssid, rssi in facts.access_points],
        "cell": list(facts.cell) if facts.cell else None,
        "gnss": list(facts.gnss) if facts.gnss else None,
    }


def golden_direct(vector: dict[str, Any]) -> dict[str, Any]:
    """What `wire/direct.py` and `wire/direct_centre.py` make of a vector of the direct path."""
    if vector["kind"] == "facts":
        return read(unhexlify(vector["value"])) | {"value": written(packed(vector))}
    if vector["kind"] == "odd facts":
        return read(unhexlify(vector["value"]))
    under = mac(vector, "direct")
    if vector["kind"] == "session":
        return {
            "name": written(direct.name(under, vector["n"])),
            "checkin_s": direct.checkin_s(under, vector["n"]),
        }
    if vector["kind"] == "network":
        ssid = unhexlify(vector["ssid"])
        station = direct.station_mac(under, ssid)
        return {"id": written(direct.network_id(under, ssid)), "station_mac": written(station)}
    if vector["kind"] == "answer":
        asked = unhexlify(vector["request"])
        answer = direct.Answer(unhexlify(vector["receipt"]), *[vector[name] for name in ANSWER_FIELDS])
        found = direct.unseal_answer(under, asked, unhexlify(vector["value"]))
        fields = {name: getattr(found, name) for name in ANSWER_FIELDS}
        value = direct_centre.seal_answer(under, asked, answer)
        return fields | {"receipt": written(found.receipt), "value": written(value)}
    request = vector["request"]
    facts = unhexlify(request["facts"])
    asking = direct.Request(*[request[name] for name in REQUEST_FIELDS])
    asking.facts = facts
    read_back = direct_centre.unseal_request(under, unhexlify(vector["value"]), request["n"])
    fields = {name: getattr(read_back, name) for name in REQUEST_FIELDS}
    fields["facts"] = written(read_back.facts[: len(facts)])
    return {"request": fields, "value": written(direct.seal_request(under, asking))}


def golden(vector: dict[str, Any]) -> dict[str, Any]:
    """What `wire` makes of it, as the vector writes it."""
    if vector["kind"] in ("facts", "odd facts", "session", "network", "answer", "request"):
        return golden_direct(vector)
    if vector["kind"] == "code":
        code = codes.code(mac(vector, "code"), vector["event"], vector["counter"])
        codes.check(code, mac(vector, "code"), vector["event"], vector["counter"])
        return {"code": hexlify(code).decode()}
    if vector["kind"] == "receipt":
        stage, subject = vector["stage"], (vector["event"], vector["counter"])
        value = receipts.value(mac(vector, "receipt" if stage else "heard"), stage, subject[0], subject[1])
        believed = receipts.check(value, mac(vector, "heard"), mac(vector, "receipt"), subject, subject)
        return {"value": hexlify(value).decode(), "stage": believed}
    names = ("battery_20mv", "flags", "age_10s", "press_counter")
    said = state.State(*[vector[name] for name in names])
    code = unhexlify(vector["code"])
    value = state.seal(mac(vector, "state"), code, vector["nonce"], said)
    read = state.unseal(mac(vector, "state"), code, unhexlify(vector["value"]))
    found = {name: getattr(read, name) for name in names}
    found["value"] = hexlify(value).decode()
    return found


def hostile(vector: dict[str, Any]) -> str | None:
    """The reason for which `wire` refuses it, None where it believes it."""
    try:
        if vector["kind"] == "code":
            codes.check(unhexlify(vector["code"]), mac(vector, "code"), vector["event"], vector["counter"])
        elif vector["kind"] == "receipt":
            receipts.check(
                unhexlify(vector["value"]),
                mac(vector, "heard"),
                mac(vector, "receipt"),
                tuple(vector["on_air"]),
                tuple(vector["press"]),
            )
        elif vector["kind"] == "request":
            direct_centre.unseal_request(mac(vector, "direct"), unhexlify(vector["value"]), vector["n"])
        elif vector["kind"] == "answer":
            asked = unhexlify(vector["request"])
            direct.unseal_answer(mac(vector, "direct"), asked, unhexlify(vector["value"]))
        else:
            state.unseal(mac(vector, "state"), unhexlify(vector["code"]), unhexlify(vector["value"]))
    except InvalidMessage as refused:
        return refused.reason
    return None


def failures(vectors: dict[str, list[dict[str, Any]]]) -> list[str]:
    """One line for each vector that `wire` sees otherwise."""
    found = []
    for number, vector in enumerate(vectors["golden"]):
        for name, value in golden(vector).items():
            if value != vector[name]:
                found.append("golden %d: %s is %s" % (number, name, value))  # noqa: UP031
    for number, vector in enumerate(vectors["hostile"]):
        reason = hostile(vector)
        if reason != vector["reason"]:
            found.append("hostile %d: %s, not %s" % (number, reason, vector["reason"]))  # noqa: UP031
    return found


if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        vectors = json.load(file)
    for line in failures(vectors):
        print(line)
    print(len(vectors["golden"]), "golden", len(vectors["hostile"]), "hostile")
