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

from wire import codes, receipts, state
from wire.keys import InvalidMessage, Mac, derive


def mac(vector: dict[str, Any], label: str) -> Mac:
    return Mac(derive(unhexlify(vector["root"]), label, vector["epoch"]))


def golden(vector: dict[str, Any]) -> dict[str, Any]:
    """What `wire` makes of it, as the vector writes it."""
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
