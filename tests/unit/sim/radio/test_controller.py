"""Radios on the air, driven by HCI commands in virtual time."""

import asyncio
import selectors
from collections.abc import Coroutine
from itertools import pairwise
from typing import Any, TypeVar

import pytest
from bumble import hci

from sim.radio.air import Air, AirController, Medium, OnAir

T = TypeVar("T")
Kind = hci.HCI_LE_Advertising_Report_Event.EventType
DATA = bytes.fromhex("020106")
ADDRESS = hci.Address("C0:00:00:00:00:01")
PHONE, STRANGER = hci.Address("C0:00:00:00:00:02"), hci.Address("C0:00:00:00:00:03")


class VirtualTime(selectors.SelectSelector):
    """Where nothing is to be done, the next timer is due at once."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        assert timeout is not None, "nothing will ever happen again"
        self.now_s += timeout
        return super().select(0)


def virtually(run: Coroutine[Any, Any, T]) -> T:
    selector = VirtualTime()
    loop = asyncio.SelectorEventLoop(selector)
    loop.time = lambda: selector.now_s  # type: ignore[method-assign]
    try:
        return loop.run_until_complete(run)
    finally:
        loop.close()


class Host:
    """The other end of a controller's HCI: keeps all events."""

    def __init__(self, controller: AirController, address: hci.Address) -> None:
        self.controller = controller
        self.events: list[Any] = []
        controller.set_packet_sink(self)
        self.command(hci.HCI_LE_Set_Random_Address_Command(random_address=address))

    def on_packet(self, packet: bytes) -> None:
        self.events.append(hci.HCI_Packet.from_bytes(packet))

    def command(self, command: Any) -> None:
        self.controller.on_packet(bytes(command))

    def of(self, event: type[Any]) -> list[Any]:
        return [seen for seen in self.events if isinstance(seen, event)]

    def reports(self) -> list[tuple[Kind, hci.Address, bytes]]:
        """But for empty scan responses, which an active scanner is told of, too."""
        events = self.of(hci.HCI_LE_Advertising_Report_Event)
        return [(Kind(r.event_type), r.address, r.data) for event in events for r in event.reports if r.data]

    def advertise(self, kind: Kind = Kind.ADV_IND, slots: int = 32, response: bytes = b"") -> None:
        self.command(
            hci.HCI_LE_Set_Advertising_Parameters_Command(
                advertising_interval_min=slots,
                advertising_interval_max=slots,
                advertising_type=kind,
                own_address_type=1,
                peer_address_type=0,
                peer_address=hci.Address.ANY,
                advertising_channel_map=7,
                advertising_filter_policy=0,
            )
        )
        self.command(hci.HCI_LE_Set_Advertising_Data_Command(advertising_data=DATA))
        self.command(hci.HCI_LE_Set_Scan_Response_Data_Command(scan_response_data=response))
        self.command(hci.HCI_LE_Set_Advertising_Enable_Command(advertising_enable=1))

    def scan(self, active: bool = True, filter_duplicates: bool = False) -> None:
        self.command(hci.HCI_LE_Set_Scan_Enable_Command(le_scan_enable=0, filter_duplicates=0))
        self.command(
            hci.HCI_LE_Set_Scan_Parameters_Command(
                le_scan_type=int(active),
                le_scan_interval=96,
                le_scan_window=96,
                own_address_type=1,
                scanning_filter_policy=0,
            )
        )
        enable = hci.HCI_LE_Set_Scan_Enable_Command(
            le_scan_enable=1, filter_duplicates=int(filter_duplicates)
        )
        self.command(enable)

    def connect(self, address: hci.Address = ADDRESS) -> None:
        self.command(
            hci.HCI_LE_Create_Connection_Command(
                le_scan_interval=96,
                le_scan_window=96,
                initiator_filter_policy=0,
                peer_address_type=1,
                peer_address=address,
                own_address_type=1,
                connection_interval_min=24,
                connection_interval_max=40,
                max_latency=0,
                supervision_timeout=42,
                min_ce_length=0,
                max_ce_length=0,
            )
        )


