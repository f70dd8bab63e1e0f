# The LTE carrier by itself, as the button's app drives it: comes up, says things, tells what came of it.

import sys
import time

from plan import PLAN, ROOT  # beside this file; who runs it writes it

sys.path.append(ROOT)

from binascii import hexlify, unhexlify

from firmware.board.lte import Lte
from wire import direct
from wire.keys import InvalidMessage, Mac, derive


class Settings:
    modem = PLAN["modem"]
    apn = "iot.example"
    pin = PLAN["pin"]
    addresses = PLAN["addresses"]
    uart = {"tx": 17, "rx": 16, "pwrkey": 4}


mac = Mac(derive(unhexlify(PLAN["root"]), "direct", 0))
carrier = Lte(Settings(), lambda spent: print("spent", spent != 0))
seq = 0


def step():
    for _ in range(5):
        came = carrier.step(time.ticks_ms())
        time.sleep_ms(2)
    return came


def say(for_ms):
    # Send, each 3 s again, and listen: whether the answer came, and how.
    global seq
    seq += 1
    asked = direct.seal_request(
        mac,
        direct.Request(
            direct.PRESS, direct.LTE, 1, 0, 7, 1, seq, 0, 200, 0, 0, carrier.signal, 0, carrier.facts
        ),
    )
    begun_ms = time.ticks_ms()
    sent_ms = begun_ms - 3000
    while time.ticks_diff(time.ticks_ms(), begun_ms) < for_ms:
        if time.ticks_diff(time.ticks_ms(), sent_ms) >= 3000:
            sent_ms = time.ticks_ms()
            carrier.send(asked, sent_ms)
        if step() == -1:
            return "failed"
        answer = carrier.receive()
        if answer:
            try:
                return direct.unseal_answer(mac, asked, answer).n
            except InvalidMessage as refused:
                print("unproven", refused.reason)
    return None


for session in PLAN["sessions"]:
    carrier.open(time.ticks_ms(), False)
    while not (came := step()):
        pass
    print("up" if came == 1 else "failed", carrier.error, carrier.signal, hexlify(carrier.facts).decode())
    if came == 1:
        for _ in range(session.get("says", 1)):
            print("answer", say(PLAN["for_ms"]))
    if came == 1 and session.get("locates"):
        carrier.locate(time.ticks_ms())
        while step() != 0:
            pass
        while step() == 0:
            pass
        print("located", hexlify(carrier.facts).decode())
        print("answer", say(PLAN["for_ms"]))
    carrier.close()
    time.sleep_ms(session.get("rests_ms", 0))
print("done")
