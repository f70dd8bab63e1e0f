"""The one list of what can go wrong: its key in scenario files and schedules, its words, its bounds. Pure.

A scenario's fault and a random schedule's step are the same thing. Which world can carry it out stands with
it: real time has real processes and a simulated radio, virtual time has simulated disks and flash, too.
"""

from dataclasses import dataclass

PHONE, CENTRE, BUTTON = "phone", "centre", "button"
REAL, VIRTUAL = "real", "virtual"  # worlds: `amr-sim run`, `amr-sim explore`
STRANGERS = ("stay", "linger", "forge", "repeat", "shout")
SHOWN = ("rubbish", "echo", "nothing")
RTC_KEPT, ALL_LOST = "clock", "nothing"
WIFI, LTE = "wifi", "lte"  # carriers of a button's own way to the centre
NOTHING, PASSPHRASE = "nothing", "passphrase"  # what an evil twin knows
DATES = ("rollover", "1980", "2099", "none")
_DAY_MS = 86_400_000
_YEARS_MS = 3650 * _DAY_MS
_CLOCKS_MS = (-_DAY_MS, -3_600_000, -120_000, 120_000, 3_600_000, _DAY_MS)


@dataclass(frozen=True)
class Value:
    """One more key that a fault takes. `words`: those that are allowed; else a number, or `count` of them."""

    key: str
    least: float = 0
    most: float = 0
    unit: str = ""
    is_whole: bool = True
    words: tuple[str, ...] = ()
    count: int = 1
    default: float | str | None = None  # None: it must be given


@dataclass(frozen=True)
class Fault:
    """One kind of fault. The first of `takes` is the value of a schedule's step."""

    words: str  # what goes wrong
    hits: tuple[str, ...]  # whom it may strike: phone, centre, button; nobody in particular
    takes: tuple[Value, ...] = ()
    worlds: tuple[str, ...] = (REAL, VIRTUAL)
    lasts: bool = True  # False: it happens, and is over
    drawn: tuple[float | str, ...] = (0,)  # the values that a random schedule tries


def _share(key: str, count: int = 1) -> Value:
    return Value(key, 0, 1, "", is_whole=False, count=count)


def _direct(words: str, *takes: Value, drawn: tuple[float | str, ...] = (0,)) -> Fault:
    """Return a fault of the button's own way to the centre, without a phone."""
    return Fault(words, (BUTTON,), takes, drawn=drawn)


