"""SIMCom SIM7080G (also SIM7070G and SIM7090G), with its own sockets."""

from firmware.board.modem import fields, number

HEAD = b"+CARECV: "
INLINE = True
RINGS = b"+CADATAIND: 0"
CLOSED = (b"+CASTATE: 0,0", b"+APP PDP: 0,DEACTIVE")
RESTARTED = (b"RDY", b"NORMAL POWER DOWN")
TRIES = b"+SPIC:"
TRIES_FIELDS = 1
KEY_MS = 1100  # 1 s switches on; awake, 1.2 s would switch off

# CSCLK: with it on it sleeps while it is spoken to. CPSMS: 24 h; 20 s awake, as answers are held.
START = """
E0||1|0|SILENT
+CMEE=1||1|0|
+CPIN?|sim|15|1|SIM
+CSCLK=0||1|0|
+CGDCONT=1,"IP","{apn}"||3|0|
+CPSMS=1,,,"00111000","00001010"||3|0|
+CEREG=2||1|0|
"""
PIN = """
+SPIC|tries|3|0|
+CPIN="{pin}"||8|0|PIN
"""
# The context looks up after PSM and is not: activating it again costs nothing, asking whether it is lies.
NET = """
+CEREG?|registered|180|1|NOT_SEEN
+CPSI?||2|0|
+CNCFG=0,1,"{apn}"||3|0|
+CNACT=0,1|+APP PDP: 0,ACTIVE|12|0|
+CAOPEN=0,0,"UDP","{host}",{port}|+CAOPEN: 0,0|30|0|NO_ADDRESS
"""
REDO = """
+CACLOSE=0||3|0|
+CNACT=0,0||5|0|
"""
SEND = "+CASEND=0,128|>|5|0|SILENT"
RECV = "+CARECV=0,256||3|0|SILENT"
# It has one receiver: GNSS beside LTE crashes it.
FIX = """
+CFUN=4||10|0|
+CGNSPWR=1||3|0|
+CGNSINF|+CGNSINF: 1,1,|60|2|
+CGNSPWR=0||3|0|
+CFUN=1||10|0|SILENT
"""
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
