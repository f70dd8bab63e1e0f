"""Bumble's controller and link, made to behave like radios (written against Bumble 0.0.236).

What Bumble's own do otherwise, and what is put right here: only ADV_IND, its interval in ms instead of
0.625 ms units, no advDelay; every advert echoed as a scan response; RSSI fixed; nothing is ever lost;
HCI_Reset resets nothing; data always sent from the controller's present random address, so that a link
made under an earlier one breaks; controllers kept in a set, so that their order is chance; a cancelled
connection attempt never answered. Legacy advertising only: it is all that MicroPython sends.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bumble import hci, ll
from bumble.controller import Connection, Controller, LegacyAdvertiser
from bumble.core import PhysicalTransport
from bumble.host import Host
from bumble.link import LocalLink

from sim.physics.medium import Duty, Medium, Reception, overlap

Kind = hci.HCI_LE_Advertising_Report_Event.EventType
Error = hci.HCI_ErrorCode

SLOT_US = 625  # the unit of advertising and scan intervals (Core 6.0, Vol 4, Part E, 7.8.5 and 7.8.10)
LOOK_MS = 250  # how often it is seen whether the two ends of a link are still in reach
DUPLICATES_MAX = 1024  # a controller's duplicate filter is small memory, too


@dataclass(frozen=True)
class Advert:
    """One advertising event as it goes out; `event` counts the sender's events from 0."""

    event: int
    kind: Kind
    address: hci.Address
    data: bytes
    scan_response: bytes


class LeanHost(Host):
    """Bumble's host without its debug lines: they format every packet in colour, logged or not, and that
    is two fifths of the time that a packet takes."""

    def send_hci_packet(self, packet: hci.HCI_Packet) -> None:
        if self.hci_sink:
            self.hci_sink.on_packet(bytes(packet))

    def on_hci_packet(self, packet: hci.HCI_Packet) -> None:
        if isinstance(packet, hci.HCI_Event):
            self.on_hci_event_packet(packet)
        elif isinstance(packet, hci.HCI_AclDataPacket):
            self.on_hci_acl_data_packet(packet)


Deliver = Callable[["AirController", Advert, Reception], None]


class Advertiser(LegacyAdvertiser):
    """Sends at once, then every advInterval + advDelay (Vol 6, Part B, 4.4.2.2)."""

    event = 0
    sent_s = due_s = -1.0  # never

    def start(self) -> None:
        self.stop()
        self.enabled = True
        loop = asyncio.get_running_loop()
        self.due_s = loop.time()
        self.timer_handle = loop.call_soon(self._send)

    def _send(self) -> None:
        controller = self.controller
        assert isinstance(controller, AirController)
        advert = Advert(
            self.event,
            Kind(self.advertising_type),
            self.address,
            self.advertising_data,
            self.scan_response_data,
        )
        controller.air_link.advertise(controller, advert, self.due_s)
        delay_us = controller.air_link.medium.adv_delay_us(controller.name, self.event)
        self.event += 1
        self.sent_s = self.due_s
        loop = asyncio.get_running_loop()
        # After a stall of the whole process the missed events are skipped, not sent in a burst.
        due_s = self.due_s + (self.advertising_interval_min * SLOT_US + delay_us) / 1e6
        self.due_s = max(due_s, loop.time())
        self.timer_handle = loop.call_at(self.due_s, self._send)


class AirConnection(Connection):
    """One end of a link; it knows the other end itself, whatever the addresses do meanwhile."""

    peer: "AirConnection"
    supervision_ms = 0

    @property
    def alive(self) -> bool:
        controller = self.controller
        assert isinstance(controller, AirController)
        return controller.le_connections.get(self.handle) is self

    def on_acl_pdu(self, pdu: bytes) -> None:
        asyncio.get_running_loop().call_soon(self.peer.receive, pdu)

    def receive(self, pdu: bytes) -> None:
        if self.alive:
            self.controller.send_hci_packet(hci.HCI_AclDataPacket(self.handle, 2, 0, len(pdu), pdu))

    def send_ll_control_pdu(self, packet: ll.ControlPdu) -> None:
        asyncio.get_running_loop().call_soon(self.peer.receive_control, packet)

    def receive_control(self, packet: ll.ControlPdu) -> None:
        if self.alive:
            assert isinstance(self.controller, AirController)
            self.controller.on_control(self, packet)


