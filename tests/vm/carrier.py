# The Wi-Fi carrier by itself, as the button's app drives it: brings it up, says things, tells what came.

import sys
import time

from plan import PLAN, ROOT  # beside this file; who runs it writes it

sys.path.append(ROOT)

from binascii import hexlify, unhexlify

from firmware.board.wifi import FAILED, UP, Wifi
from wire import direct
from wire.keys import InvalidMessage, Mac, derive


class Settings:
    addresses = PLAN["addresses"]
    host = PLAN["host"]
    https_port = 443
    networks = {unhexlify(name): pmk for name, pmk in PLAN["networks"].items()}

    def ca(self):
        return unhexlify(PLAN["ca"])


mac = Mac(derive(unhexlify(PLAN["root"]), "direct", 0))
carrier = Wifi(Settings(), mac)
carrier.clock_known = PLAN["clock_known"]
seq = 0


def step():
    return carrier.step(time.ticks_ms())


def say(by, for_ms):
    # Send once a second, and listen: the answer, or None.
    global seq
    begun_ms = time.ticks_ms()
    sent_ms = begun_ms - 4000
    while time.ticks_diff(time.ticks_ms(), begun_ms) < for_ms:
        now_ms = time.ticks_ms()
        if time.ticks_diff(now_ms, sent_ms) >= (1000 if by == "udp" else 4000):
            sent_ms = now_ms
            seq += 1
            kind = direct.WIFI_UDP if by == "udp" else direct.WIFI_HTTPS
            asked = direct.seal_request(
                mac, direct.Request(direct.PRESS, kind, 1, 0, 7, 1, seq, 0, 200, 0, 0, -50, 0, carrier.facts)
            )
            (carrier.send if by == "udp" else carrier.post)(asked, now_ms)
        if step() == FAILED:
            return "failed"
        answer = carrier.receive()
        if answer:
            try:
                return direct.unseal_answer(mac, asked, answer)
            except InvalidMessage as refused:
                print("unproven", refused.reason)
        time.sleep_ms(5)
    return None


for session in PLAN["sessions"]:
    carrier.open(time.ticks_ms(), session.get("slow", False))
    try:
        while (came := step()) not in (UP, FAILED):
            time.sleep_ms(5)
    except Exception as error:
        print("raised", error)
        carrier.close()
        continue
    print("up" if came == UP else "failed", carrier.error, hexlify(carrier.facts).decode())
    for by in session.get("says", []) if came == UP else []:
        answer = say(by, session.get("for_ms", 4000))
        if isinstance(answer, direct.Answer):
            print("answer", by, answer.time_ms)
            carrier.proven()
            carrier.clock_known = True
        else:
            print("none", by, answer, carrier.error)
    carrier.close()
print("done")
