# The parts of machine that are loaded when they are asked for.

from machine import Pin

from _link import call, handlers


def _gpio(pin):
    return pin._id if isinstance(pin, Pin) else pin


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
        self._gpio = _gpio(pin)
        call("adc", self._gpio)
        self._full_uv = 1100000
        self.atten(atten)

    def init(self, *, atten=0):
        self.atten(atten)

    def atten(self, atten):
        self._full_uv = (1100000, 1500000, 2200000, 3300000)[atten]

    def width(self, bits):
        pass

    def read_uv(self):
        return min(call("adc", self._gpio), self._full_uv)

    def read_u16(self):
        return self.read_uv() * 65535 // self._full_uv

    def read(self):
        return self.read_uv() * 4095 // self._full_uv


class PWM:
    def __init__(self, pin, freq=5000, duty=None, duty_u16=None, duty_ns=None, invert=0):
        self._gpio = _gpio(pin)
        self._freq = freq
        self._duty = 32768
        self.init(freq, duty, duty_u16, duty_ns)

    def init(self, freq=None, duty=None, duty_u16=None, duty_ns=None, invert=0):
        if freq is not None:
            self._freq = freq
        if duty is not None:
            duty_u16 = duty * 64
        elif duty_ns is not None:
            duty_u16 = duty_ns * self._freq * 65535 // 1000000000
        if duty_u16 is not None:
            self._duty = min(65535, duty_u16)
        call("pwm", self._gpio, self._freq, self._duty)

    def freq(self, freq=None):
        if freq is None:
            return self._freq
        self.init(freq)

    def duty(self, duty=None):
        if duty is None:
            return self._duty // 64
        self.init(duty=duty)

    def duty_u16(self, duty=None):
        if duty is None:
            return self._duty
        self.init(duty_u16=duty)

    def duty_ns(self, duty=None):
        if duty is None:
            return self._duty * 1000000000 // (65535 * self._freq)
        self.init(duty_ns=duty)

    def deinit(self):
        call("pwm", self._gpio, 0, 0)


_timers = {}


class Timer:
    ONE_SHOT = 0
    PERIODIC = 1

    def __init__(self, id=-1, **kwargs):
        if not -1 <= id <= 3:
            raise ValueError("invalid Timer number")
        if id < 0:  # a virtual one: any number beyond the four in the chip
            id = 4
            while id in _timers:
                id += 1
        self._id = id
        if kwargs:
            self.init(**kwargs)

    def init(self, *, mode=1, period=-1, freq=None, callback=None, hard=False):
        if freq is not None:
            period = int(1000 / freq)
        self._callback = callback
        self._mode = mode
        _timers[self._id] = self
        call("timer", self._id, max(1, period), mode == Timer.PERIODIC)

    def deinit(self):
        if _timers.pop(self._id, None):
            call("timer", self._id, 0, False)


def _tick(event):
    timer = _timers.get(event[1])
    if timer:
        if timer._mode == Timer.ONE_SHOT:
            del _timers[timer._id]
        if timer._callback:
            timer._callback(timer)


handlers["t"] = _tick


class WDT:
    def __init__(self, id=0, timeout=5000):
        if id != 0:
            raise ValueError("invalid WDT id")
        if timeout <= 0:
            raise ValueError("WDT timeout too short")
        call("wdt", timeout)

    def feed(self):
        call("wdt", None)
