# As little as a program on the same board can do: join the network, one datagram out, one back. For each
# line of DONE it is timed from outside.

import socket
import time

import network
from plan import KEY, NAME, NUMBER, PORT, TIMES

wlan = network.WLAN(network.STA_IF)
for _ in range(TIMES):
    print("begin")
    wlan.active(True)
    found = max([one for one in wlan.scan() if one[0] == NAME], key=lambda one: one[3])
    wlan.connect(NAME, KEY, bssid=found[1])
    while not wlan.isconnected():
        time.sleep_ms(20)
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.connect(socket.getaddrinfo(NUMBER, PORT)[0][-1])
    udp.send(bytes(128))
    udp.recv(64)
    print("done")
    udp.close()
    wlan.disconnect()
    wlan.active(False)
