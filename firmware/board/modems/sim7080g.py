"""SIMCom SIM7080G (also SIM7070G and SIM7090G), with its own sockets."""

from firmware.board.modem import PAYLOAD, fields, number, registered, sim, tries
from wire import direct

HEAD = b"+CARECV: "
INLINE = True
RINGS = b"+CADATAIND: 0"
CLOSED = b"+CASTATE: 0,0"
RESTARTED = (b"RDY", b"NORMAL POWER DOWN", b"+APP PDP: 0,DEACTIVE")
TRIES = b"+SPIC:"
TRIES_FIELDS = 1
KEY_MS = 1100  # 1 s switches on; awake, 1.2 s would switch off

START = (
    ("E0", None, 1000, 0, direct.SILENT),
    ("+CMEE=1", None, 1000, 0, 0),
    ("+CPIN?", sim, 15_000, 1000, direct.SIM),
    ("+CSCLK=0", None, 1000, 0, 0),  # else it sleeps while it is spoken to
    ('+CGDCONT=1,"IP","{apn}"', None, 3000, 0, 0),
    ('+CPSMS=1,,,"00111000","00001010"', None, 3000, 0, 0),  # 24 h; 20 s awake, as answers are held
    ("+CEREG=2", None, 1000, 0, 0),
)
PIN = (
    ("+SPIC", tries, 3000, 0, 0),
    ('+CPIN="{pin}"', None, 8000, 0, direct.PIN),
)
# The context looks up after PSM and is not: activating it again costs nothing, asking whether it is lies.
NET = (
    ("+CEREG?", registered, 180_000, 1000, direct.NOT_SEEN),
    ("+CPSI?", None, 2000, 0, 0),
    ('+CNCFG=0,1,"{apn}"', None, 3000, 0, 0),
    ("+CNACT=0,1", b"+APP PDP: 0,ACTIVE", 12_000, 0, 0),
    ('+CAOPEN=0,0,"UDP","{host}",{port}', b"+CAOPEN: 0,0", 30_000, 0, direct.NO_ADDRESS),
)
REDO = (
    ("+CACLOSE=0", None, 3000, 0, 0),
    ("+CNACT=0,0", None, 5000, 0, 0),
)
SEND = (("+CASEND=0,128", PAYLOAD, 5000, 0, direct.SILENT),)
RECV = (("+CARECV=0,256", None, 3000, 0, direct.SILENT),)
FIX = (
    ("+CFUN=4", None, 10_000, 0, 0),  # it has one receiver: GNSS beside LTE crashes it
    ("+CGNSPWR=1", None, 3000, 0, 0),
    ("+CGNSINF", b"+CGNSINF: 1,1,", 60_000, 2000, 0),
    ("+CGNSPWR=0", None, 3000, 0, 0),
    ("+CFUN=1", None, 10_000, 0, direct.SILENT),
)
REST = "+CACLOSE=0;+CSCLK=1"  # PSM follows by itself, where the network grants it
POWER_OFF = "+CPOWD=1"


def read(line: bytes, into: dict[str, int | None]) -> None:
    """Read what `line` says about the serving cell or a fix, if anything."""
    values = fields(line)
    if line.startswith(b"+CPSI: LTE") and len(values) > 11:
        into["kind"] = 2 if "NB" in values[0] else 1
        into["mcc"], into["mnc"] = number(values[2][:3]), number(values[2][4:])
        into["tac"], into["cell"] = number(values[3][2:], 1, 16), number(values[4])
        into["rsrp"] = number(values[11])
    elif line.startswith(b"+CGNSINF: 1,1,") and len(values) > 10:
        into["lat_e7"], into["lon_e7"] = number(values[3], 10**7), number(values[4], 10**7)
        into["radius_m"] = number(values[10], 10)  # ten times the HDOP