class AirController(Controller):
    """A radio on the air. `profile` overrules the scan window and interval that the host asks for."""

    le_features = (
        hci.LeFeatureMask.LE_ENCRYPTION
        | hci.LeFeatureMask.CONNECTION_PARAMETERS_REQUEST_PROCEDURE
        | hci.LeFeatureMask.PERIPHERAL_INITIATED_FEATURE_EXCHANGE
        | hci.LeFeatureMask.LE_DATA_PACKET_LENGTH_EXTENSION
    )
    le_acl_data_packet_length = 251
    link: "AirLink"
    # By handle. Bumble's are by peer address; but one phone may hold two links to one button, made under
    # two of the button's addresses.
    le_connections: dict[int, AirConnection]  # type: ignore[assignment]

    def __init__(self, name: str, link: "AirLink", public_address: hci.Address, profile: Duty | None) -> None:
        self.profile = profile
        self._reported: dict[tuple[hci.Address, Kind], bytes] = {}
        self._handle_last = 0
        self._accept_list: list[hci.Address] = []
        super().__init__(name, link=link, public_address=public_address)
        self.air_link = link
        self.le_legacy_advertiser = Advertiser(self)

    # ---- HCI packets; as in LeanHost without the debug lines

    def on_hci_packet(self, packet: hci.HCI_Packet) -> None:
        if isinstance(packet, hci.HCI_Command):
            self.on_hci_command_packet(packet)
        elif isinstance(packet, hci.HCI_AclDataPacket):
            self.on_hci_acl_data_packet(packet)

    def send_hci_packet(self, packet: hci.HCI_Packet) -> None:
        if self.hci_sink is not None:
            asyncio.get_running_loop().call_soon(self.hci_sink.on_packet, bytes(packet))

    # ---- what it hears

    def ears(self) -> list[tuple[Duty, Deliver]]:
        """How it listens at this moment, and who takes what is heard."""
        ears: list[tuple[Duty, Deliver]] = []
        if self.le_scan_enable:
            asked = Duty(self.le_scan_window * SLOT_US, self.le_scan_interval * SLOT_US)
            ears.append((self.profile or asked, self._scan))
        if (command := self.pending_le_connection) is not None:
            assert isinstance(command, hci.HCI_LE_Create_Connection_Command)
            ears.append(
                (Duty(command.le_scan_window * SLOT_US, command.le_scan_interval * SLOT_US), self._initiate)
            )
        return ears

    def _scan(self, sender: "AirController", advert: Advert, reception: Reception) -> None:
        if not self.le_scan_enable:
            return
        self._report(advert.kind, advert.address, advert.data, reception.rssi_dbm)
        scannable = advert.kind in (Kind.ADV_IND, Kind.ADV_SCAN_IND)
        asks = scannable and self.le_scan_type == 1  # 1: active scanning
        if asks and self.air_link.medium.answers(sender.name, self.name, advert.event):
            # An empty answer is one, too: Linux keeps an advert to itself until it has the answer.
            self._report(Kind.SCAN_RSP, advert.address, advert.scan_response, reception.rssi_dbm)

    def _report(self, kind: Kind, address: hci.Address, data: bytes, rssi_dbm: int) -> None:
        if self.filter_duplicates:
            if self._reported.get((address, kind)) == data:
                return
            if len(self._reported) >= DUPLICATES_MAX:
                self._reported.clear()
            self._reported[address, kind] = data
        report = hci.HCI_LE_Advertising_Report_Event.Report(
            event_type=kind, address_type=address.address_type, address=address, data=data, rssi=rssi_dbm
        )
        self.send_hci_packet(hci.HCI_LE_Advertising_Report_Event([report]))

    def _initiate(self, sender: "AirController", advert: Advert, _reception: Reception) -> None:
        command = self.pending_le_connection
        if command is None or advert.kind != Kind.ADV_IND or self._linked(advert.address):
            return
        assert isinstance(command, hci.HCI_LE_Create_Connection_Command)
        wanted = self._accept_list if command.initiator_filter_policy else [command.peer_address]
        if advert.address in wanted:
            self.air_link.connect(self, sender, advert.address)

    # ---- connections

    def accepts(self, address: hci.Address) -> bool:
        """Whether a CONNECT_IND to `address` finds a connectable advertiser here."""
        advertiser = self.le_legacy_advertiser
        return (
            advertiser.enabled
            and advertiser.advertising_type == Kind.ADV_IND
            and advertiser.address == address
        )

    def allocate_connection_handle(self) -> int:
        # Never the one just freed: a late packet of the old link must not reach the new one.
        while True:
            self._handle_last = self._handle_last % 0xEFF + 1
            if self._handle_last not in self.le_connections:
                return self._handle_last

    def open(self, role: hci.Role, own: hci.Address, peer: hci.Address) -> AirConnection:
        """One end of a new link; `announce` tells the host."""
        connection = AirConnection(
            controller=self,
            handle=self.allocate_connection_handle(),
            role=role,
            self_address=own,
            peer_address=peer,
            link=self.air_link,
            transport=PhysicalTransport.LE,
            link_type=hci.HCI_Connection_Complete_Event.LinkType.ACL,
        )
        self.le_connections[connection.handle] = connection
        return connection

    def announce(self, connection: Connection, command: hci.HCI_LE_Create_Connection_Command) -> None:
        self.send_hci_packet(
            hci.HCI_LE_Connection_Complete_Event(
                status=Error.SUCCESS,
                connection_handle=connection.handle,
                role=connection.role,
                peer_address_type=connection.peer_address.address_type,
                peer_address=connection.peer_address,
                connection_interval=command.connection_interval_max,
                peripheral_latency=command.max_latency,
                supervision_timeout=command.supervision_timeout,
                central_clock_accuracy=0,
            )
        )

    def on_control(self, connection: AirConnection, packet: ll.ControlPdu) -> None:
        """Bumble looks the connection up by the key that it is given."""
        self.on_ll_control_pdu(connection.handle, packet)  # type: ignore[arg-type]

    def on_le_disconnected(self, connection: Connection, reason: int) -> None:
        del self.le_connections[connection.handle]
        self.send_hci_packet(
            hci.HCI_Disconnection_Complete_Event(
                status=Error.SUCCESS, connection_handle=connection.handle, reason=reason
            )
        )

    def _linked(self, peer: hci.Address) -> bool:
        return any(connection.peer_address == peer for connection in self.le_connections.values())

    def lose(self, connection: AirConnection) -> None:
        """The other end has fallen silent for the supervision timeout (Vol 6, Part B, 4.5.2)."""
        if connection.alive:
            self.on_le_disconnected(connection, Error.CONNECTION_TIMEOUT_ERROR)

    def silence(self) -> None:
        """Stop sending and listening without a word, as when the power goes."""
        self.le_legacy_advertiser.stop()
        self.le_scan_enable = False
        self.pending_le_connection = None
        connections = list(self.le_connections.values())
        self.le_connections.clear()
        for connection in connections:
            self.air_link.later(connection.supervision_ms, connection.peer)

    # ---- HCI commands (Vol 4, Part E; clause numbers in brackets)

    def on_hci_reset_command(self, _command: hci.HCI_Reset_Command) -> hci.HCI_StatusReturnParameters:
        """[7.3.2] Everything back to the start; peers notice by the supervision timeout."""
        self.silence()
        self.le_legacy_advertiser = Advertiser(self)
        self._reported.clear()
        self._accept_list.clear()
        self.filter_duplicates = False
        self._random_address = hci.Address.ANY_RANDOM
        return _status(Error.SUCCESS)

    def on_hci_le_set_random_address_command(
        self, command: hci.HCI_LE_Set_Random_Address_Command
    ) -> hci.HCI_StatusReturnParameters:
        """[7.8.4] Disallowed while advertising, scanning or initiating."""
        if self.le_legacy_advertiser.enabled or self.le_scan_enable or self.pending_le_connection:
            return _status(Error.COMMAND_DISALLOWED_ERROR)
        return super().on_hci_le_set_random_address_command(command)

    def on_hci_le_set_advertising_parameters_command(
        self, command: hci.HCI_LE_Set_Advertising_Parameters_Command
    ) -> hci.HCI_StatusReturnParameters:
        """[7.8.5] 20 ms to 10.24 s; directed advertising is not on this air."""
        if self.le_legacy_advertiser.enabled:
            return _status(Error.COMMAND_DISALLOWED_ERROR)
        if command.advertising_type not in (Kind.ADV_IND, Kind.ADV_SCAN_IND, Kind.ADV_NONCONN_IND):
            return _status(Error.UNSUPPORTED_FEATURE_OR_PARAMETER_VALUE_ERROR)
        if not 0x20 <= command.advertising_interval_min <= command.advertising_interval_max <= 0x4000:
            return _status(Error.INVALID_COMMAND_PARAMETERS_ERROR)
        return super().on_hci_le_set_advertising_parameters_command(command)

    def on_hci_le_set_scan_parameters_command(
        self, command: hci.HCI_LE_Set_Scan_Parameters_Command
    ) -> hci.HCI_StatusReturnParameters:
        """[7.8.10] 2.5 ms to 10.24 s."""
        if not 4 <= command.le_scan_window <= command.le_scan_interval <= 0x4000:
            return _status(Error.INVALID_COMMAND_PARAMETERS_ERROR)
        return super().on_hci_le_set_scan_parameters_command(command)

    def on_hci_le_set_scan_enable_command(
        self, command: hci.HCI_LE_Set_Scan_Enable_Command
    ) -> hci.HCI_StatusReturnParameters:
        """[7.8.11] Enabling again starts the duplicate filter anew."""
        self._reported.clear()
        return super().on_hci_le_set_scan_enable_command(command)

    def on_hci_le_clear_filter_accept_list_command(
        self, _command: hci.HCI_LE_Clear_Filter_Accept_List_Command
    ) -> hci.HCI_StatusReturnParameters:
        """[7.8.15] As all changes to it: not while an attempt uses it."""
        if self._accept_list_in_use:
            return _status(Error.COMMAND_DISALLOWED_ERROR)
        self._accept_list.clear()
        return _status(Error.SUCCESS)

    def on_hci_le_add_device_to_filter_accept_list_command(
        self, command: hci.HCI_LE_Add_Device_To_Filter_Accept_List_Command
    ) -> hci.HCI_StatusReturnParameters:
        """[7.8.16]"""
        if self._accept_list_in_use:
            return _status(Error.COMMAND_DISALLOWED_ERROR)
        if len(self._accept_list) >= self.filter_accept_list_size:
            return _status(Error.MEMORY_CAPACITY_EXCEEDED_ERROR)
        self._accept_list.append(command.address)
        return _status(Error.SUCCESS)

    def on_hci_le_remove_device_from_filter_accept_list_command(
        self, command: hci.HCI_LE_Remove_Device_From_Filter_Accept_List_Command
    ) -> hci.HCI_StatusReturnParameters:
        """[7.8.17]"""
        if self._accept_list_in_use:
            return _status(Error.COMMAND_DISALLOWED_ERROR)
        self._accept_list = [address for address in self._accept_list if address != command.address]
        return _status(Error.SUCCESS)

    @property
    def _accept_list_in_use(self) -> bool:
        command = self.pending_le_connection
        return isinstance(command, hci.HCI_LE_Create_Connection_Command) and bool(
            command.initiator_filter_policy
        )

    def on_hci_le_create_connection_command(self, command: hci.HCI_LE_Create_Connection_Command) -> None:
        """[7.8.12] One attempt at a time, and no second link to the same peer."""
        if not command.initiator_filter_policy and self._linked(command.peer_address):
            return self._send_hci_command_status(Error.CONNECTION_ALREADY_EXISTS_ERROR, command.op_code)
        if not 4 <= command.le_scan_window <= command.le_scan_interval <= 0x4000:
            return self._send_hci_command_status(Error.INVALID_COMMAND_PARAMETERS_ERROR, command.op_code)
        return super().on_hci_le_create_connection_command(command)

    def on_hci_le_create_connection_cancel_command(
        self, _command: hci.HCI_LE_Create_Connection_Cancel_Command
    ) -> hci.HCI_StatusReturnParameters:
        """[7.8.13] The attempt ends with a connection complete event that says so."""
        command = self.pending_le_connection
        if command is None:
            return _status(Error.COMMAND_DISALLOWED_ERROR)
        self.pending_le_connection = None
        self.send_hci_packet(
            hci.HCI_LE_Connection_Complete_Event(
                status=Error.UNKNOWN_CONNECTION_IDENTIFIER_ERROR,
                connection_handle=0,
                role=hci.Role.CENTRAL,
                peer_address_type=command.peer_address.address_type,
                peer_address=command.peer_address,
                connection_interval=0,
                peripheral_latency=0,
                supervision_timeout=0,
                central_clock_accuracy=0,
            )
        )
        return _status(Error.SUCCESS)

    def on_hci_disconnect_command(self, command: hci.HCI_Disconnect_Command) -> None:
        """[7.1.6] The peer is told the reason; this side hears that it was its own doing.

        A peer that is gone or too far away answers no LL_TERMINATE_IND (Vol 6, Part B, 5.1.6): the link lasts
        to its supervision timeout. So it does with one that lingers, and then ends on both sides.
        """
        connection = self.le_connections.get(command.connection_handle)
        if connection is None:
            self._send_hci_command_status(Error.UNKNOWN_CONNECTION_IDENTIFIER_ERROR, command.op_code)
            return
        self._send_hci_command_status(Error.SUCCESS, command.op_code)
        if not self.air_link.is_in_reach(connection):
            return
        peer = connection.peer.controller
        if isinstance(peer, AirController) and getattr(peer.profile, "lingers", False):
            for end in (connection, connection.peer):
                self.air_link.later(connection.supervision_ms, end)
            return
        connection.send_ll_control_pdu(ll.TerminateInd(command.reason))
        self.on_le_disconnected(connection, Error.CONNECTION_TERMINATED_BY_LOCAL_HOST_ERROR)

    def on_hci_command(self, command: hci.HCI_Command) -> Any:
        """[7.7.15] An unknown command that is answered by status must get one, or its host waits for ever."""
        if isinstance(command, hci.HCI_SyncCommand):
            return _status(Error.UNKNOWN_HCI_COMMAND_ERROR)
        self._send_hci_command_status(Error.UNKNOWN_HCI_COMMAND_ERROR, command.op_code)
        return None


