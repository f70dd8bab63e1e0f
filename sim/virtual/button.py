"""A button in virtual time: the firmware's own App on a board of which every part is simulated.

Its clock drifts and starts again at power-on, its battery may be out at any moment and at any operation of
its flash, and between slots it sleeps deeply: then the program is gone, and RTC memory is what is left.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from random import Random
from typing import Any

from firmware.board.config import SETTINGS, Identity
from firmware.board.gesture import SETTLE_MS
from firmware.board.memory import ALIVE_FILE, PRESS_FILE, sealed
from sim.faults import RTC_KEPT
from sim.virtual import ble
from sim.virtual.carriers import Surroundings, make
from sim.virtual.flash import Flash, PowerCut, Rtc
from sim.virtual.radio_world import Air
from sim.virtual.time import Handle, Time
from sim.virtual.uplink import Server, Uplink
from wire.codes import RESERVE

ble.provide()
App: Any = import_module("firmware.board.app").App  # it imports `bluetooth`, which is there only now


Happen = Callable[..., None]  # happen(by, what, **data)

BOOT_S = 0.6  # from power-on; from deep sleep a third of it
WAKE_S = 0.2
STEP_S = 0.001
RESTART_S = 0.2  # boards/esp32.py's
BROWN_OUT_S = 0.5
LATE_SHARE = 0.5  # of the turns of a program that is late
REST_MS = 10_000
CLOCK_FROM_MS = 1000


class BrownOut(BaseException):
    """The voltage fell so far that the chip began anew; what its RTC domain holds is still there."""


@dataclass(frozen=True)
class ProvisionedButton:
    """A button as provisioning made it."""

    device_id: str
    root: bytes
    alive_period_s: int = 900


@dataclass(frozen=True)
class OwnWay:
    """How a button reaches the centre by itself: when, by which carriers, and who answers there."""

    profile: str
    carriers: tuple[str, ...]
    server: Server


class Board:
    """What firmware/board/boards has for a real one."""

    def __init__(self, button: "Button", slept: bool, pressed: bool) -> None:
        self._button = button
        self.rtc = button.rtc
        self.slept, self.pressed = slept, pressed
        self.open = button.flash.open
        self.random = button.random.randbytes
        self.motor_on = False
        self._back_ms = 0  # what the clock is ahead, since somebody told it the time
        self._edges = [(True, self.now_ms() - SETTLE_MS)] if pressed else []

    def now_ms(self) -> int:
        return self._button.clock_ms() - self._back_ms

    def set_back(self, ms: int) -> None:
        self._back_ms += ms
        self._edges = [(down, at_ms - ms) for down, at_ms in self._edges]

    def carriers(self, _settings: object, _mac: object) -> list[Any]:
        return self._button.carriers()

    def edge(self, down: bool) -> None:
        self._edges.append((down, self.now_ms()))

    def edges(self) -> list[tuple[bool, int]]:
        edges, self._edges = self._edges, []
        edges.append((self._button.is_down, self.now_ms()))
        return edges

    def motor(self, on: bool) -> None:
        if on != self.motor_on:
            self.motor_on = on
            self._button.happen(self._button.name, "motor", on=on)
            if on:
                self._button.motor_starts()

    def battery_mv(self) -> int:
        return self._button.battery_mv

    def sleep(self, until_ms: int, pressed: bool) -> None:
        self._button.sleep(until_ms, pressed)


class Button:
    """A board, its battery and the pin under the finger."""

    def __init__(
        self,
        name: str,
        provisioned: ProvisionedButton,
        time: Time,
        air: Air,
        random: Random,
        happen: Happen,
        own_way: OwnWay | None = None,
    ) -> None:
        self.name, self.provisioned, self.random, self.happen = name, provisioned, random, happen
        self._time = time
        self._drift = 0.0
        self.battery_mv = 3900
        self.is_down = self.is_on = self._is_broken = False
        self.flash = Flash({PRESS_FILE: sealed(">IBB", 0, 0, 0), ALIVE_FILE: sealed(">I", RESERVE)})
        self.rtc = Rtc()
        self.ble = ble.Ble(name, time, air, random, self._interrupt, self._on_air, self._on_silent)
        self._since_s, self._since_ms = 0.0, CLOCK_FROM_MS
        self._app: Any = None
        self._board: Board | None = None
        self._timer: Handle | None = None
        self._is_asleep = self._stuck_asleep = False
        self.brown_out_keeps = ""  # what is left where the motor's start ends the program; empty: it does not
        self.troubles: dict[str, float | str] = {}  # of its own way to the centre: DIRECT_FAULTS, and values
        self._own_way = own_way
        self._around = None if own_way is None else self._surroundings(own_way)
        self.late_s = 0.0  # how late the program gets its turn at most
        self._busy_until_s = 0.0

    def _surroundings(self, own_way: OwnWay) -> Surroundings:
        chance = Random(f"own way {self.random.random()}")  # noqa: S311 -- to be the same again
        uplinks = {
            name: Uplink(self.name, name, self._time, chance, self.troubles, own_way.server)
            for name in own_way.carriers
        }
        return Surroundings(
            self._time,
            chance,
            self.troubles,
            uplinks,
            self._blocks_for,
            self._interrupt,
            self._gives_in,
            partial(self.happen, self.name),
        )

    @property
    def uplinks(self) -> dict[str, Uplink]:
        """By carrier: what lies between this button and the centre, where it does without a phone."""
        return self._around.uplinks if self._around else {}

    # -- the hand -------------------------------------------------------------------------------------

    def down(self) -> None:
        self._pin(True)

    def up(self) -> None:
        self._pin(False)

    def _pin(self, down: bool) -> None:
        if down == self.is_down:
            return
        self.is_down = down
        self.happen("hand", "pressed" if down else "released", button=self.name)
        if not self.is_on:
            return
        if self._board is not None:
            self._board.edge(down)
            self._interrupt()
        elif self._is_asleep and down != self._stuck_asleep:
            self._boot_in(WAKE_S, slept=True, pressed=True)

    # -- power ----------------------------------------------------------------------------------------

    def power_on(self) -> None:
        if not self.is_on and not self._is_broken:
            self.is_on = True
            self._is_asleep = False
            self._since_s, self._since_ms = self._time.now_s, CLOCK_FROM_MS
            self.happen(self.name, "power", on=True)
            self._boot_in(BOOT_S, slept=False, pressed=False)

    def power_off(self) -> None:
        """Whatever it was doing; RTC memory and its clock are gone."""
        if self.is_on:
            self.is_on = False
            self.happen(self.name, "power", on=False)
            self._end()
            self.ble.cut_power()
            self.rtc = Rtc()

    def destroy(self) -> None:
        self._is_broken = True
        self.power_off()
        self.happen(self.name, "destroyed")

    def motor_starts(self) -> None:
        """End the program where the motor's first moment takes more than the battery gives."""
        if self.brown_out_keeps:
            self._gives_in(self.brown_out_keeps)

    def _gives_in(self, keeps: str) -> None:
        """End the program: the battery does not give what is asked of it."""
        if keeps == RTC_KEPT:
            raise BrownOut
        self._time.after(BROWN_OUT_S, self.power_on)
        raise PowerCut

    def _blocks_for(self, for_s: float) -> None:
        """Have a call take its time: nothing else of the program runs meanwhile."""
        self._busy_until_s = max(self._busy_until_s, self._time.now_s + for_s)

    def reset(self) -> None:
        """The watchdog's, or a finger's on the reset pin: RTC memory stays."""
        if self.is_on:
            self._restart(RESTART_S)

    def clock_ms(self) -> int:
        return self._since_ms + int((self._time.now_s - self._since_s) * (1 + self._drift) * 1000)

    def set_drift(self, share: float) -> None:
        """Its clock is so much too fast from now on."""
        self._since_ms, self._since_s = self.clock_ms(), self._time.now_s
        self._drift = share

    def _when_s(self, clock_ms: int) -> float:
        return self._since_s + (clock_ms - self._since_ms + 0.5) / 1000 / (1 + self._drift)

    # -- the program ----------------------------------------------------------------------------------

    def _boot_in(self, delay_s: float, slept: bool, pressed: bool) -> None:
        self._again(self._time.now_s + delay_s, self._boot, slept, pressed)

    def _boot(self, slept: bool, pressed: bool) -> None:
        self._is_asleep = False
        self._board = Board(self, slept, pressed)
        self.happen(self.name, "boot", args=[self.provisioned.device_id, str(slept)])
        identity = Identity(self.provisioned.device_id, self.provisioned.root, 0)
        settings = {name: bounds[0] for name, bounds in SETTINGS.items()}
        settings["alive_period_s"] = self.provisioned.alive_period_s
        self._guarded(self._start, identity, settings)

    def _start(self, identity: Identity, settings: dict[str, int]) -> None:
        self._app = App(self._board, self.ble, identity, settings, False, self._say, self._load_direct())
        self._app.start()
        self._step()

    def carriers(self) -> list[Any]:
        """Make this start's carriers, the preferred one first."""
        assert self._own_way is not None
        assert self._around is not None
        return list(make(self._around, self._own_way.carriers))

    def _load_direct(self) -> Callable[..., tuple[Any, bool]] | None:
        own_way = self._own_way
        return None if own_way is None else lambda _: (own_way, False)

    def _run(self) -> None:
        now_s = self._time.now_s
        if self.late_s and now_s > self._busy_until_s and self.random.random() < LATE_SHARE:
            self._busy_until_s = now_s + self.late_s
            self._again(self._busy_until_s, self._run)
            return
        self._guarded(self._step)

    def _step(self) -> None:
        assert self._app is not None
        due_ms = self._app.step()
        if due_ms is None:
            self._app.sleep()
        else:
            self._again(max(self._when_s(due_ms), self._time.now_s + STEP_S), self._run)

    def _guarded(self, work: Callable[..., None], *args: Any) -> None:
        """As the firmware's main() has it, where the work fails; and the battery may be out."""
        try:
            work(*args)
        except BrownOut:
            self._restart(RESTART_S)
        except PowerCut:
            self.happen(self.name, "cut")
            self.power_off()
        except Exception as error:
            self.happen(self.name, "fault", args=[repr(error)])
            urgent = self._app is not None and self._app.press.life.event != 0
            self._restart(RESTART_S if urgent else REST_MS / 1000)

    def _restart(self, delay_s: float) -> None:
        self.happen(self.name, "reset")
        self._end()
        self.ble.active(False)
        self._is_asleep = delay_s > RESTART_S
        self._boot_in(delay_s, slept=False, pressed=False)

    def sleep(self, until_ms: int, stuck: bool) -> None:
        """What the board is asked for: the program ends here."""
        self._end()
        self.ble.active(False)
        self._is_asleep, self._stuck_asleep = True, stuck
        if self.is_down != stuck:  # the level that wakes it is there already
            self._boot_in(WAKE_S, slept=True, pressed=True)
        else:
            self._again(max(self._when_s(until_ms), self._time.now_s) + WAKE_S, self._boot, True, False)

    def _end(self) -> None:
        self._app = self._board = None
        self._busy_until_s = 0.0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _again(self, when_s: float, work: Callable[..., None], *args: Any) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._time.at(max(when_s, self.ble.busy_until_s, self._busy_until_s), work, *args)

    def _interrupt(self) -> None:
        if self._app is not None:
            self._again(self._time.now_s + STEP_S / 2, self._run)

    # -- what can be seen of it -----------------------------------------------------------------------

    def _say(self, *words: object) -> None:
        self.happen(self.name, str(words[0]), args=[str(word) for word in words[1:]])

    def _on_air(self, address: str, uuid: str) -> None:
        self.happen("air", "session", button=self.name, address=address, code=uuid)

    def _on_silent(self, silent: bool) -> None:
        self.happen("air", "silent" if silent else "sends", button=self.name)
