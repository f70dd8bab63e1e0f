# machine and esp32 on one board without a world: pins, timers, PWM, ADC, RTC, NVS, light sleep.
import time

import esp32
import machine
from machine import ADC, PWM, Pin, Signal, Timer


def raises(kind, function, *args, **kwargs):
    try:
        function(*args, **kwargs)
    except kind:
        return True
    return False


led = Pin(5, Pin.OUT, value=1)
assert led.value() == 1 and led() == 1 and led is Pin(5)
led.off()
assert led() == 0
led(1)
assert led.value() == 1 and str(led) == "Pin(5)"
assert Pin(18, Pin.IN, Pin.PULL_UP).value() == 1 and Pin(19, Pin.IN, Pin.PULL_DOWN).value() == 0
assert Signal(led, invert=True).value() == 0
assert raises(ValueError, Pin, 99) and raises(ValueError, Pin, 34, Pin.OUT) and raises(ValueError, Pin, 24)

# an output's own edges reach its IRQ, too
edges = []
led.irq(edges.append, Pin.IRQ_FALLING)
led.off()
led.on()
led.off()
time.sleep_ms(30)
assert edges == [led, led], edges  # the level may have changed again before a handler reads it
led.irq(None)

# timers
ticks = []
one, many = Timer(0), Timer(-1)
one.init(mode=Timer.ONE_SHOT, period=20, callback=lambda t: ticks.append("one"))
many.init(period=15, callback=lambda t: ticks.append("many"))
time.sleep_ms(100)
many.deinit()
assert ticks.count("one") == 1 and 4 <= ticks.count("many") <= 7, ticks
before = len(ticks)
time.sleep_ms(40)
assert len(ticks) == before
assert raises(ValueError, Timer, 4)

pwm = PWM(Pin(21), freq=1000, duty_u16=16384)
assert pwm.freq() == 1000 and pwm.duty_u16() == 16384 and pwm.duty() == 256
pwm.duty(512)
assert pwm.duty_u16() == 32768
pwm.deinit()

adc = ADC(Pin(35), atten=ADC.ATTN_11DB)
assert adc.read_uv() == 0 and adc.read() == 0 and adc.read_u16() == 0
assert raises(ValueError, ADC, Pin(5))

assert machine.reset_cause() == machine.PWRON_RESET and machine.wake_reason() == 0
assert machine.freq() == 160000000 and len(machine.unique_id()) == 6
rtc = machine.RTC()
assert rtc.memory() == b""
rtc.memory(b"kept")
assert rtc.memory() == b"kept"
assert raises(ValueError, rtc.memory, bytes(2049)) and rtc.datetime()[0] >= 2024
machine.enable_irq(machine.disable_irq())

begin = time.ticks_ms()
machine.lightsleep(50)
assert 45 <= time.ticks_diff(time.ticks_ms(), begin) < 300 and machine.wake_reason() == machine.TIMER_WAKE

nvs = esp32.NVS("space")
nvs.set_i32("number", -5)
nvs.set_blob("blob", b"\x00\x01")
buffer = bytearray(4)
assert nvs.get_i32("number") == -5 and nvs.get_blob("blob", buffer) == 2 and buffer == b"\x00\x01\x00\x00"
assert raises(OSError, nvs.get_i32, "none") and raises(OSError, nvs.get_i32, "blob")
assert raises(OSError, nvs.get_blob, "blob", bytearray(1)) and raises(OSError, nvs.set_i32, "x" * 16, 1)
nvs.erase_key("number")
assert raises(OSError, nvs.get_i32, "number")
nvs.commit()
assert raises(ValueError, esp32.wake_on_ext0, Pin(5), True) and isinstance(esp32.raw_temperature(), int)
assert raises(ValueError, machine.WDT, 1)
print("done")
