# One HTTPS exchange after the other, each answered differently: what of it is taken for the centre's answer.

import sys
import time

from plan import PLAN, ROOT  # beside this file; who runs it writes it

sys.path.append(ROOT)

import socket

from binascii import unhexlify

from firmware.board.https import Https

ca = unhexlify(PLAN["ca"])


def exchange(port, path, again=False):
    place = socket.getaddrinfo("127.0.0.1", port)[0]
    https = Https(place, PLAN["host"], ca, True)
    came = []
    try:
        for _ in range(1 + again):
            https.post(path, bytes(128))
            begun_ms = time.ticks_ms()
            while time.ticks_diff(time.ticks_ms(), begun_ms) < PLAN["patience_ms"]:
                answer = https.step()
                if answer:
                    came.append("%d bytes" % len(answer))
                    break
                time.sleep_ms(2)
            else:
                came.append("nothing")
    except (ValueError, OSError) as error:
        came.append(type(error).__name__)
    https.close()
    return ", ".join(came)


for port, path, again in PLAN["exchanges"]:
    print(path, exchange(port, path, again))
print("done")
