"""The acts and faults of a schedule, carried out: each begins now, and ends by itself."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from sim.virtual.button import Button
from sim.virtual.centre import Centre
from sim.virtual.disk import DISK_S
from sim.virtual.fault_script import Step
from sim.virtual.network import FINE, Network
from sim.virtual.phone import Clock, Phone
from sim.virtual.radio_world import Air
from sim.virtual.stranger import Overheard, Stranger
from sim.virtual.time import Time

HOLD_S = 2.3
TAP_S = 0.8
CLICK_S = 0.15
FAR_M = 400.0
PHONE_M = 3.0


@dataclass(frozen=True)
class Parts:
    """The parts of a world on which steps act. `loss`: of the air, while nothing is wrong with it."""

    time: Time
    air: Air
    network: Network
    centre: Centre
    centre_clock: Clock
    buttons: dict[str, Button]
    phones: dict[str, Phone]
    overheard: Overheard
    loss: float


class ScriptRunner:
    """Carries out one step after the other, each at the moment at which `do` is called."""

    def __init__(self, parts: Parts, random: Random) -> None:
        self._world, self._random = parts, random
        self._strangers = 0
        self._over: dict[tuple[str, str], int] = {}  # how many faults of a kind last, by whom they struck

    def do(self, step: Step) -> None:
        act: Callable[[Step], None] = getattr(self, f"_{step.what}")
        act(step)

    def _after(self, delay_s: float, work: Callable[..., object], *args: object) -> None:
        self._world.time.after(delay_s, work, *args)

    def _lasting(self, step: Step, begin: Callable[[], object], end: Callable[[], object]) -> None:
        """Where two of a kind overlap, it is over when the last one is."""
        what = (step.what, step.who)
        self._over[what] = self._over.get(what, 0) + 1
        begin()

        def over() -> None:
            self._over[what] -= 1
            if not self._over[what]:
                end()

        self._after(step.for_s, over)

    # -- people ---------------------------------------------------------------------------------------

    def _hold(self, step: Step) -> None:
        button = self._world.buttons[step.who]
        button.down()
        self._after(float(step.value) or HOLD_S, button.up)

    def _tap(self, step: Step) -> None:
        button = self._world.buttons[step.who]
        button.down()
        self._after(TAP_S, button.up)

    def _clicks(self, step: Step) -> None:
        button = self._world.buttons[step.who]
        for number in range(3):
            self._after(2 * number * CLICK_S, button.down)
            self._after((2 * number + 1) * CLICK_S, button.up)

    def _operate(self, step: Step) -> None:
        self._world.centre.operate(int(step.value))

    def _call_off(self, step: Step) -> None:
        self._world.phones[step.who].call_off(str(step.value))

    def _walk(self, step: Step) -> None:
        self._place(step.who, float(step.value))

    # -- the air --------------------------------------------------------------------------------------

    def _loss(self, step: Step) -> None:
        self._lasting(
            step,
            lambda: self._set_loss(float(step.value)),
            lambda: self._set_loss(self._world.loss),
        )

    def _set_loss(self, share: float) -> None:
        self._world.air.set_loss(share)
        for phone in self._world.phones.values():
            phone.moved()

    def _away(self, step: Step) -> None:
        self._lasting(step, lambda: self._place(step.who, FAR_M), lambda: self._place(step.who, PHONE_M))

    def _place(self, who: str, at_m: float) -> None:
        self._world.air.place(who, at_m)
        for phone in self._world.phones.values():
            phone.moved()

    def _adapter(self, step: Step) -> None:
        phone = self._world.phones[step.who]
        self._lasting(step, lambda: phone.set_adapter(True), lambda: phone.set_adapter(False))

    def _doze(self, step: Step) -> None:
        receiver = self._world.phones[step.who].receiver
        self._lasting(
            step,
            lambda: setattr(receiver, "profile", "android-sleeping"),
            lambda: setattr(receiver, "profile", "desktop"),
        )

    def _stranger(self, step: Step) -> None:
        self._strangers += 1
        world, button = self._world, self._world.buttons[step.who].ble
        until_s = world.time.now_s + step.for_s
        kind = str(step.value)
        Stranger(kind, self._strangers, button, world.time, world.air, world.overheard, self._random, until_s)

    # -- programs -------------------------------------------------------------------------------------

    def _kill(self, step: Step) -> None:
        program = self._program(step.who)
        self._lasting(step, program.kill, program.start)

    def _power(self, step: Step) -> None:
        program = self._program(step.who)
        self._lasting(step, program.cut_power, program.start)

    def _kill_at(self, step: Step) -> None:
        """In the middle of its work on the database: statement number `value` from now is its last."""
        program = self._program(step.who)
        program.disk.kill_in = int(step.value)

        def over() -> None:
            program.disk.kill_in = None
            if not (self._over.get(("kill", step.who)) or self._over.get(("power", step.who))):
                program.start()

        self._after(step.for_s, over)

    def _disk_full(self, step: Step) -> None:
        disk = self._program(step.who).disk
        self._lasting(step, lambda: setattr(disk, "is_full", True), lambda: setattr(disk, "is_full", False))

    def _disk_slow(self, step: Step) -> None:
        program = self._program(step.who)
        self._lasting(
            step,
            lambda: setattr(program, "slow_s", float(step.value)),
            lambda: setattr(program, "slow_s", DISK_S),
        )

    def _clock(self, step: Step) -> None:
        """Set for good; nobody puts it right."""
        is_centre = step.who == "centre"
        clock = self._world.centre_clock if is_centre else self._world.phones[step.who].clock
        clock.set_ms += int(step.value)

    def _drift(self, step: Step) -> None:
        if step.who in self._world.phones:
            self._world.phones[step.who].clock.set_drift(float(step.value) / 100)
        else:
            self._world.buttons[step.who].set_drift(float(step.value))

    def _program(self, name: str) -> Centre | Phone:
        return self._world.centre if name == "centre" else self._world.phones[name]

    # -- the network ----------------------------------------------------------------------------------

    def _network(self, step: Step) -> None:
        modes = self._world.network.modes

        def begin() -> None:
            modes[step.who] = str(step.value)

        self._lasting(step, begin, lambda: modes.__setitem__(step.who, FINE))

    def _slow_network(self, step: Step) -> None:
        network = self._world.network
        self._lasting(
            step,
            lambda: setattr(network, "slow_s", float(step.value)),
            lambda: setattr(network, "slow_s", 0.0),
        )

    # -- the button -----------------------------------------------------------------------------------

    def _battery(self, step: Step) -> None:
        button = self._world.buttons[step.who]
        self._lasting(step, button.power_off, button.power_on)

    def _battery_at(self, step: Step) -> None:
        """Out at operation `value` of its flash from now, and in again when the fault ends."""
        button = self._world.buttons[step.who]
        button.flash.cut_in = int(step.value)

        def over() -> None:
            button.flash.cut_in = None
            if not self._over.get(("battery", step.who)):
                button.power_on()

        self._after(step.for_s, over)

    def _reset(self, step: Step) -> None:
        self._world.buttons[step.who].reset()

    def _flash_fails(self, step: Step) -> None:
        flash = self._world.buttons[step.who].flash
        self._lasting(step, lambda: setattr(flash, "fails", True), lambda: setattr(flash, "fails", False))

    def _destroy(self, step: Step) -> None:
        """For good: whoever took it has broken it."""
        self._world.buttons[step.who].destroy()
