"""The development CA: what it signs is taken by the strictest client."""

import ssl
from pathlib import Path

from centre.platform import tls
from centre.platform.home import Home


def shake_hands(client: ssl.SSLContext, server: ssl.SSLContext, host: str) -> None:
    """Shake hands in memory; raises SSLCertVerificationError where the client refuses."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=host),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    waiting = ends
    for _ in range(10):
        still = []
        for end in waiting:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                still.append(end)
        waiting = still
        if not waiting:
            return
    raise AssertionError("the handshake does not end")


def test_a_strict_client_takes_the_development_certificate(tmp_path: Path) -> None:
    """RFC 5280 to the letter, as Python has it from 3.13 on: by name and by address."""
    home = Home(tmp_path)
    client = ssl.create_default_context(cadata=tls.development(home).pem.decode())
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    server = tls.development_context(home, "centre.example")
    for host in ("localhost", "127.0.0.1", "centre.example"):
        shake_hands(client, server, host)
