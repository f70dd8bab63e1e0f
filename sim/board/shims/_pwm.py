from _link import call


class PWM:
    def __init__(self, pin, freq=5000, duty=None, *, duty_u16=None, duty_ns=None, invert=False):
        self._gpio = getattr(pin, "_id", pin)
        self._u16 = 32768
        self.init(freq, duty, duty_u16=duty_u16, duty_ns=duty_ns)

    def init(self, freq=None, duty=None, *, duty_u16=None, duty_ns=None, invert=False):
        self._freq = freq or self._freq
        if duty is not None:
            duty_u16 = duty * 64
        elif duty_ns is not None:
            duty_u16 = duty_ns * self._freq * 65535 // 1000000000
        if duty_u16 is not None:
            self._u16 = min(65535, duty_u16)
        call("pwm", self._gpio, self._freq, self._u16)

    def freq(self, freq=None):
        return self._freq if freq is None else self.init(freq)

    def duty(self, duty=None):
        return self._u16 // 64 if duty is None else self.init(duty=duty)

    def duty_u16(self, duty=None):
        return self._u16 if duty is None else self.init(duty_u16=duty)

    def duty_ns(self, duty=None):
        return self._u16 * 1000000000 // (65535 * self._freq) if duty is None else self.init(duty_ns=duty)

    def deinit(self):
        call("pwm", self._gpio, 0, 0)
