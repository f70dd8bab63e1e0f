# socket: this machine's own, but for where a name or a number leads: that is for the board's world to say.

import time

from usocket import *
import usocket

from _link import call

# An ESP32 has these; the interpreter's build for this machine takes them, too, but does not name them.
IPPROTO_TCP = 6
TCP_NODELAY = 1


def socket(*arguments):  # no class of ours: `ssl` wants the native stream
    call("wlan_socket")
    return usocket.socket(*arguments)


def getaddrinfo(host, port, *arguments):
    wait_ms, host, port = call("wlan_resolved", host, port)
    time.sleep_ms(wait_ms)
    if host is None:
        raise OSError(-202)
    return usocket.getaddrinfo(host, port, *arguments)