FAULTS: dict[str, Fault] = {
    "network_cut": Fault("the phone's connections are refused and cut", (PHONE,)),
    "network_gone": Fault("there is no network at all (in real time: refused at once)", (PHONE,)),
    "network_hangs": Fault("taken, and never answered", (PHONE,)),
    "network_slow": Fault(
        "`latency_ms` each way (in virtual time: up to that)",
        (PHONE,),
        (Value("latency_ms", 1, 60_000, "milliseconds"),),
        drawn=(500, 2000, 6000),
    ),
    "network_captive": Fault("a login page answers in the centre's place", (PHONE,)),
    "network_lies": Fault("whoever answers in the centre's place says that all is well", (PHONE,)),
    "network_redirects": Fault("everything is redirected to another address", (PHONE,)),
    "requests_doubled": Fault("every request arrives twice", (PHONE,), worlds=(VIRTUAL,)),
    "answers_lost": Fault("the centre is asked, and its answers get lost", (PHONE,)),
    "certificate_expired": Fault("whoever answers has an expired certificate", (PHONE,), worlds=(REAL,)),
    "certificate_foreign": Fault("whoever answers has a certificate of somebody else's", (PHONE,)),
    "centre_answers": Fault(
        "everything is answered with `status`", (PHONE,), (Value("status", 400, 599),), drawn=(502,)
    ),
    "phone_asleep": Fault("its system listens half a second in ten", (PHONE,)),
    "phone_off": Fault(
        "it is switched off in an orderly way; on again after `for_ms`", (PHONE,), worlds=(REAL,)
    ),
    "phone_killed": Fault("its bridge is killed; back after `for_ms`", (PHONE,)),
    "phone_killed_at": Fault(
        "its bridge is killed at database statement number `statement` from then on",
        (PHONE,),
        (Value("statement", 0, 10_000),),
        worlds=(VIRTUAL,),
        drawn=tuple(range(40)),
    ),
    "phone_power_cut": Fault("its power fails, and takes what was not synced", (PHONE,), worlds=(VIRTUAL,)),
    "phone_disk_full": Fault("to the last byte. In real time it needs root, for a small disk", (PHONE,)),
    "phone_disk_slow": Fault(
        "each access takes up to `access_ms`",
        (PHONE,),
        (Value("access_ms", 1, 60_000, "milliseconds"),),
        worlds=(VIRTUAL,),
        drawn=(300, 3000, 10_000),
    ),
    "phone_disk_damaged": Fault(
        "its bridge is killed, and a bit or a sector of its journal is damaged that no press needs",
        (PHONE,),
        worlds=(VIRTUAL,),
    ),
    "adapter_gone": Fault("Bluetooth vanishes", (PHONE,)),
    "bluetooth_late": Fault(
        "its Bluetooth service starts and stops to listen `late_ms` after it was asked, and answers then",
        (PHONE,),
        (Value("late_ms", 1, 60_000, "milliseconds"),),
        worlds=(VIRTUAL,),
        drawn=(2000, 12_000, 30_000),
    ),
    "out_of_reach": Fault("the phone is 400 m away", (PHONE,)),
    "clock_jumps": Fault(
        "by `by_ms`; back after `for_ms`. In real time it needs libfaketime (`apt-get install faketime`)",
        (PHONE, CENTRE),
        (Value("by_ms", -_YEARS_MS, _YEARS_MS, "milliseconds"),),
        drawn=(*_CLOCKS_MS, -_YEARS_MS, -600 * _DAY_MS, -11_000, 61_000, 600 * _DAY_MS, _YEARS_MS),
    ),
    "clock_drifts": Fault(
        "it is too fast by this `part` from then on",
        (PHONE, BUTTON),
        (Value("part", -0.1, 0.1, is_whole=False),),
        worlds=(VIRTUAL,),
        lasts=False,
        drawn=(-0.03, -0.001, 0.001, 0.03),
    ),
    "centre_killed": Fault("SIGKILL; back after `for_ms`", (CENTRE,)),
    "centre_killed_at": Fault(
        "SIGKILL at database statement number `statement` from then on",
        (CENTRE,),
        (Value("statement", 0, 10_000),),
        worlds=(VIRTUAL,),
        drawn=tuple(range(40)),
    ),
    "centre_power_cut": Fault("its power fails, and takes what was not synced", (CENTRE,), worlds=(VIRTUAL,)),
    "centre_disk_full": Fault("to the last byte. In real time it needs root, for a small disk", (CENTRE,)),
    "centre_disk_slow": Fault(
        "each access takes up to `access_ms`",
        (CENTRE,),
        (Value("access_ms", 1, 60_000, "milliseconds"),),
        worlds=(VIRTUAL,),
        drawn=(300, 3000, 10_000),
    ),
    "flood": Fault(
        "`bridges` other bridges send signs of life as fast as they are answered",
        (CENTRE,),
        (Value("bridges", 1, 1000),),
        worlds=(REAL,),
    ),
    "power_cut": Fault("the button's battery is out for `for_ms`", (BUTTON,)),
    "power_cut_at": Fault(
        "the battery is out at operation number `operation` of the button's flash from then on",
        (BUTTON,),
        (Value("operation", 0, 10_000),),
        drawn=tuple(range(10)),
    ),
    "brown_out": Fault(
        "the button's battery gives in whenever its motor starts, which ends its program; it comes back by "
        "itself, and `keeps` its clock and RTC memory (`clock`), or `nothing` but flash",
        (BUTTON,),
        (Value("keeps", words=(RTC_KEPT, ALL_LOST)),),
        drawn=(RTC_KEPT, ALL_LOST),
    ),
    "button_late": Fault(
        "its program gets its turn up to `late_ms` late: flash is erased, its processor is busy",
        (BUTTON,),
        (Value("late_ms", 1, 124, "milliseconds"),),
        worlds=(VIRTUAL,),
        drawn=(60, 124),
    ),
    "button_reset": Fault("the button's reset pin is touched", (BUTTON,), lasts=False),
    "button_destroyed": Fault("the button is broken for good", (BUTTON,), lasts=False),
    "flash_fails": Fault("the button's flash cannot be written", (BUTTON,), worlds=(VIRTUAL,)),
    "radio_loss": Fault(
        "share of packets lost: `loss` (1: jammed)", (), (_share("loss"),), drawn=(0.3, 0.5, 0.8, 1.0)
    ),
    "interference": Fault(
        "Wi-Fi fills these shares of channels 37, 38 and 39: `busy` (`[0.5, 0.5, 0.95]`)",
        (),
        (_share("busy", 3),),
        worlds=(REAL,),
    ),
    "strangers": Fault(
        "`count` phones that connect to whatever advertises; `manner`: they stay, linger though let go, "
        "forge receipts, repeat what they overheard or shout old codes (in real time they stay or linger)",
        (BUTTON,),
        (Value("manner", words=STRANGERS, default="stay"), Value("count", 1, 3, default=1)),
        drawn=STRANGERS,
    ),
    "impostors": Fault(
        "`count` devices send the code that is on the air, take the link and answer each write; who reads "
        "their *state* is shown `shows`: rubbish, an echo of what was written, or nothing",
        (BUTTON,),
        (Value("shows", words=SHOWN), Value("count", 1, 10, default=1)),
        drawn=SHOWN,
    ),
    "wifi_gone": _direct("no access point is in the button's reach"),
    "wifi_twin": _direct(
        "a nearer access point has the name of the button's network, and `knows` its `passphrase` (then it "
        "answers in the centre's place) or `nothing`",
        Value("knows", words=(NOTHING, PASSPHRASE), default=NOTHING),
        drawn=(NOTHING, PASSPHRASE),
    ),
    "wifi_captive": _direct("a login page answers the button's HTTPS and names; its datagrams are dropped"),
    "dhcp_silent": _direct("the button's network gives it no address"),
    "uplink_dead": _direct("the button's network gives it an address, and leads nowhere"),
    "udp_blocked": _direct("the button's network drops its datagrams; HTTPS goes through"),
    "udp_lossy": _direct(
        "this `part` of the button's datagrams is lost, each way", _share("part"), drawn=(0.3, 0.7)
    ),
    "udp_doubled": _direct("each of the button's datagrams arrives twice, each way"),
    "udp_reordered": _direct("the button's datagrams overtake each other"),
    "udp_late": _direct(
        "the button's datagrams take up to `latency_ms` longer, each way",
        Value("latency_ms", 1, 60_000, "milliseconds"),
        drawn=(500, 3000, 25_000),
    ),
    "nat_forgets": _direct(
        "the button's router forgets a datagram's way back after `after_ms`; the next one has another port",
        Value("after_ms", 1, 300_000, "milliseconds"),
        drawn=(300, 5000, 15_000),
    ),
    "wifi_browns_out": _direct(
        "the button's battery gives in whenever its Wi-Fi sends, which ends its program; it comes back by "
        "itself, and `keeps` its clock and RTC memory (`clock`), or `nothing` but flash",
        Value("keeps", words=(RTC_KEPT, ALL_LOST)),
        drawn=(RTC_KEPT, ALL_LOST),
    ),
    "wifi_no_memory": _direct("the button has no memory for Wi-Fi: `WiFi Out of Memory`, `ENOMEM`"),
    "cell_gone": _direct("no cell is in the reach of the button's modem"),
    "cell_denied": _direct("the cell refuses the SIM of the button's modem"),
    "modem_silent": _direct("the button's modem answers nothing"),
    "modem_resets": _direct("the button's modem begins anew in the middle of what it does"),
    "modem_garbage": _direct("the button's modem says what nobody can read"),
    "state_passed_on": Fault(
        "a device sends the code that is on the air, takes the link and answers each write; who reads its "
        "*state* is shown the button's own, read from it at that moment",
        (BUTTON,),
        worlds=(VIRTUAL,),
    ),
    "receiver_date": Fault(
        "the phone's satellite receiver says another `date`: 1,024 weeks back (`rollover`), in `1980`, in "
        "`2099`, or `none`; it is at the phone's `fix`",
        (PHONE,),
        (Value("date", words=DATES),),
        drawn=DATES,
    ),
}


def drawn_for(what: str, who: str) -> tuple[float | str, ...]:
    """Return what a random schedule may draw for it: nobody sets a centre's clock by years."""
    return _CLOCKS_MS if (what, who) == ("clock_jumps", CENTRE) else FAULTS[what].drawn


def value_of(what: str, values: dict[str, float | str]) -> float | str:
    """Return the value of a schedule's step from the keys of a scenario's fault."""
    takes = FAULTS[what].takes
    return values[takes[0].key] if takes else 0


def values_of(what: str, value: float | str) -> dict[str, float | str]:
    """Return the keys of a scenario's fault from the value of a schedule's step."""
    takes = FAULTS[what].takes
    return {takes[0].key: value} if takes else {}


# Those of the button's own ways to the centre.
WIFI_FAULTS = tuple(what for what in FAULTS if what.startswith(("wifi_", "dhcp_", "uplink_")))
UDP_FAULTS = tuple(what for what in FAULTS if what.startswith(("udp_", "nat_")))
LTE_FAULTS = tuple(what for what in FAULTS if what.startswith(("cell_", "modem_")))
DIRECT_FAULTS = (*WIFI_FAULTS, *UDP_FAULTS, *LTE_FAULTS)
