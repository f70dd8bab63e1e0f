"""A board's life: power, sleep, resets, flash and what outlives each of them, in the real interpreter."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from bumble.core import UUID
from bumble.device import Device, Peer
from bumble.hci import Address
from bumble.host import Host
from bumble.transport.common import AsyncPipeSink

from sim.board.board import Board, BoardEvent
from sim.radio.air import Air
from tests.integration.parts import make_image

BUTTON = 0
MOTOR = 4


class Watched:
    """A board and everything that was seen of it."""

    def __init__(self, air: Air, image: Path) -> None:
        self.events: list[BoardEvent] = []
        self._news = asyncio.Event()
        self._told = 0
        self.air = air
        self.flash = image / "flash.img"
        self.pristine = self.flash.read_bytes()
        self.board = Board(air, "button", image, on_event=self._seen)

    def _seen(self, event: BoardEvent) -> None:
        self.events.append(event)
        self._news.set()

    async def until(
        self, kind: str, match: Callable[[dict[str, Any]], bool] = lambda _: True
    ) -> dict[str, Any]:
        """The next event of this kind after the last that was waited for."""
        async with asyncio.timeout(60):
            while True:
                while self._told < len(self.events):
                    event = self.events[self._told]
                    self._told += 1
                    if event.kind == kind and match(event.data):
                        return event.data
                self._news.clear()
                await self._news.wait()

    async def says(self, line: str) -> None:
        await self.until("serial", lambda data: data["line"] == line)

    async def line(self) -> str:
        return str((await self.until("serial"))["line"])

    def lines(self) -> list[str]:
        return [event.data["line"] for event in self.events if event.kind == "serial"]


@pytest.fixture
async def power(tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    """Call it with programs: a board that runs them."""
    air = Air()
    boards = contextlib.AsyncExitStack()

    async def on(main: str, **files: str) -> Watched:
        watched = Watched(air, make_image(tmp_path, main, **files))
        boards.push_async_callback(watched.board.power_off)
        await watched.board.power_on()
        return watched

    async with boards:
        yield on
    await air.close()


async def test_boot_then_main_as_main(power: Callable[..., Any]) -> None:
    """boot.py runs before main.py; main.py is __main__, sees only its flash, and idles at the prompt."""
    main = "import os, sys\nprint(__name__, sorted(os.listdir('/')), sys.path)\nimport lib\n"
    watched = await power(main, boot="print('boot')\n", lib="print('lib', __name__)\n")
    await watched.until("idle")
    assert watched.lines() == [
        "boot",
        "__main__ ['boot.py', 'lib.py', 'main.py', 'shims'] ['', '.frozen', '/lib', '/shims']",
        "lib lib",
    ]
    assert watched.board.interpreter["name"] == "micropython"
    assert "MicroPython" in watched.board.interpreter["version"]
    assert watched.board.is_on


async def test_the_world_and_the_pins(power: Callable[..., Any]) -> None:
    """Edges go in, a level comes out, ADC reads what is there, PWM shows as what it drives."""
    watched = await power(
        "import time\n"
        "from machine import ADC, PWM, Pin\n"
        "seen = []\n"
        "pin = Pin(0, Pin.IN, Pin.PULL_UP)\n"
        "pin.irq(lambda p: seen.append(p.value()), Pin.IRQ_FALLING | Pin.IRQ_RISING)\n"
        "print('ready', ADC(Pin(35), atten=ADC.ATTN_11DB).read_uv())\n"
        "while len(seen) < 1: time.sleep_ms(1)\n"
        "print('down')\n"
        "while len(seen) < 2: time.sleep_ms(1)\n"
        "print(seen)\n"
        "motor = Pin(4, Pin.OUT)\nmotor.on()\nmotor.off()\n"
        "PWM(Pin(5), freq=200, duty_u16=65535)\n"
    )
    watched.board.set_adc(35, 1_234_000)
    await watched.board.reset()
    await watched.says("ready 1234000")
    watched.board.set_pin(BUTTON, 0)
    await watched.says("down")
    watched.board.set_pin(BUTTON, None)
    assert await watched.line() == "[0, 1]"
    assert await watched.until("pin") == {"gpio": MOTOR, "level": 1}
    assert await watched.until("pin") == {"gpio": MOTOR, "level": 0}
    assert await watched.until("pwm") == {"gpio": 5, "freq_hz": 200, "duty_u16": 65535}
    assert await watched.until("pin") == {"gpio": 5, "level": 1}
    await watched.board.power_off()
    assert await watched.until("pin") == {"gpio": 5, "level": 0}


SLEEPER = (
    "import machine, esp32\n"
    "rtc = machine.RTC()\n"
    "rtc.memory(rtc.memory() + b'x')\n"
    "print(machine.reset_cause(), machine.wake_reason(), rtc.memory())\n"
    "pin = machine.Pin(0, machine.Pin.IN, machine.Pin.PULL_UP)\n"
)


async def test_deep_sleep_wakes_by_timer_and_by_pin(power: Callable[..., Any]) -> None:
    """RTC memory stays through sleep and reset and goes with the power; cause and reason are told."""
    watched = await power(
        SLEEPER
        + "esp32.wake_on_ext0(pin=pin, level=esp32.WAKEUP_ALL_LOW)\n"
        + "machine.deepsleep(100 if len(rtc.memory()) == 1 else 60000)\nprint('never')\n"
    )
    assert await watched.line() == "1 0 b'x'"
    assert await watched.until("wake") == {"why": "timer"}
    assert await watched.line() == "4 4 b'xx'"
    await watched.until("sleep")
    await asyncio.sleep(0.05)
    assert watched.board.asleep
    assert watched.board.process is None
    watched.board.set_pin(BUTTON, 0)
    assert await watched.until("wake") == {"why": "ext0"}
    assert await watched.line() == "4 2 b'xxx'"
    # the pin is still down: sleep ends at once
    assert await watched.line() == "4 2 b'xxxx'"
    watched.board.set_pin(BUTTON, 1)
    await asyncio.sleep(0.3)
    await watched.board.reset()
    await watched.until("reset")
    assert (await watched.line()).startswith("2 0 b'xxxx")
    await watched.board.power_off()
    watched.board.set_pin(BUTTON, None)
    await watched.board.power_on()
    assert await watched.line() == "1 0 b'x'"
    assert "never" not in watched.lines()


async def test_ext1_waits_for_all_low_or_any_high(power: Callable[..., Any]) -> None:
    watched = await power(
        SLEEPER
        + "two = [pin, machine.Pin(2, machine.Pin.IN, machine.Pin.PULL_UP)]\n"
        + "low = len(rtc.memory()) == 1\n"
        + "esp32.wake_on_ext1(two, esp32.WAKEUP_ALL_LOW if low else esp32.WAKEUP_ANY_HIGH)\n"
        + "machine.deepsleep()\n"
    )
    await watched.until("sleep")
    watched.board.set_pin(0, 0)
    await asyncio.sleep(0.05)
    assert watched.board.asleep
    watched.board.set_pin(2, 0)
    assert await watched.until("wake") == {"why": "ext1"}
    await watched.until("sleep")
    watched.board.set_pin(2, 1)
    await watched.until("wake")


async def test_a_starved_watchdog_resets(power: Callable[..., Any]) -> None:
    watched = await power(
        "import machine, time\n"
        "print(machine.reset_cause())\n"
        "if machine.reset_cause() == machine.WDT_RESET: raise SystemExit\n"
        "wdt = machine.WDT(timeout=1500)\n"
        "for _ in range(6):\n    time.sleep_ms(300)\n    wdt.feed()\n"
        "print('fed')\n"
        "while True: pass\n"
    )
    await watched.says("1")
    await watched.says("fed")
    assert await watched.until("reset") == {"cause": 3}
    assert await watched.line() == "3"
    assert await watched.until("exit") == {"code": 0}


async def test_reset_from_inside(power: Callable[..., Any]) -> None:
    watched = await power(
        "import machine\n"
        "n = len(machine.RTC().memory())\n"
        "print(n, machine.reset_cause())\n"
        "machine.RTC().memory(bytes(n + 1))\n"
        "if n == 0: machine.reset()\n"
        "if n == 1: machine.soft_reset()\n"
    )
    await watched.until("idle")
    assert watched.lines() == ["0 1", "1 2", "2 5"]


async def test_an_uncaught_exception_is_told(power: Callable[..., Any]) -> None:
    """The traceback goes to the serial line, its last line into the event; a reset starts again."""
    watched = await power("def broken():\n    raise ValueError('oh')\nbroken()\n")
    assert await watched.until("crashed") == {"text": "ValueError: oh"}
    assert '  File "main.py", line 2, in broken' in watched.lines()
    assert await watched.board.wait() == 1
    assert not watched.board.is_on
    await watched.board.reset()
    await watched.until("crashed")


async def test_what_is_not_committed_to_nvs_is_lost(power: Callable[..., Any]) -> None:
    watched = await power(
        "import esp32, machine\n"
        "nvs = esp32.NVS('n')\n"
        "def get(key):\n"
        "    try: return nvs.get_i32(key)\n"
        "    except OSError as e: return e.errno\n"
        "print(get('kept'), get('lost'))\n"
        "nvs.set_i32('kept', 1)\n"
        "nvs.commit()\n"
        "nvs.set_i32('lost', 2)\n"
        "print(get('kept'), get('lost'))\n"
    )
    await watched.until("idle")
    await watched.board.power_off()
    await watched.board.power_on()
    await watched.until("idle")
    assert watched.lines() == ["-4354 -4354", "1 2", "1 -4354", "1 2"]


WRITER = (
    "import os\n"
    "try:\n    with open('value') as f: before = f.read()\n"
    "except OSError: before = 'nothing'\n"
    "print('before', before)\n"
    "with open('value.new', 'w') as f: f.write('new' * 100)\n"
    "os.rename('value.new', 'value')\n"
    "with open('another', 'w') as f: f.write('one')\n"
    "print('written')\n"
)


async def test_power_fails_at_every_block_operation(power: Callable[..., Any]) -> None:
    """Even halfway through a block: the file system mounts, and the file is whole or absent."""
    watched = await power(WRITER)
    await watched.says("written")
    await watched.board.power_off()

    async def start(operation: int) -> None:
        """From the pristine flash; the power is to fail in this operation."""
        watched.flash.write_bytes(watched.pristine)
        await watched.board.cut_power_at_write(operation)
        await watched.board.power_on()

    await start(10_000)
    await watched.says("written")
    operations = watched.board.flash_operations
    await watched.board.power_off()
    outcomes = []
    for operation in range(1, operations + 1):
        await start(operation)
        await watched.until("cut")
        assert await watched.board.wait() == -9
        await watched.board.power_on()
        outcomes.append(await watched.line())
        await watched.says("written")
        await watched.board.power_off()
    # The file comes into being at one operation, and is whole from then on.
    old, new = "before nothing", "before " + "new" * 100
    there = outcomes.count(new)
    assert 0 < there < operations
    assert outcomes == [old] * (operations - there) + [new] * there


async def test_a_cut_armed_while_running_strikes(power: Callable[..., Any]) -> None:
    """Also from outside, in the middle of a program."""
    watched = await power(
        "import time\nprint('up')\nwhile True:\n    time.sleep_ms(20)\n    open('f', 'w').close()\n"
    )
    await watched.says("up")
    await watched.board.cut_power_at_write(5)
    await watched.until("cut")
    assert watched.board.flash_operations == 5


async def test_many_power_cycles_leave_nothing_behind(power: Callable[..., Any]) -> None:
    """Off in the middle of the start, on again: no process and no radio of a past life stays."""
    watched = await power("import bluetooth\nbluetooth.BLE().active(True)\nprint('up')\n")
    for n in range(10):
        await watched.board.power_off()
        on = asyncio.create_task(watched.board.power_on())
        await asyncio.sleep(n * 0.004)
        await watched.board.power_off()
        await on
        await watched.board.power_on()
    await watched.until("power")
    await watched.board.power_off()
    assert watched.board.process is None


SERVER = (
    "import bluetooth\n"
    "ble = bluetooth.BLE()\n"
    "ble.active(True)\n"
    "def irq(event, data):\n"
    "    if event == 3: print('wrote', ble.gatts_read(data[1]))\n"
    "    else: print('event', event)\n"
    "ble.irq(irq)\n"
    "U = bluetooth.UUID\n"
    "((a, b),) = ble.gatts_register_services(((U('6e400001-b5a3-f393-e0a9-e50e24dcca9e'), (\n"
    "    (U(0x2A6E), 0x0A), (U('6e400003-b5a3-f393-e0a9-e50e24dcca9e'), 0x12))),))\n"
    "ble.gatts_write(a, bytes(range(60)))\n"
    "ble.gap_advertise(20000, b'\\x02\\x01\\x06')\n"
    "import time\n"
    "while True:\n"
    "    time.sleep_ms(50)\n"
    "    ble.gatts_write(b, b'tick', True)\n"
)


async def test_an_independent_stack_uses_the_board(power: Callable[..., Any]) -> None:
    """Bumble's own host: discovery, long read, write, notification, pairing; power loss seen."""
    watched = await power(SERVER)
    where = await watched.until("advert")
    controller = watched.air.controller("phone")
    phone = Device(name="phone", address=Address("C1:02:03:04:05:06"))
    phone.host = Host(controller, AsyncPipeSink(controller))
    await phone.power_on()
    link = await phone.connect(Address(where["address"].upper(), Address.PUBLIC_DEVICE_ADDRESS))
    peer = Peer(link)
    await peer.discover_all()  # type: ignore[no-untyped-call]
    assert [len(service.characteristics) for service in peer.services] == [2, 1, 2]
    plain, told = peer.services[2].characteristics
    assert await plain.read_value() == bytes(range(60))  # longer than the MTU: read blob
    assert await peer.get_characteristics_by_uuid(UUID("2A00"))[0].read_value() == b"MPY ESP32"
    await plain.write_value(b"hello", with_response=True)
    await watched.says("wrote b'hello'")
    heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    await told.subscribe(lambda value: None if heard.done() else heard.set_result(bytes(value)))
    async with asyncio.timeout(60):
        assert await heard == b"tick"
        await link.pair()
        assert link.is_encrypted
        gone: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        link.on("disconnection", gone.set_result)
        await watched.board.power_off()
        assert await gone == 0x08  # the supervision timeout
    watched.air.remove(controller)