async def world(**medium: Any) -> tuple[Air, Host, Host]:
    air = Air(Medium(**medium), clock=lambda: asyncio.get_running_loop().time() * 1000)
    return air, Host(air.controller("button"), ADDRESS), Host(air.controller("phone"), PHONE)


@pytest.mark.parametrize(("slots", "interval_ms"), [(32, 20.0), (244, 152.5), (16384, 10240.0)])
def test_the_interval_is_in_units_of_0_625_ms(slots: int, interval_ms: float) -> None:
    """Each gap is the interval plus an advDelay of 0 to 10 ms, and the delays differ."""

    async def run() -> list[OnAir]:
        air, button, _ = await world()
        adverts: list[OnAir] = []
        air.on_advert(adverts.append)
        button.advertise(slots=slots)
        await asyncio.sleep(200 * interval_ms / 1000)
        await air.close()
        return adverts

    times = [advert.at_ms for advert in virtually(run())]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert times[0] == 0
    assert all(interval_ms - 0.001 <= gap <= interval_ms + 10 for gap in gaps)
    assert max(gaps) - min(gaps) > 5


@pytest.mark.parametrize("kind", [Kind.ADV_IND, Kind.ADV_SCAN_IND, Kind.ADV_NONCONN_IND])
def test_every_kind_of_advert_is_reported_as_what_it_is(kind: Kind) -> None:
    """The HCI event type is the PDU's, and no scan response is made up."""

    async def run() -> Host:
        air, button, phone = await world()
        phone.scan()
        button.advertise(kind)
        await asyncio.sleep(1)
        await air.close()
        return phone

    assert set(virtually(run()).reports()) == {(kind, ADDRESS, DATA)}


def test_a_scan_response_only_comes_to_those_who_ask() -> None:
    """An active scanner gets it, a passive one does not, and ADV_NONCONN_IND has none.

    An empty one is an answer, too: Linux waits for it before it passes the advert on.
    """

    async def kinds(active: bool, kind: Kind, response: bytes = b"\x02\x0a\x00") -> set[Kind]:
        air, button, phone = await world()
        phone.scan(active)
        button.advertise(kind, response=response)
        await asyncio.sleep(1)
        await air.close()
        events = phone.of(hci.HCI_LE_Advertising_Report_Event)
        return {Kind(report.event_type) for event in events for report in event.reports}

    assert virtually(kinds(True, Kind.ADV_IND)) == {Kind.ADV_IND, Kind.SCAN_RSP}
    assert virtually(kinds(True, Kind.ADV_IND, b"")) == {Kind.ADV_IND, Kind.SCAN_RSP}
    assert virtually(kinds(False, Kind.ADV_IND)) == {Kind.ADV_IND}
    assert virtually(kinds(True, Kind.ADV_NONCONN_IND)) == {Kind.ADV_NONCONN_IND}


def test_duplicates_are_reported_again_only_when_they_change() -> None:
    """The controller's filter: once per address and data, anew after enabling again."""

    async def run() -> list[int]:
        air, button, phone = await world()
        counts = []
        phone.scan(filter_duplicates=True)
        button.advertise()
        await asyncio.sleep(1)
        counts.append(len(phone.reports()))
        button.command(hci.HCI_LE_Set_Advertising_Data_Command(advertising_data=b"\x02\x01\x04"))
        await asyncio.sleep(1)
        counts.append(len(phone.reports()))
        phone.scan(filter_duplicates=True)
        await asyncio.sleep(1)
        counts.append(len(phone.reports()))
        await air.close()
        return counts

    assert virtually(run()) == [1, 2, 3]


def test_loss_and_duty_reach_the_controllers_and_repeat_with_the_seed() -> None:
    """The same seed twice: the same packets with the same RSSI, and about half of them."""

    async def run(seed: int) -> list[int]:
        air, button, phone = await world(seed=seed, loss=0.5)
        phone.scan()
        button.advertise()
        await asyncio.sleep(20)
        await air.close()
        reports = [r for event in phone.of(hci.HCI_LE_Advertising_Report_Event) for r in event.reports]
        return [report.rssi for report in reports if report.event_type == Kind.ADV_IND]

    heard = virtually(run(5))
    assert heard == virtually(run(5))
    assert heard != virtually(run(6))
    assert len(heard) == pytest.approx(400, rel=0.15)
    assert len(set(heard)) > 3