def _status(code: int) -> hci.HCI_StatusReturnParameters:
    return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode(code))


class AirLink(LocalLink):
    """Carries adverts as the medium says, and connections reliably and in order.

    A connection lives as long as both ends are in reach; what is sent as one walks out of it still arrives.
    A CONNECT_IND is never lost once its advert was heard: on a bad air it takes longer to hear one.
    Two initiators of one advert: the first to have heard it gets the link, the other waits on.
    """

    def __init__(self, medium: Medium, observe: Callable[[AirController, Advert], None]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Bumble's is not annotated
        self.controllers: list[AirController] = []  # type: ignore[assignment]  # Bumble's is a set
        self.medium = medium
        self._observe = observe
        self._epoch_s = asyncio.get_running_loop().time()
        self._timers: set[asyncio.TimerHandle] = set()

    def add_controller(self, controller: Controller) -> None:
        assert isinstance(controller, AirController)
        self.controllers.append(controller)

    def advertise(self, sender: AirController, advert: Advert, at_s: float) -> None:
        """One advertising event. `at_s` is when it was due: the medium's answer does not hang on our lag."""
        self._observe(sender, advert)
        at_us = self._us(at_s)
        rivals = [
            (other.name, other_us)
            for other in self.controllers
            if other is not sender
            for other_us in self._events_of(other)
            if overlap(at_us, other_us)
        ]
        arrivals: list[tuple[Reception, Deliver]] = []
        for receiver in self.controllers:
            if receiver is not sender:
                for duty, deliver in receiver.ears():
                    reception = self.medium.hears(
                        sender.name, receiver.name, advert.event, at_us, duty, rivals
                    )
                    if reception is not None:
                        arrivals.append((reception, deliver))
        # In the order of arrival, but at once: an event loop's timers are coarser than these delays.
        arrivals.sort(key=lambda arrival: arrival[0].delay_us)
        loop = asyncio.get_running_loop()
        for reception, deliver in arrivals:
            loop.call_soon(deliver, sender, advert, reception)

    def _us(self, at_s: float) -> int:
        return int((at_s - self._epoch_s) * 1e6)

    def _events_of(self, other: AirController) -> tuple[int, ...]:
        """When it sent last, and when it sends next; what it does is fixed that far ahead."""
        advertiser = other.le_legacy_advertiser
        if not isinstance(advertiser, Advertiser) or not advertiser.enabled:
            return ()
        return self._us(advertiser.sent_s), self._us(advertiser.due_s)

    def connect(self, central: AirController, peripheral: AirController, address: hci.Address) -> None:
        """CONNECT_IND from `central`'s pending attempt to the advertiser it names, and to nobody else."""
        command = central.pending_le_connection
        assert isinstance(command, hci.HCI_LE_Create_Connection_Command)
        public = command.own_address_type == hci.OwnAddressType.PUBLIC
        own = central.public_address if public else central.random_address
        if not peripheral.accepts(address):
            return
        central.pending_le_connection = None
        peripheral.le_legacy_advertiser.stop()
        upper = central.open(hci.Role.CENTRAL, own, address)
        lower = peripheral.open(hci.Role.PERIPHERAL, address, own)
        upper.peer, lower.peer = lower, upper
        upper.supervision_ms = lower.supervision_ms = command.supervision_timeout * 10
        peripheral.announce(lower, command)
        central.announce(upper, command)
        self._look_after(upper)

    def is_in_reach(self, connection: AirConnection) -> bool:
        """Return whether the other end is still there, and near enough to answer."""
        one, other = connection.controller.name, connection.peer.controller.name
        now_us = self._us(asyncio.get_running_loop().time())
        return connection.peer.alive and self.medium.reaches(one, other, now_us)

    def _look_after(self, connection: AirConnection, away_ms: int = 0) -> None:
        """Ends it when its two radios have been out of each other's reach for the supervision timeout."""

        def look() -> None:
            self._timers.discard(handle)
            ends = (connection, connection.peer)
            if not all(end.alive for end in ends):
                return
            silent_ms = 0 if self.is_in_reach(connection) else away_ms + LOOK_MS
            if silent_ms < connection.supervision_ms:
                self._look_after(connection, silent_ms)
            else:
                for end in ends:
                    assert isinstance(end.controller, AirController)
                    end.controller.lose(end)

        handle = asyncio.get_running_loop().call_later(LOOK_MS / 1000, look)
        self._timers.add(handle)

    def later(self, delay_ms: int, connection: AirConnection) -> None:
        """Tell the survivor `connection` after `delay_ms` that its peer has fallen silent."""

        def fire() -> None:
            self._timers.discard(handle)
            controller = connection.controller
            assert isinstance(controller, AirController)
            controller.lose(connection)

        handle = asyncio.get_running_loop().call_later(delay_ms / 1000, fire)
        self._timers.add(handle)

    def remove_controller(self, controller: Controller) -> None:
        assert isinstance(controller, AirController)
        if controller in self.controllers:
            self.controllers.remove(controller)
            controller.silence()

    def close(self) -> None:
        for controller in list(self.controllers):
            self.remove_controller(controller)
        for handle in self._timers:
            handle.cancel()
        self._timers.clear()
