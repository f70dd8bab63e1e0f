"""The button: wires pin, press, radio, memory and motor together. The root main.py runs `main()`.

It says on the serial line what it does, in words that hold no secret: it is how an integrator
or a simulator sees that a receipt was proven.

What the press decides is carried out in order, and what may block waits for the motor first: a flash that
is erased or a radio that is switched off would make one long pulse, which is another word.
"""

import struct
import sys

import bluetooth

from firmware.board import boards, config, press
from firmware.board.feedback import Feedback
from firmware.board.gesture import CLICKS, FREE, HOLD, STUCK, Gesture
from firmware.board.memory import Memory
from firmware.board.peers import Peers
from firmware.board.press import Press
from firmware.board.radio import CONNECTED, DISCONNECTED, WRITTEN, Radio
from wire import codes, receipts, state
from wire.keys import InvalidMessage, Mac, derive

_LET_GO_MS = 100  # how long a peer that was let go is waited for, before the radio is switched off
_BATTERY_HYSTERESIS_MV = 100
_DIRECT_AGAIN_MS = 600_000  # after a fault, and a start in between


_OF_SESSION = (press.SESSION, press.ADVERTISE, press.HUSH, press.SILENCE)


class App:
    """Run a button on `board`, a `Board` of the module in boards/, and its radio `ble`; `say` prints.

    `load_direct` is `config.load_direct` or its like: called after the first advert, and only then.
    """

    def __init__(  # type: ignore[no-untyped-def]
        self,
        board,
        ble,
        identity: config.Identity,
        settings: dict[str, int],
        defaulted: bool,
        say=print,
        load_direct=None,
    ) -> None:
        self.board = board
        self.say = say
        self.identity = identity
        self._settings = settings
        self._load_direct = load_direct
        self.direct = None  # a DirectApp, where there is a direct path and something to do on it
        self.feedback = Feedback(bool(settings["quiet"]))
        self.peers = Peers()
        self.radio = Radio(ble)
        self.memory = Memory(board.rtc, self._draw, board.open)
        self._defaulted = defaulted
        self._battery_low_mv = settings["battery_low_mv"]
        self.battery_mv = 0
        self._mac_code = Mac(derive(identity.root, "code", identity.epoch))
        self._mac_heard = Mac(derive(identity.root, "heard", identity.epoch))
        self.mac_receipt = Mac(derive(identity.root, "receipt", identity.epoch))
        self._mac_state = Mac(derive(identity.root, "state", identity.epoch))
        period_ms = settings["alive_period_s"] * 1000
        life = self.memory.load()
        if life.ahead_ms:
            if board.now_ms() < life.ahead_ms:
                life.ahead_ms = 0  # it was not set, or was lost
            board.set_back(life.ahead_ms)
        self.since_ms = board.now_ms()
        self.press = Press(life, lambda n: codes.rhythm(self._mac_code, n, period_ms), self._draw)
        if load_direct:
            self.press.ways = None  # which it says, after the first advert
        self.gesture = Gesture(settings, self.press.life.stuck)
        self._is_paused = False  # Wi-Fi has the air, where it excludes Bluetooth
        self._waiting: list[press.Action] = []  # decided, and not carried out yet
        self._let_go_ms: int | None = None  # until when peers are waited for
        self._code = b""
        self._interval_us = 0  # 0: nothing should be on the air
        self._retry_ms: int | None = None  # when to try again, where an advert did not start

    def run(self) -> None:
        """Run until deep sleep, which does not come back."""
        self.start()
        while True:
            due_ms = self.step()
            if due_ms is None:
                self.sleep()
            else:
                self.board.wait(due_ms - self.board.now_ms())
            self.board.feed()

    def start(self) -> None:
        """Do what a start begins with."""
        if not (self.board.pressed or self.press.life.event):
            self._measure()  # ALIVE or ALIVE_LOW; a press does not wait for it
        self.do(self.press.boot(self.board.now_ms(), self.board.slept, self.memory.power_lost))

    def step(self) -> int | None:
        """Do all that there is to do now. Return when again at the latest; None: deep sleep may come."""
        self._motor()
        self._work()
        self._hand()
        if not self._waiting:  # else what happens on the air may belong to a session that is over
            self._air()
        now_ms = self.board.now_ms()
        self.do(self.press.tick(now_ms))
        if self._retry_ms is not None and now_ms >= self._retry_ms:
            self._advertise()
        self._step_direct()
        return self._due_ms()

    def may_block(self) -> bool:
        """Return whether a long call does no harm: the motor is still, and nothing of a press waits."""
        return not self._waiting and self.feedback.is_idle() and not self.gesture.is_down()

    def _step_direct(self) -> None:
        """Let the direct path do its part; whatever goes wrong there is no matter of Bluetooth's."""
        try:
            if self._load_direct and self.may_block():
                self._begin_direct()
            if self.direct:
                self.direct.step()
        except Exception as error:
            if self.direct:
                self.direct.stop()
            self.direct = None
            loaded = sys.modules.get("firmware.board.direct_config")
            if loaded and hasattr(loaded, "forget"):
                loaded.forget()
            self.say("direct", "fault", repr(error))
            self.press.life.direct_ms = self.board.now_ms() + _DIRECT_AGAIN_MS

    def _begin_direct(self) -> None:
        """Load the direct path where it has something to do; a wake for ALIVE does without."""
        life = self.press.life
        if self.board.slept and not life.event and self.board.now_ms() < life.direct_ms:
            return
        load, self._load_direct = self._load_direct, None
        settings, defaulted = load(self._settings)
        self._defaulted |= defaulted
        if settings:
            from firmware.board.direct_app import DirectApp

            self.direct = DirectApp(self, settings)
        else:
            life.direct_ms = press.NEVER_MS
            self.do(self.press.set_ways(press.BLUETOOTH, self.board.now_ms()))

    def _motor(self) -> None:
        """Switch the motor by the time that it is now: a pulse begins when it truly does."""
        self.board.motor(self.feedback.tick(self.board.now_ms()))

    # -- the hand ----------------------------------------------------------------------

    def _hand(self) -> None:
        for down, at_ms in self.board.edges():
            self._meant(self.gesture.edge(down, at_ms))
        self._meant(self.gesture.tick(self.board.now_ms()))
        is_free = self._is_quiet() and not self._is_paused
        if is_free and self.gesture.is_down() and self.feedback.is_idle():
            self.radio.warm()  # so that nothing is left to do between the hold and the advert

    def _is_quiet(self) -> bool:
        return self.press.phase == press.QUIET_PHASE and not self._waiting

    def _meant(self, gesture: int) -> None:
        if gesture == HOLD:
            self.do(self.press.hold(self.board.now_ms()))
        elif gesture == CLICKS:
            self.do(self.press.clicks(self.board.now_ms()))
        elif gesture in (STUCK, FREE):
            self.press.life.stuck = gesture == STUCK
            self.remember()
            self.tell_state()

    # -- the air -----------------------------------------------------------------------

    def _air(self) -> None:
        now_ms = self.board.now_ms()
        session = self.press.on_air
        for event, connection, value in self.radio.take():
            if self.press.on_air != session:
                break  # one of these events has ended the session that the others belong to
            if event == CONNECTED:
                self._connected(connection, now_ms)
            elif event == DISCONNECTED:
                self._left(connection)
            elif event == WRITTEN:
                self._written(connection, value)
            else:
                self.say("paired")  # which proves nothing
                self._drop(connection)
        for connection in self.peers.expired(now_ms):
            self.say("stranger")
            self._drop(connection)

    def _connected(self, connection: int, now_ms: int) -> None:
        leaves = self.peers.connected(connection, now_ms)
        self._advertise()  # adverts stop at every connect, and a stranger must not silence us
        self.tell_state()
        self.do(self._links())
        if leaves is not None:
            self._drop(leaves)

    def _links(self) -> list[press.Action]:
        return self.press.links(self.peers.count(), self.peers.carriers(), self.board.now_ms())

    def _written(self, connection: int, value: bytes) -> None:
        try:
            stage = receipts.check(
                value, self._mac_heard, self.mac_receipt, self.press.on_air, self.press.subject()
            )
        except InvalidMessage as refused:
            self.say("refused", refused.reason)
            self._drop(connection)
            return
        self.say("receipt", stage)
        now_ms = self.board.now_ms()
        if self.peers.proved(connection, stage):
            self.do(self._links())
        self.do(self.press.receipt(stage, now_ms))
        if self.direct:
            self.direct.brought(stage)

    def _drop(self, connection: int) -> None:
        self.radio.drop(connection)
        self._left(connection)

    def _left(self, connection: int) -> None:
        self.peers.disconnected(connection)
        self.do(self._links())
        self._advertise()

    def _advertise(self) -> None:
        self._retry_ms = None
        retry_ms = self.radio.advertise(self._interval_us) if self._interval_us else 0
        if retry_ms:
            self._retry_ms = self.board.now_ms() + retry_ms

    # -- actions -----------------------------------------------------------------------

    def do(self, actions: list[press.Action]) -> None:
        """Carry out `actions` after those that wait. A new session begins by ending the one before."""
        for action in actions:
            if action[0] == press.SESSION:
                self._waiting = [one for one in self._waiting if one[0] not in _OF_SESSION]
            self._waiting.append(action)
        self._work()

    def _work(self) -> None:
        """Carry out what waits, up to the first that must go on waiting."""
        before = len(self._waiting)
        while self._waiting and self._may(self._waiting[0][0]):
            action = self._waiting.pop(0)
            self._act(action[0], action[1:])
        if len(self._waiting) < before:
            self.remember()
            if self._interval_us:
                self.tell_state()

    def _may(self, verb: str) -> bool:
        """Return whether `verb` may be carried out now: what may block waits for the motor, and for peers.

        A session waits for one pulse at most, and not at all with a radio that is warm; the end of one
        waits until everything has been felt, for it is in no hurry.
        """
        if self._is_paused and verb in _OF_SESSION:
            return True
        if verb == press.SESSION:
            return self.radio.is_warm or (self._are_gone() and not self.feedback.is_on)
        if verb == press.SILENCE:
            return self._are_gone() and self.feedback.is_idle()
        return not self.feedback.is_on or verb not in (press.SAVE_PRESS, press.SAVE_ALIVE)

    def _are_gone(self) -> bool:
        """Let every peer go; return whether they are gone, or were waited for long enough."""
        if not self.radio.is_linked():
            return True
        now_ms = self.board.now_ms()
        if self._let_go_ms is None:
            self._hush()
            self._let_go_ms = now_ms + _LET_GO_MS
            self.radio.let_go()
        return now_ms >= self._let_go_ms

    def _act(self, verb: str, args: tuple[int, ...]) -> None:
        if verb in (press.SAVE_PRESS, press.SAVE_ALIVE):
            self._commit(verb)
        elif verb == press.VIBRATE:
            self.feedback.play(args[0])
            self._motor()
        elif self._is_paused:
            pass  # `resume` goes on the air as the press has it then
        elif verb == press.SESSION:
            self.remember()  # the counter, before its code first goes on the air
            self._code = codes.code(self._mac_code, args[0], args[1])
            self.peers.clear()
            self._let_go_ms = None
            self.radio.session(self._code, args[0] not in (codes.ALIVE, codes.ALIVE_LOW))
        elif verb == press.ADVERTISE:
            self._interval_us = args[0]
            self._advertise()
            self.say("advert", self.press.on_air[0], self.press.on_air[1], args[0])
            self._measure()  # under load
        elif verb == press.HUSH:
            self._hush()
            self.radio.hush()
        elif verb == press.SILENCE:
            self._hush()
            self._code = b""
            self.peers.clear()
            self._let_go_ms = None
            self.radio.off()

    def pause(self) -> None:
        """Leave the air to Wi-Fi."""
        self._is_paused = True
        self._hush()
        self._code = b""
        self.peers.clear()
        self.radio.off()
        self.do(self._links())

    def resume(self) -> None:
        """Go on the air again, if the press is still to be there."""
        self._is_paused = False
        self.do(self.press.again())

    def _hush(self) -> None:
        self._interval_us = 0
        self._retry_ms = None

    def _commit(self, verb: str) -> None:
        life, ok = self.press.life, True
        before = life.unsaved
        try:
            if verb == press.SAVE_PRESS:
                self.memory.save_press(life)
            else:
                self.memory.save_alive(life)
        except OSError as error:
            ok = False
            self.say("flash", error.errno)  # RTC memory holds it; the press goes on
        self.remember()  # before anything of it is felt
        self.press.saved(verb, ok, self.board.now_ms())
        if before and not life.unsaved:
            self.say("saved")

    def remember(self) -> None:
        """Save to RTC memory what the button is at."""
        self.press.life.saved_ms = self.board.now_ms()
        self.memory.save(self.press.life)

    def tell_state(self) -> None:
        """Seal the state anew, with a nonce from the radio's own randomness."""
        if self._code:
            nonce = struct.unpack(">I", self.board.random(4))[0]
            self.radio.state(state.seal(self._mac_state, self._code, nonce, self.values()))

    def values(self) -> state.State:
        """Return what the button says of itself, whichever way."""
        life = self.press.life
        flags = self._defaulted * state.CONFIG_DEFAULTED | life.counters_lost * state.COUNTERS_LOST
        flags |= self.gesture.is_stuck() * state.PIN_STUCK
        age_10s = state.AGE_UNKNOWN
        if life.event:
            flags |= state.OPEN | (life.event == codes.TEST) * state.IS_TEST
            flags |= life.age_is_lower_bound * state.AGE_LOWER_BOUND
            age_10s = min(max(self.board.now_ms() - life.opened_ms, 0) // 10000, state.AGE_UNKNOWN)
        return state.State(min(self.battery_mv // 20, 255), flags, age_10s, life.press_counter)

    # -- rest --------------------------------------------------------------------------

    def _due_ms(self) -> int | None:
        """Return when something must be done at the latest; None where deep sleep may come.

        Whatever is still to be done in any part keeps the button awake, in every phase.
        """
        dues = [self.gesture.due_ms(), self.feedback.due_ms(), self.peers.due_ms(), self._retry_ms]
        if self._waiting:
            dues.append(self._let_go_ms)
        if self.press.phase != press.QUIET_PHASE:
            dues.append(self.press.due_ms())
        if self.direct:
            dues.append(self.direct.due_ms())
        wanted = [due_ms for due_ms in dues if due_ms is not None]
        if wanted and self.direct:  # what it would be woken for comes in time, too, while it is awake
            wanted.append(self.direct.wake_ms())
        return min(wanted) if wanted else None

    def _measure(self) -> None:
        self.battery_mv = self.board.battery_mv()
        life = self.press.life
        low_mv = self._battery_low_mv + life.battery_low * _BATTERY_HYSTERESIS_MV
        life.battery_low = 0 < self.battery_mv < low_mv

    def _draw(self) -> int:
        return struct.unpack(">H", self.board.random(2))[0]

    def sleep(self) -> None:
        until_ms = self.press.due_ms()
        if self.direct or self._load_direct:  # else nobody would look, or only after a start
            until_ms = min(until_ms, self.press.life.direct_ms)
        self.remember()
        self.say("sleep", until_ms - self.board.now_ms())
        self.board.motor(False)
        self.board.sleep(until_ms, self.gesture.is_stuck())


def main() -> None:
    family = boards.module()
    settings, defaulted = config.load_settings(family.PINS)
    try:
        identity = config.load_identity()
    except ValueError as error:
        print("fault", error)
        return
    try:
        board = family.Board(settings)
    except ValueError:  # this board has no such pin, or none that could wake it
        settings.update(family.PINS)
        defaulted = True
        board = family.Board(settings)
    print("boot", identity.device_id, board.slept)
    app = None
    try:
        app = App(board, bluetooth.BLE(), identity, settings, defaulted, load_direct=config.load_direct)
        app.run()
    except KeyboardInterrupt:  # somebody at the serial line wants the prompt
        board.rest()
    except Exception as error:
        # A mistake of ours, or a radio that fails: nobody is there to start the button again.
        print("fault", repr(error))
        board.restart(app is not None and app.press.life.event != 0)
