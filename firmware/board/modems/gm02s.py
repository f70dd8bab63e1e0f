"""Sequans Monarch 2 GM02S, with its own sockets."""

from firmware.board.modem import PAYLOAD, fields, number, registered, sim, tries
from wire import direct

HEAD = b"+SQNSRECV: "
INLINE = False
RINGS = b"+SQNSRING: 1"
CLOSED = b"+SQNSH: 1"
RESTARTED = (b"+SYSSTART", b"+SHUTDOWN")
TRIES = b"+CPINR:"
TRIES_FIELDS = 2
KEY_MS = 100  # its reset

START = (
    ("E0", None, 1000, 0, direct.SILENT),
    ("+CMEE=1", None, 1000, 0, 0),
    ("+CFUN=1", None, 5000, 0, 0),
    ("+CPIN?", sim, 15_000, 1000, direct.SIM),
    ('+CGDCONT=1,"IP","{apn}"', None, 3000, 0, 0),
    ('+CPSMS=1,,,"00111000","00001010"', None, 3000, 0, 0),  # 24 h; 20 s awake, as answers are held
    ("+CEREG=2", None, 1000, 0, 0),
    ("+COPS=3,2", None, 3000, 0, 0),  # networks by their number
)
PIN = (
    ('+CPINR="SIM PIN"', tries, 3000, 0, 0),
    ('+CPIN="{pin}"', None, 8000, 0, direct.PIN),
)
NET = (
    ("+CEREG?", registered, 180_000, 1000, direct.NOT_SEEN),
    ("+COPS?", None, 3000, 0, 0),
    ("+CESQ", None, 2000, 0, 0),
    ("+SQNSCFG=1,1,300,90,600,50", None, 3000, 0, 0),
    ("+SQNSCFGEXT=1,1,0,0,0", None, 3000, 0, 0),  # says how much has come, and keeps it
    ('+SQNSD=1,1,{port},"{host}",0,0,1', None, 30_000, 0, direct.NO_ADDRESS),
)
REDO = (("+SQNSH=1", None, 3000, 0, 0),)
SEND = (
    ("+SQNSSENDEXT=1,128,2", PAYLOAD, 5000, 0, direct.SILENT),
)  # 2: one answer follows, then let go (RAI)
RECV = (("+SQNSRECV=1,256", None, 3000, 0, 0),)  # ERROR where nothing has come
FIX = (
    ("+SQNSH=1", None, 3000, 0, 0),
    ("+CFUN=4", None, 10_000, 0, 0),  # one receiver for both: a fix beside LTE ends as LTE_CONCURRENCY
    ("+LPGNSSCFG=0,2,2,,1", None, 3000, 0, 0),
    ('+LPGNSSFIXPROG="single"', b"+LPGNSSFIXREADY:", 60_000, 0, 0),
    ('+LPGNSSFIXPROG="stop"', None, 3000, 0, 0),
    ("+CFUN=1", None, 10_000, 0, direct.SILENT),
)
REST = "+SQNSH=1"  # PSM follows by itself, where the network grants it
POWER_OFF = "+CFUN=0"


def read(line: bytes, into: dict[str, int | None]) -> None:
    """Read what `line` says about the serving cell or a fix, if anything."""
    values = fields(line)
    if line.startswith(b"+CEREG:") and len(values) > 3:
        into["tac"], into["cell"] = number(values[-3], 1, 16), number(values[-2], 1, 16)
        into["kind"] = 2 if values[-1] == "9" else 1
    elif line.startswith(b"+COPS:") and len(values) > 2:
        into["mcc"], into["mnc"] = number(values[2][:3]), number(values[2][3:])
    elif line.startswith(b"+CESQ:") and len(values) > 5:
        level = number(values[5])
        into["rsrp"] = level - 141 if level is not None and level <= 97 else 0
    elif line.startswith(b"+LPGNSSFIXREADY:") and len(values) > 5:
        into["lat_e7"], into["lon_e7"] = number(values[4], 10**7), number(values[5], 10**7)
        into["radius_m"] = number(values[3])
