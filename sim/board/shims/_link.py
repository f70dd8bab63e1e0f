# The wire between this interpreter and the board around it: two TCP sockets on this host.
#
# One carries calls and their answers, the other events. A thread does nothing but poll the second and
# schedule `drain`, so that everything else happens on the main thread, as interrupts do on a board.
# A frame is its length (two bytes, big-endian) and a JSON array.

import _thread
import gc
import json
import os
import select
import sys
import time
import usocket as socket  # the machine's own, and not the one that is steered

from binascii import hexlify, unhexlify

from micropython import schedule

_ERRORS = {"value": ValueError, "type": TypeError}

handlers = {}  # kind of event -> function(arguments)

_calls = None
_events = None
_polled = None
_calling = _thread.allocate_lock()
_drained = _thread.allocate_lock()
_draining = _thread.allocate_lock()
_put_off = False
_asked = 0


def _connect(*hello):
    host, port = os.getenv("AMR_AIR").rsplit(":", 1)
    wire = socket.socket()
    wire.connect(socket.getaddrinfo(host, int(port))[0][-1])
    _send(wire, hello)
    return wire


def _send(wire, message):
    frame = json.dumps(message).encode()
    wire.write(len(frame).to_bytes(2, "big") + frame)


def _read(wire):
    size = wire.read(2)
    if len(size) < 2:
        return None
    return json.loads(wire.read(int.from_bytes(size, "big")))


def start():
    global _calls, _events, _polled
    if _calls:
        return
    _calls = _connect(
        "calls", os.getenv("AMR_BOARD"), sys.implementation.name, str(sys.implementation), sys.version
    )
    _events = _connect("events", _read(_calls)[1])
    _polled = select.poll()
    _polled.register(_events, select.POLLIN)
    _drained.acquire()
    _thread.start_new_thread(_watch, ())


def call(name, *arguments, **keywords):
    """Ask the board and wait for its answer; raises what it says."""
    global _asked
    if _calls is None:
        start()
    arguments = _pack(arguments)
    keywords = keywords and {key: _pack(value) for key, value in keywords.items()}
    with _calling:
        _asked += 1
        asked = _asked
        _send(_calls, (asked, name, arguments, keywords))
        answer = _read(_calls)
        while answer and answer[0] != asked:  # that of a call which Ctrl-C has ended
            answer = _read(_calls)
    if _put_off:
        _schedule()
    if answer is None or answer[1] == "exit":
        raise SystemExit(0)  # power is gone, or deep sleep with nobody there to wake us
    if answer[1]:
        raise _ERRORS.get(answer[1], OSError)(answer[2])
    return unpack(answer[2])


def caller(name):
    """The function of this name, which the board carries out."""
    return lambda *arguments, **keywords: call(name, *arguments, **keywords)


def _pack(value):
    # JSON has no bytes: they travel as "x" and hex digits, a UUID with a "u", text with an "s".
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return "s" + value
    try:
        return getattr(value, "_tag", "x") + hexlify(value).decode()
    except TypeError:
        return [_pack(item) for item in value]


def unpack(value):
    if isinstance(value, list):
        return tuple([unpack(item) for item in value])
    if isinstance(value, str):
        return value[1:] if value[0] == "s" else unhexlify(value[1:])
    return value


def _schedule():
    try:
        schedule(drain, None)
    except RuntimeError:
        pass  # the queue is full; _watch asks again


def drain(_):
    """Dispatch every event that has come. Handlers see them one at a time and in order."""
    global _put_off
    _put_off = _calling.locked()
    if _put_off or not _draining.acquire(0):
        return  # inside a call, which asks again at its end, or inside a handler
    again = False
    try:
        for _ in range(64):  # a flood must not starve the program
            if not _polled.poll(0):
                break
            _dispatch(_read(_events))
    except KeyboardInterrupt:
        again = True  # raised here it would be lost
    finally:
        _draining.release()
        if _drained.locked():
            _drained.release()
    if again:
        call("interrupt")


def _dispatch(event):
    if event is None:
        # The board lost its power with the process around it.
        _polled.unregister(_events)
        if os.getenv("AMR_BOARD"):
            os.system("kill -9 $PPID")
        return
    handler = handlers.get(event[0])
    if handler:
        try:
            handler(event)
        except Exception as error:
            sys.print_exception(error)


def _watch():
    # Nothing is shared with the main thread but the locks.
    while True:
        for _ in _polled.ipoll(-1):
            pass
        waits = 0
        while not _drained.acquire(0):
            if waits % 25 == 0:
                _schedule()
            elif waits % 25 == 24 and not _calling.locked() and not _draining.locked():
                # The main thread is blocked in a system call, say on stdin, where a board would take
                # its interrupts. A collection signals every other thread, which ends the call's wait.
                gc.collect()
            waits += 1
            time.sleep_ms(1)
