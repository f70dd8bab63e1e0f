"""The chip around an interpreter: pins, clocks, sleep, storage and radio, as machine and esp32 show them.

A `Chip` outlives the interpreter that runs on it, as silicon does: `attach` is the start of a program,
`detach` its end, and RTC memory and what drives the pins from outside stay. Requests come from the shims
(sim/board/shims); what a person outside can see goes out through `tell`.
"""

import asyncio
import hashlib
import inspect
import json
import os
import time
from collections.abc import Awaitable, Callable, Container
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from sim.board.att import Uuid
from sim.board.errnos import EPERM, BadType, BadValue, CallError
from sim.board.nimble import BLE_CALLS, IRQ_SCAN_RESULT, Ble
from sim.board.wifi import WLAN_CALLS, Station
from sim.radio.air import Air

PWRON_RESET, HARD_RESET, WDT_RESET, DEEPSLEEP_RESET, SOFT_RESET = range(1, 6)
WAKE_REASONS = {"ext0": 2, "ext1": 3, "timer": 4, "gpio": 7}

PIN_OUT, PIN_OPEN_DRAIN = 3, 7
PULL_UP = 2
PIN_WAKE_HIGH = 5
IRQ_RISING, IRQ_FALLING = 1, 2

# ESP32 datasheet, 2.2: these exist; 34 and above have no driver; RTC pads can wake and ADC pads measure.
GPIOS = frozenset({*range(20), 21, 22, 23, 25, 26, 27, *range(32, 40)})
INPUT_ONLY = range(34, 40)
RTC_GPIOS = frozenset({0, 2, 4, 12, 13, 14, 15, 25, 26, 27, *range(32, 40)})

NRF52840_GPIOS = frozenset(range(48))  # P0.00 to P1.15; nRF52840 Product Specification 1.8, 6.9

RTC_BYTES_MAX = 2048
NVS_NOT_FOUND = -0x1102
NVS_KEY_TOO_LONG = -0x1109
NVS_INVALID_LENGTH = -0x110C
NVS_KEY_CHARS_MAX = 15
AGAIN_S = 0.005
ARM_S, ARM_TRIES = 1, 10
ANSWER_S = 25  # for an IRQ handler; a peer waits 30 s (Core 6.0, Vol 3, Part F, 3.3.3)
UNREAD_BYTES_MAX = 64 * 1024  # events that the interpreter has not read; beyond, they are lost
OUI = bytes.fromhex("240ac4")  # Espressif

Tell = Callable[..., None]


@dataclass(frozen=True)
class Stop:
    """Why a running program is to end: sleep, reset, watchdog or cut."""

    kind: str
    time_ms: int | None = None
    cause: int = HARD_RESET


class NoAnswer(Exception):
    """The call never returns: the program that made it is over."""


class Serial(Protocol):
    """What is wired to one of the chip's UARTs."""

    say: Callable[[bytes], None]

    def opened(self, rate: int) -> None: ...

    def closed(self) -> None: ...

    def hear(self, data: bytes) -> None: ...


class Pin:
    def __init__(self) -> None:
        self.outside: int | None = None  # what the world drives it to
        self.pull = -1
        self.rest()

    def rest(self) -> None:
        """As after reset; the pull stays, since RTC pads hold theirs through deep sleep."""
        self.mode = -1
        self.out = 0
        self.trigger = 0
        self.seen = self.level()

    @property
    def drives(self) -> bool:
        return self.mode == PIN_OUT or (self.mode == PIN_OPEN_DRAIN and self.out == 0)

    @property
    def driven_high(self) -> bool:
        return self.drives and bool(self.out)

    def level(self) -> int:
        if self.drives:
            return self.out
        if self.outside is not None:
            return self.outside
        return 1 if self.pull == PULL_UP else 0


