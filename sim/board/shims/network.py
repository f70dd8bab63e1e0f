# network: the Wi-Fi station of an ESP32.

import os
import time

from _link import call

if os.getenv("AMR_PORT") == "zephyr":
    raise ImportError("no module named 'network'")

STA_IF = 0
AP_IF = 1
STAT_IDLE = 1000
STAT_CONNECTING = 1001
STAT_GOT_IP = 1010
STAT_BEACON_TIMEOUT = 200
STAT_NO_AP_FOUND = 201
STAT_WRONG_PASSWORD = 202
STAT_ASSOC_FAIL = 203
STAT_HANDSHAKE_TIMEOUT = 204
AUTH_OPEN = 0
AUTH_WPA2_PSK = 3


class WLAN:
    IF_STA = STA_IF
    IF_AP = AP_IF
    PM_NONE = 0
    PM_PERFORMANCE = 1
    PM_POWERSAVE = 2

    def __init__(self, interface=STA_IF):
        call("wlan_init", interface)

    def active(self, *on):
        if not on:
            return call("wlan_active")
        time.sleep_ms(call("wlan_active", bool(on[0])))  # which blocks us, and no interrupt
        return bool(on[0])

    def scan(self):
        time.sleep_ms(call("wlan_scan_begin"))
        return list(call("wlan_scan_end"))

    def connect(self, ssid, key=None, *, bssid=None):
        call("wlan_connect", ssid, key, bssid)

    def disconnect(self):
        call("wlan_disconnect")

    def status(self, *what):
        return call("wlan_status", *what)

    def isconnected(self):
        return call("wlan_isconnected")

    def ifconfig(self, *addresses):
        return call("wlan_ifconfig", *addresses)

    def config(self, *what, **values):
        if what and values:
            raise TypeError("either pos or kw args are allowed")
        return call("wlan_config", *what, **values)


def hostname(*name):
    return call("wlan_host", *name)


def country(*code):
    return "XX"
