"""Sequans Monarch 2 GM02S, with its own sockets."""

from firmware.board.modem import fields, number

HEAD = b"+SQNSRECV: "
INLINE = False
RINGS = b"+SQNSRING: 1"
CLOSED = (b"+SQNSH: 1",)
RESTARTED = (b"+SYSSTART", b"+SHUTDOWN")
TRIES = b"+CPINR:"
TRIES_FIELDS = 2
KEY_MS = 100  # its reset

# CPSMS: 24 h; 20 s awake, as answers are held. COPS: networks by their number.
START = """
E0||1|0|SILENT
+CMEE=1||1|0|
+CFUN=1||5|0|
+CPIN?|sim|15|1|SIM
+CGDCONT=1,"IP","{apn}"||3|0|
+CPSMS=1,,,"00111000","00001010"||3|0|
+CEREG=2||1|0|
+COPS=3,2||3|0|
"""
PIN = """
+CPINR="SIM PIN"|tries|3|0|
+CPIN="{pin}"||8|0|PIN
"""
# SQNSCFGEXT: it says how much has come, and keeps it.
NET = """
+CEREG?|registered|180|1|NOT_SEEN
+COPS?||3|0|
+CESQ||2|0|
+SQNSCFG=1,1,300,90,600,50||3|0|
+SQNSCFGEXT=1,1,0,0,0||3|0|
+SQNSD=1,1,{port},"{host}",0,0,1||30|0|NO_ADDRESS
"""
REDO = "+SQNSH=1||3|0|"
# 2: one answer follows, then let go (RAI).
SEND = "+SQNSSENDEXT=1,128,2|>|5|0|SILENT"
# ERROR where nothing has come.
RECV = "+SQNSRECV=1,256||3|0|"
# One receiver for both: a fix beside LTE ends as LTE_CONCURRENCY.
FIX = """
+SQNSH=1||3|0|
+CFUN=4||10|0|
+LPGNSSCFG=0,2,2,,1||3|0|
+LPGNSSFIXPROG="single"|+LPGNSSFIXREADY:|60|0|
+LPGNSSFIXPROG="stop"||3|0|
+CFUN=1||10|0|SILENT
"""
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
