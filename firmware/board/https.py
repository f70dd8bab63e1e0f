"""One HTTPS connection on which frames are posted, one after the other, and never waited for.

The server is held to the pinned CA and to its name. Goes by Content-Length alone: where a server closes, a
socket that does not block says nothing for ever.
"""

import select
import socket

import tls

_CONNECT = 0
_WRITE = 1  # the handshake happens in the first write
_READ = 2
_IDLE = 3
_READ_BYTES = 256
_HEADER_BYTES_MAX = 1024
_IPPROTO_TCP = 6
_TCP_NODELAY = 1


class Https:
    """A connection to `place`, of `getaddrinfo`. Raises OSError, and ValueError with what TLS objects to."""

    def __init__(self, place, host: str, ca: bytes, is_strict: bool) -> None:  # type: ignore[no-untyped-def]
        self._host = host
        context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
        context.verify_mode = tls.CERT_REQUIRED if is_strict else tls.CERT_NONE  # type: ignore[attr-defined]
        context.load_verify_locations(ca)
        self._context = context
        self._tls: socket.socket = None
        self._out = self._in = b""
        self._state = _CONNECT
        self._socket = socket.socket(place[0], socket.SOCK_STREAM)
        self._poll = select.poll()
        try:
            self._socket.setblocking(False)
            self._poll.register(self._socket, select.POLLOUT)
            try:
                self._socket.connect(place[-1])
            except OSError:
                pass  # it is on its way; one that has failed says so when it is written to
        except Exception:
            self.close()
            raise

    def is_idle(self) -> bool:
        """Return whether a frame may be posted."""
        return self._state == _IDLE or (self._state == _CONNECT and not self._out)

    def is_read(self) -> bool:
        """Return whether all was sent, and the answer is waited for."""
        return self._state == _READ

    def blocks(self) -> bool:
        """Return whether the next step may compute for long: a handshake for which something has come."""
        if self._state == _WRITE:
            return bool(self._poll.poll(0))
        return self._state == _CONNECT

    def post(self, path: str, frame: bytes) -> None:
        """Begin an exchange."""
        head = f"POST {path} HTTP/1.1\r\nHost: {self._host}\r\n"
        head += f"Content-Type: application/octet-stream\r\nContent-Length: {len(frame)}\r\n\r\n"
        self._out = head.encode() + frame
        self._in = b""
        if self._state == _IDLE:
            self._state = _WRITE

    def step(self) -> bytes | None:
        """Do what can be done at once. Return the body of the answer when it is there."""
        if self._state == _CONNECT:
            self._connect()
        elif self._state == _WRITE:
            written = self._tls.write(self._out)
            self._out = self._out[written or 0 :]
            if not self._out:
                self._state = _READ
        elif self._state == _READ:
            self._in += self._tls.read(_READ_BYTES) or b""
            return self._answer()
        return None

    def _connect(self) -> None:
        if not self._poll.poll(0):
            return
        try:
            # Nagle's algorithm against a delayed ACK would cost the handshake 40 ms.
            self._socket.setsockopt(_IPPROTO_TCP, _TCP_NODELAY, 1)
        except OSError:
            pass
        self._tls = self._context.wrap_socket(
            self._socket, server_hostname=self._host, do_handshake_on_connect=False
        )
        self._poll.modify(self._socket, select.POLLIN)
        self._state = _WRITE

    def _answer(self) -> bytes | None:
        """Return the body when all of it has come. ValueError: this is not what the centre answers."""
        head, end, body = self._in.partition(b"\r\n\r\n")
        if len(head) > _HEADER_BYTES_MAX:
            raise ValueError("header")
        if not end:
            return None
        lines = head.lower().split(b"\r\n")
        status = lines[0].split(b" ")
        if not status[0].startswith(b"http/1.") or len(status) < 2:
            raise ValueError("status")
        if status[1] == b"100":
            self._in = body
            return self._answer()
        lengths = [line[15:].strip() for line in lines if line.startswith(b"content-length:")]
        if status[1] != b"200" or lengths != [b"64"]:
            raise ValueError("answer")
        if len(body) < 64:
            return None
        if len(body) > 64:
            raise ValueError("length")
        self._state = _IDLE
        return body

    def close(self) -> None:
        """Let go of it, whatever it is doing."""
        for stream in (self._tls, self._socket):
            if stream:
                try:
                    stream.close()
                except OSError:
                    pass
