from _link import call


class ADC:
    ATTN_0DB = 0
    ATTN_2_5DB = 1
    ATTN_6DB = 2
    ATTN_11DB = 3
    WIDTH_9BIT = 9
    WIDTH_10BIT = 10
    WIDTH_11BIT = 11
    WIDTH_12BIT = 12

    def __init__(self, pin, *, atten=0):
        self._gpio = getattr(pin, "_id", pin)
        self.atten(atten)
        self.read_uv()

    def atten(self, atten):
        self._full_uv = (1100000, 1500000, 2200000, 3300000)[atten]

    def init(self, *, atten=0):
        self.atten(atten)

    def width(self, bits):
        pass  # since 1.19 the driver gives 12 bits whatever is asked for

    def read_uv(self):
        return min(call("adc", self._gpio), self._full_uv)

    def read_u16(self):
        return self.read_uv() * 65535 // self._full_uv

    def read(self):
        return self.read_uv() * 4095 // self._full_uv