class Chip:
    def __init__(
        self, air: Air, name: str, tell: Tell, stop: Callable[[Stop], None], nvs_path: Path | None = None
    ) -> None:
        self.name = name
        self.mac = OUI + hashlib.blake2b(name.encode(), digest_size=3).digest()
        self.cause, self.wake_reason = PWRON_RESET, 0
        self.interpreter: dict[str, str] = {}
        self.adc_uv: dict[int, int] = {}
        self.gpios: Container[int] = GPIOS
        self.input_only: Container[int] = INPUT_ONLY
        self._air = air
        self._tell = tell
        self._stop = stop
        self._nvs_path = nvs_path
        self._nvs: dict[str, dict[str, int | str]] = {}
        if nvs_path and nvs_path.exists():
            self._nvs = json.loads(nvs_path.read_text())
        self._pins: dict[int, Pin] = {}
        self._rtc = b""
        self._wake_on: dict[str, tuple[list[int], int]] = {}
        self._changed = asyncio.Event()  # a pin did
        self._serial: dict[int, Serial] = {}  # by number of the UART
        self._wires: dict[int, Callable[[bool], None]] = {}  # by GPIO: whoever looks at what we drive
        self._cut_at = 0  # of flash_operations; 0: power does not fail
        self.flash_operations = 0
        self.interrupt: Callable[[], object] = lambda: None  # Ctrl-C, once more
        self.hold: Callable[[], Awaitable[None]] | None = None  # awaited before each answer
        # With a prompt, a program's end is a soft reset: pins stay as they are, and the watchdog runs on.
        self.has_prompt = False
        self._armed: asyncio.Future[None] | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._ble: Ble | None = None
        self.station = Station(self.mac)
        self._wdt: asyncio.TimerHandle | None = None
        self._wdt_ms = 0
        self._reset_volatile()

    def _reset_volatile(self) -> None:
        self._booted = False
        self._timers: dict[int, asyncio.TimerHandle] = {}
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._asked = 0
        self._nvs_pending: list[tuple[str, str, int | str | None]] = []
        self._lost = 0
        self._unsent: list[bytes] = []  # events of this turn of the loop

    # ---- a program's life

    def attach(self, writer: asyncio.StreamWriter, interpreter: dict[str, str]) -> None:
        """A program begins; `writer` takes its events."""
        self.interpreter = interpreter
        self._writer = writer
        self._ble = Ble(self._air, self.name, self.mac, self._on_ble, self._ask)
        self._ble.on_advert = lambda parameters: self._tell("advert", **parameters)
        self._wake_on = {}
        self._tell("start", cause=self.cause, wake_reason=self.wake_reason, interpreter=interpreter)

    def detach(self) -> None:
        """The program is over, whatever it was doing."""
        if self._ble:
            self._ble.power_off()
        self._ble = None
        self.station.rest()
        self._writer = None
        for timer in self._timers.values():
            timer.cancel()
        self._do_armed()  # a program that ends now finds the flash armed when it starts again
        for future in self._answers.values():
            if future and not future.done():
                future.cancel()
        self._reset_volatile()
        for serial in self._serial.values():
            serial.closed()
        for pin in self._pins.values():
            pin.trigger = 0
        if not self.has_prompt:
            self.rest()

    def rest(self) -> None:
        """What a reset of the chip does to it, and a soft reset does not."""
        if self._wdt:
            self._wdt.cancel()
            self._wdt = None
        for gpio, pin in self._pins.items():
            was = pin.driven_high
            pin.rest()
            self._show(gpio, pin, was)

    def power_off(self) -> None:
        """Forget what only power kept."""
        self.detach()
        self.rest()
        self._rtc = b""
        self._cut_at = 0
        for pin in self._pins.values():
            pin.pull = -1
        self.cause, self.wake_reason = PWRON_RESET, 0

    async def sleep(self, time_ms: int | None) -> str:
        """Deep sleep; answers what woke it."""
        loop = asyncio.get_running_loop()
        due_s = None if time_ms is None else loop.time() + time_ms / 1000
        while True:
            for kind, (gpios, level) in self._wake_on.items():
                if gpios and self._wakes(gpios, level, kind):
                    return kind
            self._changed.clear()
            wait_s = None if due_s is None else due_s - loop.time()
            if wait_s is not None and wait_s <= 0:
                return "timer"
            try:
                await asyncio.wait_for(self._changed.wait(), wait_s)
            except TimeoutError:
                return "timer"

    def wakeable(self, time_ms: int | None) -> bool:
        """Whether anything can end this sleep."""
        return time_ms is not None or any(gpios for gpios, _ in self._wake_on.values())

    def _wakes(self, gpios: list[int], level: int, kind: str) -> bool:
        levels = [self.pin(gpio).level() for gpio in gpios]
        if kind == "ext1" and not level:
            return not any(levels)  # WAKEUP_ALL_LOW means all of them
        return any(one == level for one in levels)

    # ---- pins, from outside

    def pin(self, gpio: int) -> Pin:
        if gpio not in self.gpios:
            raise BadValue("invalid pin")
        return self._pins.setdefault(gpio, Pin())

    def set_pin(self, gpio: int, level: int | None) -> None:
        """The world drives a pin, or lets go of it (None)."""
        pin = self.pin(gpio)
        pin.outside = level
        self._edge(gpio, pin)

    def _edge(self, gpio: int, pin: Pin) -> None:
        level = pin.level()
        if level != pin.seen:
            pin.seen = level
            if pin.trigger & (IRQ_RISING if level else IRQ_FALLING):
                self._event("p", gpio)
        self._changed.set()

    def _drive(self, gpio: int, pin: Pin, level: int) -> None:
        was, pin.out = pin.driven_high, level
        self._show(gpio, pin, was)
        self._edge(gpio, pin)

    def _show(self, gpio: int, pin: Pin, was: bool) -> None:
        if pin.driven_high != was:
            self._tell("pin", gpio=gpio, level=int(pin.driven_high))
            if gpio in self._wires:
                self._wires[gpio](pin.driven_high)

    # ---- UARTs, from outside

    def wire(self, serial: Serial, uart: int, gpio: int, looks: Callable[[bool], None]) -> None:
        """Wire `serial` to a UART; `looks` is told what the chip drives `gpio` to."""
        self._serial[uart] = serial
        self._wires[gpio] = looks
        serial.say = lambda data: self._event("u", uart, pack(data))

    # ---- events to the program

    def _event(self, kind: str, *values: Any) -> None:
        if self._writer is None or self._writer.is_closing():
            return
        if self._writer.transport.get_write_buffer_size() > UNREAD_BYTES_MAX:
            self._lost += 1
            if self._lost == 1:
                self._tell("flood")
            return
        if not self._unsent:
            asyncio.get_running_loop().call_soon(self.flush)
        self._unsent.append(frame([kind, *values]))

    def flush(self) -> None:
        """Send what has happened, all of it at once: of what belongs together no program sees half."""
        unsent, self._unsent = self._unsent, []
        if unsent and self._writer is not None and not self._writer.is_closing():
            self._writer.write(b"".join(unsent))

    def _on_ble(self, number: int, values: list[Any]) -> None:
        assert self._writer is not None
        if (
            number == IRQ_SCAN_RESULT
            and self._writer.transport.get_write_buffer_size() > UNREAD_BYTES_MAX // 2
        ):
            return  # as NimBLE's glue: scan results give way first
        self._event("b", number, *map(pack, values))

    async def _ask(self, number: int, values: list[Any]) -> Any:
        self._asked += 1
        asked = self._asked
        answer = asyncio.get_running_loop().create_future()
        self._answers[asked] = answer
        self._event("br", asked, number, *map(pack, values))
        try:
            return await asyncio.wait_for(answer, ANSWER_S)
        except TimeoutError:
            return None  # the program is stuck; its peer gets what the table has
        finally:
            self._answers.pop(asked, None)

    # ---- requests of the program

    async def request(self, name: str, arguments: list[Any], keywords: dict[str, Any]) -> Any:
        """One call of the program. Raises CallError, BadValue, BadType, or NoAnswer if it never returns."""
        handler: Callable[..., Any] | None
        if name in BLE_CALLS:
            assert self._ble is not None
            handler = getattr(self._ble, name)
        elif name in WLAN_CALLS:
            handler = getattr(self.station, name.removeprefix("wlan_"))
        else:
            handler = getattr(self, "_do_" + name, None)
        if handler is None:
            raise BadType(f"no such call: {name}")
        try:
            result = handler(*arguments, **keywords)
            return await result if inspect.isawaitable(result) else result
        except (TypeError, AttributeError, IndexError) as error:
            raise BadType(str(error)) from None
        except ValueError as error:
            raise BadValue(str(error)) from None

    async def _do_lightsleep(self, time_ms: int | None = None) -> None:
        self.wake_reason = WAKE_REASONS[await self.sleep(time_ms)]

    def _do_boot(self) -> bool:
        self._booted = True
        return self._cut_at > 0

    def _do_flash_operation(self) -> bool:
        """Asked before each write or erase while a cut is armed: whether the power fails in this one."""
        self.flash_operations += 1
        return self.flash_operations == self._cut_at

    def _do_interrupt(self) -> None:
        """A KeyboardInterrupt came where it would have been lost."""
        asyncio.get_running_loop().call_later(AGAIN_S, self.interrupt)

    def _do_main(self) -> None:
        self._tell("main")

    def _do_idle(self) -> None:
        self._tell("idle")

    def _do_answer(self, asked: int, answer: Any) -> None:
        future = self._answers.get(asked)
        if future and not future.done():
            future.set_result(answer)

    def _do_pin(self, gpio: int) -> None:
        self.pin(gpio)

    def _do_pin_init(
        self,
        gpio: int,
        mode: int | None = -1,
        pull: int | None = -1,
        *,
        value: Any = None,
        drive: Any = None,  # noqa: ARG002  # what an ESP32 takes, and nobody outside can see
        hold: Any = None,  # noqa: ARG002
    ) -> None:
        pin = self.pin(gpio)
        if mode in (PIN_OUT, PIN_OPEN_DRAIN) and gpio in self.input_only:
            raise BadValue("pin can only be input")
        was = pin.driven_high
        if value is not None:
            pin.out = int(bool(value))
        if mode is not None and mode != -1:
            pin.mode = mode
        if pull != -1:
            pin.pull = -1 if pull is None else pull
        self._show(gpio, pin, was)
        pin.seen = pin.level()  # turning a pull on is no edge that anybody waits for

    def _do_pin_value(self, gpio: int, level: Any = None) -> int | None:
        pin = self.pin(gpio)
        if level is None:
            return pin.level()
        self._drive(gpio, pin, int(bool(level)))
        return None

    def _do_pin_irq(self, gpio: int, trigger: int, wake: int | None) -> None:
        if wake is None:
            self.pin(gpio).trigger = trigger
        else:
            self._do_wake_on("ext0", [gpio], trigger == PIN_WAKE_HIGH)

    def _do_wake_on(self, kind: str, gpios: list[int], level: bool) -> None:
        if not RTC_GPIOS.issuperset(gpios):
            raise BadValue("invalid pin")
        self._wake_on[kind] = (gpios, int(level))

    def _do_wake_on_touch(self, wake: bool) -> None:
        if wake:
            raise BadValue("this board has no touch pads")

    _do_wake_on_ulp = _do_wake_on_touch

    def _do_adc(self, gpio: int) -> int:
        if gpio not in RTC_GPIOS:
            raise BadValue("invalid pin")
        return self.adc_uv.get(gpio, 0)

    def _do_pwm(self, gpio: int, freq_hz: int, duty_u16: int) -> None:
        pin = self.pin(gpio)
        pin.mode = PIN_OUT
        self._tell("pwm", gpio=gpio, freq_hz=freq_hz, duty_u16=duty_u16)
        self._drive(gpio, pin, int(duty_u16 > 0))

    def _do_uart_open(self, number: int, rate: int, *gpios: int) -> None:
        for gpio in gpios:
            self.pin(gpio)
        if number in self._serial:
            self._serial[number].opened(rate)

    def _do_uart_write(self, number: int, data: bytes) -> None:
        if number in self._serial:
            self._serial[number].hear(data)

    def _do_uart_close(self, number: int) -> None:
        if number in self._serial:
            self._serial[number].closed()

    def _do_timer(self, number: int, period_ms: int, periodic: bool) -> None:
        old = self._timers.pop(number, None)
        if old:
            old.cancel()
        if period_ms:
            self._start_timer(number, period_ms / 1000, periodic, asyncio.get_running_loop().time())

    def _start_timer(self, number: int, period_s: float, periodic: bool, since_s: float) -> None:
        loop = asyncio.get_running_loop()
        due_s = max(since_s + period_s, loop.time())  # ticks that we slept through are not made up for

        def fire() -> None:
            self._timers.pop(number, None)
            if periodic:
                self._start_timer(number, period_s, True, due_s)
            self._event("t", number)

        self._timers[number] = loop.call_at(due_s, fire)

    def _do_wdt(self, number: int, timeout_ms: int) -> None:
        if number != 0:
            raise BadValue("invalid WDT id")
        if timeout_ms <= 0:
            raise BadValue("WDT timeout too short")
        self._wdt_ms = timeout_ms
        self._do_wdt_feed()

    def _do_wdt_feed(self) -> None:
        self._bite_at(asyncio.get_running_loop().time() + self._wdt_ms / 1000)

    def starve(self, ms: int) -> None:
        """Let so much time pass for the watchdog, if it runs, as if nobody fed it meanwhile."""
        if self._wdt:
            self._bite_at(self._wdt.when() - ms / 1000)

    def _bite_at(self, due_s: float) -> None:
        if self._wdt:
            self._wdt.cancel()
        stop = Stop("watchdog", cause=WDT_RESET)
        self._wdt = asyncio.get_running_loop().call_at(due_s, self._stop, stop)

    def _do_rtc_memory(self, data: bytes | str | None = None) -> bytes | None:
        if data is None:
            return self._rtc
        raw = data.encode() if isinstance(data, str) else data
        if len(raw) > RTC_BYTES_MAX:
            raise BadValue("buffer too long")
        self._rtc = raw
        return None

    def _do_rtc_datetime(self, when: Any = None) -> list[int]:
        if when is not None:
            raise CallError(EPERM)  # the clock is this machine's
        now = time.gmtime()
        return [now.tm_year, now.tm_mon, now.tm_mday, now.tm_wday, now.tm_hour, now.tm_min, now.tm_sec, 0]

    def _do_reset_cause(self) -> int:
        return self.cause

    def _do_wake_reason(self) -> int:
        return self.wake_reason

    def _do_unique_id(self) -> bytes:
        return self.mac

    def _do_freq(self, hz: int | None = None) -> int | None:
        return 160_000_000 if hz is None else None

    def _do_disable_irq(self) -> int:
        return 0

    def _do_enable_irq(self, _state: int = 0) -> None:
        pass

    def _do_gpio_deep_sleep_hold(self, _enable: bool) -> None:
        pass

    def _do_raw_temperature(self) -> int:
        return 77  # Fahrenheit, as the chip has it

    def _do_mcu_temperature(self) -> int:
        return 25

    def _do_deepsleep(self, time_ms: int | None = None) -> None:
        self._stop(Stop("sleep", time_ms))
        raise NoAnswer

    def _do_reset(self) -> None:
        self._stop(Stop("reset", cause=HARD_RESET))
        raise NoAnswer

    def _do_soft_reset(self) -> None:
        self._stop(Stop("reset", cause=SOFT_RESET))
        raise NoAnswer

    def _do_power_cut(self) -> None:
        self._cut_at = 0
        self._stop(Stop("cut"))
        raise NoAnswer

    async def cut_power_at_write(self, operations: int) -> None:
        """Arm the flash; returns when the running program has taken notice."""
        self._cut_at, self.flash_operations = operations, 0
        if self._booted:
            self._armed = asyncio.get_running_loop().create_future()
            for _ in range(ARM_TRIES):  # a program that has only just begun may miss it
                self._event("w", operations > 0)
                if (await asyncio.wait((self._armed,), timeout=ARM_S))[0]:
                    return
            raise TimeoutError("the program takes no notice")

    def _do_armed(self) -> None:
        if self._armed and not self._armed.done():
            self._armed.set_result(None)

    # ---- non-volatile storage: what is not committed is lost with the program

    def _stored(self, namespace: str, key: str) -> int | bytes:
        if len(key) > NVS_KEY_CHARS_MAX:
            raise CallError(NVS_KEY_TOO_LONG)
        stored = self._nvs.get(namespace, {}).get(key)
        for where, name, new in self._nvs_pending:
            if (where, name) == (namespace, key):
                stored = new
        if stored is None:
            raise CallError(NVS_NOT_FOUND)
        return bytes.fromhex(stored) if isinstance(stored, str) else stored

    def _do_nvs_set(self, namespace: str, key: str, value: int | bytes) -> None:
        if len(key) > NVS_KEY_CHARS_MAX:
            raise CallError(NVS_KEY_TOO_LONG)
        if isinstance(value, int) and not -(1 << 31) <= value < 1 << 31:
            raise BadValue("not an i32")
        self._nvs_pending.append((namespace, key, value.hex() if isinstance(value, bytes) else value))

    def _do_nvs_get_i32(self, namespace: str, key: str) -> int:
        value = self._stored(namespace, key)
        if not isinstance(value, int):
            raise CallError(NVS_NOT_FOUND)
        return value

    def _do_nvs_get_blob(self, namespace: str, key: str, room: int) -> bytes:
        value = self._stored(namespace, key)
        if not isinstance(value, bytes):
            raise CallError(NVS_NOT_FOUND)
        if len(value) > room:
            raise CallError(NVS_INVALID_LENGTH)
        return value

    def _do_nvs_erase(self, namespace: str, key: str) -> None:
        self._stored(namespace, key)
        self._nvs_pending.append((namespace, key, None))

    def _do_nvs_commit(self) -> None:
        for namespace, key, value in self._nvs_pending:
            entries = self._nvs.setdefault(namespace, {})
            if value is None:
                entries.pop(key, None)
            else:
                entries[key] = value
        self._nvs_pending = []
        if self._nvs_path:
            new = self._nvs_path.with_suffix(".new")
            new.write_text(json.dumps(self._nvs))
            os.replace(new, self._nvs_path)

    def _do_irq(self, handled: bool) -> None:
        assert self._ble is not None
        self._ble.handled = handled


def frame(message: list[Any]) -> bytes:
    body = json.dumps(message, separators=(",", ":")).encode()
    return len(body).to_bytes(2, "big") + body


def pack(value: Any) -> Any:
    """JSON has no bytes: they travel as "x" and hex digits, a UUID with a "u", text with an "s"."""
    if isinstance(value, bytes):
        return ("u" if isinstance(value, Uuid) else "x") + value.hex()
    if isinstance(value, str):
        return "s" + value
    if isinstance(value, (list, tuple)):
        return [pack(item) for item in value]
    return value


def unpack(value: Any) -> Any:
    if isinstance(value, str):
        tag, rest = value[:1], value[1:]
        if tag == "s":
            return rest
        return Uuid.fromhex(rest) if tag == "u" else bytes.fromhex(rest)
    if isinstance(value, list):
        return [unpack(item) for item in value]
    if isinstance(value, dict):
        return {str(key): unpack(item) for key, item in value.items()}
    return value