def test_a_profile_overrules_what_the_host_asks_for() -> None:
    """An app on a sleeping phone asks to listen always; the system lets it for 5 % of the time."""

    async def run() -> int:
        air, button, _ = await world()
        phone = Host(air.controller("sleeper", "android-sleeping"), hci.Address("C0:00:00:00:00:04"))
        phone.scan()
        button.advertise()
        await asyncio.sleep(102.4)
        await air.close()
        return len(phone.reports())

    assert virtually(run()) == pytest.approx(102_400 / 25 * 0.05, rel=0.1)


def test_a_connection_is_made_with_the_advertiser_it_names_only() -> None:
    """Two advertise, one is called; the other goes on advertising and hears nothing of it."""

    async def run() -> None:
        air, button, phone = await world()
        other = Host(air.controller("other"), hci.Address("C0:00:00:00:00:03"))
        button.advertise()
        other.advertise()
        phone.connect()
        await asyncio.sleep(1)
        for host in (button, phone):
            (complete,) = host.of(hci.HCI_LE_Connection_Complete_Event)
            assert complete.status == 0
        assert not other.of(hci.HCI_LE_Connection_Complete_Event)
        assert other.controller.is_advertising
        assert not button.controller.is_advertising
        await air.close()

    virtually(run())


@pytest.mark.parametrize("kind", [Kind.ADV_SCAN_IND, Kind.ADV_NONCONN_IND])
def test_what_is_not_connectable_is_not_connected(kind: Kind) -> None:
    """The attempt waits; cancelled, it is answered with Unknown Connection Identifier."""

    async def run() -> list[Any]:
        air, button, phone = await world()
        button.advertise(kind)
        phone.connect()
        await asyncio.sleep(1)
        assert not phone.of(hci.HCI_LE_Connection_Complete_Event)
        phone.command(hci.HCI_LE_Create_Connection_Cancel_Command())
        await asyncio.sleep(1)
        await air.close()
        return phone.of(hci.HCI_LE_Connection_Complete_Event)

    assert [event.status for event in virtually(run())] == [
        hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR
    ]


@pytest.mark.parametrize("how", ["removed", "reset"])
def test_a_peer_that_falls_silent_is_lost_after_the_supervision_timeout(how: str) -> None:
    """Its process died, or its controller was reset: 0x08, after the 420 ms that were agreed."""

    async def run() -> None:
        air, button, phone = await world()
        button.advertise()
        phone.connect()
        await asyncio.sleep(1)
        if how == "removed":
            air.remove(button.controller)
        else:
            button.command(hci.HCI_Reset_Command())
        await asyncio.sleep(0.4)
        assert not phone.of(hci.HCI_Disconnection_Complete_Event)
        await asyncio.sleep(0.1)
        (lost,) = phone.of(hci.HCI_Disconnection_Complete_Event)
        assert lost.reason == hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR
        assert not button.of(hci.HCI_Disconnection_Complete_Event)
        await air.close()

    virtually(run())


def test_a_central_that_lingers_is_linked_until_its_supervision_timeout() -> None:
    """It does not answer when it is let go; when it goes itself, the link ends at once."""

    async def run() -> None:
        air, button, _ = await world()
        stranger = Host(air.controller("stranger", "desktop-lingering"), STRANGER)
        for who, waits_s in ((button, 0.42), (stranger, 0.0)):
            hosts = (button, stranger)
            before = [len(host.of(hci.HCI_Disconnection_Complete_Event)) for host in hosts]
            button.advertise()
            stranger.connect()
            await asyncio.sleep(1)
            handle = who.of(hci.HCI_LE_Connection_Complete_Event)[-1].connection_handle
            who.command(hci.HCI_Disconnect_Command(connection_handle=handle, reason=0x13))
            for after_s, ended in ((0.1, waits_s < 0.1), (0.4, True)):
                await asyncio.sleep(after_s)
                now = [len(host.of(hci.HCI_Disconnection_Complete_Event)) for host in hosts]
                assert now == [count + ended for count in before]
        await air.close()

    virtually(run())


