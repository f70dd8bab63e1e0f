"""The acts and faults of a schedule, carried out: each begins now, and ends by itself."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import TypeVar

from sim.faults import CENTRE, DIRECT_FAULTS
from sim.virtual.button import Button
from sim.virtual.centre import Centre
from sim.virtual.disk import DISK_S
from sim.virtual.fault_script import Step
from sim.virtual.network import FINE, TROUBLES, Network
from sim.virtual.phone import Phone
from sim.virtual.radio_world import Air
from sim.virtual.stranger import Impostor, Overheard, Passer, Stranger
from sim.virtual.time import Clock, Time

Kind = TypeVar("Kind", bound=Impostor)
HOLD_S = 2.5
TAP_S = 0.8
CLICK_S = 0.15
FAR_M = 400.0
PHONE_M = 3.0
NEARER_M = 1.0  # an impostor stands nearer to the phone than the button
# What is done alike to a phone's program and to the centre.
_SAME = {
    f"{program}_{key}": method
    for program in ("phone", "centre")
    for key, method in (
        ("killed", "kill"),
        ("killed_at", "kill_at"),
        ("power_cut", "program_power_cut"),
        ("disk_full", "disk_full"),
        ("disk_slow", "disk_slow"),
    )
}


@dataclass(frozen=True)
class Parts:
    """The parts of a world on which steps act. `loss`: of the air, while nothing is wrong with it.

    `happen` as World.record.
    """

    time: Time
    air: Air
    network: Network
    centre: Centre
    centre_clock: Clock
    buttons: dict[str, Button]
    phones: dict[str, Phone]
    overheard: Overheard
    loss: float
    happen: Callable[..., None]


class ScriptRunner:
    """Carries out one step after the other, each at the moment at which `do` is called."""

    def __init__(self, parts: Parts, random: Random) -> None:
        self._world, self._random = parts, random
        self._stranger_count = 0
        self.impostors: dict[str, Impostor] = {}
        self._over: dict[tuple[str, str], int] = {}  # how many faults of a kind last, by whom they struck

    def do(self, step: Step) -> None:
        """Begin one act or fault, now."""
        if step.what in TROUBLES:
            self._network(step)
            return
        if step.what in DIRECT_FAULTS:
            self._direct(step)
            return
        act: Callable[[Step], None] = getattr(self, f"_{_SAME.get(step.what, step.what)}")
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

    def _radio_loss(self, step: Step) -> None:
        self._lasting(
            step,
            lambda: self._set_loss(float(step.value)),
            lambda: self._set_loss(self._world.loss),
        )

    def _set_loss(self, share: float) -> None:
        self._world.air.set_loss(share)
        for phone in self._world.phones.values():
            phone.moved()

    def _out_of_reach(self, step: Step) -> None:
        self._lasting(step, lambda: self._place(step.who, FAR_M), lambda: self._place(step.who, PHONE_M))

    def _place(self, who: str, at_m: float) -> None:
        self._world.air.place(who, at_m)
        for phone in self._world.phones.values():
            phone.moved()

    def _adapter_gone(self, step: Step) -> None:
        phone = self._world.phones[step.who]
        self._lasting(step, lambda: phone.set_adapter(True), lambda: phone.set_adapter(False))

    def _bluetooth_late(self, step: Step) -> None:
        daemon = self._world.phones[step.who].bluetoothd
        self._lasting(
            step,
            lambda: setattr(daemon, "late_s", float(step.value) / 1000),
            lambda: setattr(daemon, "late_s", 0.0),
        )

    def _phone_asleep(self, step: Step) -> None:
        receiver = self._world.phones[step.who].receiver
        self._lasting(
            step,
            lambda: setattr(receiver, "profile", "android-sleeping"),
            lambda: setattr(receiver, "profile", "desktop"),
        )

    def _strangers(self, step: Step) -> None:
        self._stranger_count += 1
        world, button = self._world, self._world.buttons[step.who].ble
        until_s = world.time.now_s + step.for_s
        kind = str(step.value)
        Stranger(
            kind, self._stranger_count, button, world.time, world.air, world.overheard, self._random, until_s
        )

    def _impostors(self, step: Step) -> None:
        self._impersonate(Impostor, str(step.value), step)

    def _state_passed_on(self, step: Step) -> None:
        passer = self._impersonate(Passer, "", step)
        passer.show(
            self._world.buttons[step.who].ble,
            lambda: self._world.happen("air", "passed_on", button=step.who),
        )

    def _impersonate(self, kind: type[Kind], shows: str, step: Step) -> Kind:
        self._stranger_count += 1
        name, world = f"impostor-{self._stranger_count}", self._world
        world.air.place_m[name] = world.air.place_m.get(step.who, 0.0) + NEARER_M
        until_s = world.time.now_s + step.for_s
        impostor = kind(name, shows, step.who, world.time, world.air, world.overheard, self._random, until_s)
        self.impostors[name] = impostor
        return impostor

    # -- programs -------------------------------------------------------------------------------------

    def _kill(self, step: Step) -> None:
        program = self._program(step.who)
        self._lasting(step, program.kill, program.start)

    def _program_power_cut(self, step: Step) -> None:
        program = self._program(step.who)
        self._lasting(step, program.cut_power, program.start)

    def _kill_at(self, step: Step) -> None:
        """In the middle of its work on the database: statement number `value` from now is its last."""
        program = self._program(step.who)
        program.disk.kill_in = int(step.value)

        def over() -> None:
            program.disk.kill_in = None
            kinds = [f"{kind}_{how}" for kind in ("phone", "centre") for how in ("killed", "power_cut")]
            if not any(self._over.get((kind, step.who)) for kind in kinds):
                program.start()

        self._after(step.for_s, over)

    def _disk_full(self, step: Step) -> None:
        disk = self._program(step.who).disk
        self._lasting(step, lambda: setattr(disk, "is_full", True), lambda: setattr(disk, "is_full", False))

    def _disk_slow(self, step: Step) -> None:
        program = self._program(step.who)
        self._lasting(
            step,
            lambda: setattr(program, "slow_s", float(step.value) / 1000),
            lambda: setattr(program, "slow_s", DISK_S),
        )

    def _phone_disk_damaged(self, step: Step) -> None:
        phone = self._world.phones[step.who]
        phone.kill()
        phone.damage_disk()
        self._lasting(step, phone.kill, phone.start)

    def _clock_jumps(self, step: Step) -> None:
        """Set a clock, and set it back when the fault ends; without an end nobody puts it right."""
        self._set(step.who, int(step.value))
        if step.for_s:
            self._after(step.for_s, self._set, step.who, -int(step.value))

    def _set(self, who: str, by_ms: int) -> None:
        if who == CENTRE:
            self._world.centre_clock.set_ms += by_ms
            self._world.centre.clock_is_set()
        else:
            self._world.phones[who].set_clock(by_ms)

    def _clock_drifts(self, step: Step) -> None:
        if step.who in self._world.phones:
            self._world.phones[step.who].clock.set_drift(float(step.value))
        else:
            self._world.buttons[step.who].set_drift(float(step.value))

    def _program(self, name: str) -> Centre | Phone:
        return self._world.centre if name == CENTRE else self._world.phones[name]

    def _receiver_date(self, step: Step) -> None:
        phone = self._world.phones[step.who]
        self._lasting(
            step,
            lambda: setattr(phone, "receiver_date", step.value),
            lambda: setattr(phone, "receiver_date", ""),
        )

    # -- the network ----------------------------------------------------------------------------------

    def _network(self, step: Step) -> None:
        network = self._world.network

        def begin() -> None:
            network.modes[step.who] = step.what
            if step.value:
                network.statuses[step.who] = int(step.value)

        def end() -> None:
            network.modes[step.who] = FINE
            network.statuses.pop(step.who, None)

        # Of whatever kinds two that overlap are, the network is fine when the last one is over.
        self._lasting(replace(step, what="network"), begin, end)

    def _network_slow(self, step: Step) -> None:
        slow_s = self._world.network.slow_s
        self._lasting(
            step,
            lambda: slow_s.__setitem__(step.who, float(step.value) / 1000),
            lambda: slow_s.pop(step.who, None),
        )

    # -- the button -----------------------------------------------------------------------------------

    def _direct(self, step: Step) -> None:
        """Let its own way to the centre go wrong; a button that has none is not bothered."""
        troubles = self._world.buttons[step.who].troubles
        self._lasting(
            step,
            lambda: troubles.__setitem__(step.what, step.value),
            lambda: troubles.pop(step.what, None),
        )

    def _power_cut(self, step: Step) -> None:
        button = self._world.buttons[step.who]
        self._lasting(step, button.power_off, button.power_on)

    def _power_cut_at(self, step: Step) -> None:
        """Out at operation `value` of its flash from now, and in again when the fault ends."""
        button = self._world.buttons[step.who]
        button.flash.cut_in = int(step.value)

        def over() -> None:
            button.flash.cut_in = None
            if not self._over.get(("power_cut", step.who)):
                button.power_on()

        self._after(step.for_s, over)

    def _brown_out(self, step: Step) -> None:
        button = self._world.buttons[step.who]
        self._lasting(
            step,
            lambda: setattr(button, "brown_out_keeps", step.value),
            lambda: setattr(button, "brown_out_keeps", ""),
        )

    def _button_late(self, step: Step) -> None:
        button = self._world.buttons[step.who]
        self._lasting(
            step,
            lambda: setattr(button, "late_s", float(step.value) / 1000),
            lambda: setattr(button, "late_s", 0.0),
        )

    def _button_reset(self, step: Step) -> None:
        self._world.buttons[step.who].reset()

    def _flash_fails(self, step: Step) -> None:
        flash = self._world.buttons[step.who].flash
        self._lasting(step, lambda: setattr(flash, "fails", True), lambda: setattr(flash, "fails", False))

    def _button_destroyed(self, step: Step) -> None:
        """For good: whoever took it has broken it."""
        self._world.buttons[step.who].destroy()
