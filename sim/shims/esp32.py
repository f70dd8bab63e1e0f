# esp32: wake sources and non-volatile storage.

from binascii import hexlify, unhexlify

from _link import call

WAKEUP_ALL_LOW = False
WAKEUP_ANY_HIGH = True


def wake_on_ext0(pin=None, level=None):
    call("wake_on", "ext0", [] if pin is None else [pin._id], bool(level))


def wake_on_ext1(pins=None, level=None):
    call("wake_on", "ext1", [pin._id for pin in pins or ()], bool(level))


def wake_on_gpio(pins=None, level=None):
    call("wake_on", "gpio", [pin._id for pin in pins or ()], bool(level))


def wake_on_touch(wake):
    if wake:
        raise ValueError("no touch pads on this board")


def wake_on_ulp(wake):
    if wake:
        raise ValueError("no ULP on this board")


def gpio_deep_sleep_hold(enable):
    pass


def raw_temperature():
    return 77  # Fahrenheit, as the chip reports it


def mcu_temperature():
    return 25


class NVS:
    def __init__(self, namespace):
        self._namespace = namespace

    def _ask(self, what, key=None, value=None):
        return call("nvs", self._namespace, what, key, value)

    def set_i32(self, key, value):
        self._ask("set", key, int(value))

    def get_i32(self, key):
        return self._ask("get_i32", key)

    def set_blob(self, key, value):
        self._ask("set", key, hexlify(value).decode())

    def get_blob(self, key, buffer):
        value = unhexlify(self._ask("get_blob", key))
        if len(value) > len(buffer):
            raise OSError(-0x110C)  # ESP_ERR_NVS_INVALID_LENGTH
        buffer[: len(value)] = value
        return len(value)

    def erase_key(self, key):
        self._ask("erase", key)

    def commit(self):
        self._ask("commit")