def test_a_link_ends_when_one_walks_out_of_reach_and_not_before() -> None:
    """Both are told, by the supervision timeout; a moment behind a pillar ends nothing."""

    async def run() -> None:
        away_m = [1.0]
        air, button, phone = await world(distance_m=lambda _one, _other: away_m[0])
        button.advertise()
        phone.connect()
        for walk_m, for_s, ended in ((1.0, 5, 0), (400.0, 0.3, 0), (1.0, 5, 0), (400.0, 1.5, 1)):
            away_m[0] = walk_m
            await asyncio.sleep(for_s)
            for host in (button, phone):
                lost = host.of(hci.HCI_Disconnection_Complete_Event)
                assert [one.reason for one in lost] == [hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR] * ended
        await air.close()

    virtually(run())


def test_reset_is_a_reset() -> None:
    """Afterwards nothing is sent and nothing is heard."""

    async def run() -> tuple[int, int]:
        air, button, phone = await world()
        adverts: list[OnAir] = []
        air.on_advert(adverts.append)
        button.advertise()
        phone.scan()
        phone.command(hci.HCI_Reset_Command())
        await asyncio.sleep(1)
        button.command(hci.HCI_Reset_Command())
        sent = len(adverts)
        await asyncio.sleep(1)
        await air.close()
        return len(adverts) - sent, len(phone.reports())

    assert virtually(run()) == (0, 0)


def test_a_new_address_is_refused_while_advertising() -> None:
    """[Vol 4, Part E, 7.8.4] Command Disallowed, and the air goes on with the old one."""

    async def run() -> set[str]:
        air, button, _ = await world()
        seen: set[str] = set()
        air.on_advert(lambda advert: seen.add(advert.address))
        button.advertise()
        button.command(hci.HCI_LE_Set_Random_Address_Command(random_address=PHONE))
        await asyncio.sleep(1)
        await air.close()
        answer = button.of(hci.HCI_Command_Complete_Event)[-1]
        assert answer.return_parameters.status == hci.HCI_ErrorCode.COMMAND_DISALLOWED_ERROR
        return seen

    assert virtually(run()) == {"C0:00:00:00:00:01"}


@pytest.mark.parametrize("slots", [31, 16385])
def test_an_interval_out_of_range_is_refused(slots: int) -> None:
    """[7.8.5] 20 ms to 10.24 s."""

    async def run() -> None:
        air, button, _ = await world()
        button.advertise(slots=slots)
        await asyncio.sleep(0.001)
        refused = button.of(hci.HCI_Command_Complete_Event)[1].return_parameters.status
        assert refused == hci.HCI_ErrorCode.INVALID_COMMAND_PARAMETERS_ERROR
        await air.close()

    virtually(run())


def test_an_unknown_command_is_answered() -> None:
    """A host that asks for what is not there does not wait for ever."""

    async def run() -> list[int]:
        air, button, _ = await world()
        button.command(hci.HCI_Read_Remote_Version_Information_Command(connection_handle=1))
        button.command(hci.HCI_Disconnect_Command(connection_handle=1, reason=0x13))
        await asyncio.sleep(0.001)
        await air.close()
        return [status.status for status in button.of(hci.HCI_Command_Status_Event)]

    assert virtually(run()) == [
        hci.HCI_ErrorCode.UNKNOWN_HCI_COMMAND_ERROR,
        hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR,
    ]


def test_two_that_begin_at_the_same_moment_drown_each_other_once() -> None:
    """Their first packets meet on every channel; advDelay, which is there for this, parts them."""

    async def run() -> tuple[list[OnAir], Host]:
        air, button, phone = await world()
        other = Host(air.controller("other"), hci.Address("C0:00:00:00:00:03"))
        sent: list[OnAir] = []
        air.on_advert(sent.append)
        phone.scan(active=False)
        button.advertise()
        other.advertise()
        await asyncio.sleep(0.4)
        await air.close()
        return sent, phone

    sent, phone = virtually(run())
    met = sum(
        abs(one.at_ms - two.at_ms) < 0.296
        for one in sent
        for two in sent
        if (one.transmitter, two.transmitter) == ("button", "other")
    )
    assert met >= 1
    assert len(phone.reports()) == len(sent) - 2 * met
