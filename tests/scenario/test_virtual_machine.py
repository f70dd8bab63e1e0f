"""Hypothesis over the virtual world: acts and faults in any order it can think of, and the same promises."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from sim.faults import STRANGERS
from sim.judge.promises import judge
from sim.virtual.fault_script import BOUND_S, SETTLE_S, Schedule, Step
from sim.virtual.fixture import EPOCH_MS
from sim.virtual.network import TROUBLES
from sim.virtual.world import World

FOR_S = st.sampled_from([1.0, 5.0, 20.0, 70.0])
PROGRAMS = st.sampled_from(["bridge", "centre"])


class Life(RuleBasedStateMachine):
    """One button, one phone and a centre; each rule is one step, and some time goes by after it."""

    world: World

    @initialize(seed=st.integers(0, 1 << 16), filtered=st.booleans(), loss=st.sampled_from([0.0, 0.3]))
    def begin(self, seed: int, filtered: bool, loss: float) -> None:
        self.world = World(Schedule(seed, filtered=filtered, loss=loss))
        self.world.begin()
        self._pass(SETTLE_S)

    @rule(seconds=st.sampled_from([1.0, 4.0, 30.0, 70.0]))
    def wait(self, seconds: float) -> None:
        self._pass(seconds)

    @rule(pause_s=st.sampled_from([1.0, 3.0, 10.0]))
    def hold(self, pause_s: float) -> None:
        self._do("hold", "button")
        self._pass(3.0 + pause_s)

    @rule()
    def clicks(self) -> None:
        self._do("clicks", "button")
        self._pass(2.0)

    @rule(stage=st.sampled_from([2, 3, 4]))
    def operate(self, stage: int) -> None:
        self._do("operate", "centre", value=stage)

    @rule(who=PROGRAMS, for_s=FOR_S, what=st.sampled_from(["killed", "power_cut", "disk_full"]))
    def harm(self, who: str, for_s: float, what: str) -> None:
        self._do(f"{'phone' if who == 'bridge' else who}_{what}", who, for_s)

    @rule(mode=st.sampled_from(TROUBLES), for_s=FOR_S)
    def trouble_the_network(self, mode: str, for_s: float) -> None:
        self._do(mode, "bridge", for_s)

    @rule(what=st.sampled_from(["out_of_reach", "adapter_gone", "phone_asleep"]), for_s=FOR_S)
    def lose_the_button(self, what: str, for_s: float) -> None:
        self._do(what, "bridge", for_s)

    @rule(for_s=FOR_S, operation=st.integers(0, 6))
    @precondition(lambda self: self.world.buttons["button"].is_on)
    def cut_the_battery(self, for_s: float, operation: int) -> None:
        self._do("power_cut_at", "button", for_s, operation)

    @rule(kind=st.sampled_from(STRANGERS), for_s=FOR_S)
    def come_near(self, kind: str, for_s: float) -> None:
        self._do("strangers", "button", for_s, kind)

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        calm_from_s = max(self.world.time.now_s, self._faults_end_s)
        self.world.run_until(calm_from_s + BOUND_S + 1)
        self.world.end()
        found = judge(self.world.events, EPOCH_MS + calm_from_s * 1000).broken
        assert not found, "\n".join([self.world.trace(), *map(str, found)])

    _faults_end_s = 0.0

    def _do(self, what: str, who: str, for_s: float = 0.0, value: float | str = 0) -> None:
        step = Step(self.world.time.now_s, what, who, for_s, value)
        self._faults_end_s = max(self._faults_end_s, step.end_s)
        self.world.do(step)
        self._pass(0.3)

    def _pass(self, seconds: float) -> None:
        self.world.run_until(self.world.time.now_s + seconds)


Life.TestCase.settings = settings(
    max_examples=10, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
)
TestLife = Life.TestCase
