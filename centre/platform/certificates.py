"""Whether who calls will believe the server's certificate: its dates by us, all else by OpenSSL itself."""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

CA_SOON = timedelta(days=90)
LEAF_SOON = timedelta(days=14)
EXPIRED, NOT_YET, SOON = "certificate_expired", "certificate_not_yet_valid", "certificate_ends_soon"
OTHER_HOST, NOT_STRICT = "certificate_other_host", "certificate_refused"
_FLIGHTS_MAX = 10  # of a handshake


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with a certificate, or soon will be; the text is a sentence."""

    reason: str
    text: str


def examine(
    context: ssl.SSLContext, chain: Sequence[x509.Certificate], hosts: Sequence[str], at_ms: int
) -> list[Finding]:
    """Return what is wrong. `chain` begins with the leaf, and ends with the CA that bridges pin.

    `context` is the server's; `hosts` are those at which the centre is asked.
    """
    now = datetime.fromtimestamp(at_ms / 1000, UTC)
    findings = [
        finding
        for number, certificate in enumerate(chain)
        if (finding := _dates(certificate, now, is_leaf=number == 0)) is not None
    ]
    if any(finding.reason != SOON for finding in findings):
        return findings  # nobody believes it now, whatever else it is
    refusal = _refusal(context, chain[-1], None)
    if refusal is not None:
        text = f"a strict client refuses the certificate: {refusal.verify_message}"
        return [*findings, Finding(NOT_STRICT, text)]
    for host in dict.fromkeys(hosts):
        if _refusal(context, chain[-1], host) is not None:
            findings.append(
                Finding(OTHER_HOST, f"the certificate is not for {host}: it is not believed there")
            )
    return findings


def _dates(certificate: x509.Certificate, now: datetime, *, is_leaf: bool) -> Finding | None:
    name, soon = ("certificate", LEAF_SOON) if is_leaf else ("CA's certificate", CA_SOON)
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now > ends:
        return Finding(EXPIRED, f"the {name} expired on {ends:%Y-%m-%d}: nobody believes it any more")
    if now < begins:
        return Finding(NOT_YET, f"the {name} is not valid before {begins:%Y-%m-%d}: nobody believes it yet")
    if now > ends - soon:
        return Finding(SOON, f"the {name} ends on {ends:%Y-%m-%d}, in {(ends - now).days} days: renew it")
    return None


def _refusal(
    server: ssl.SSLContext, ca: x509.Certificate, host: str | None
) -> ssl.SSLCertVerificationError | None:
    """Shake hands in memory as a strict client (RFC 5280 to the letter, as Python has it from 3.13 on)."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(cadata=ca.public_bytes(Encoding.PEM).decode())
    client.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    client.check_hostname = host is not None
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    waiting = [
        client.wrap_bio(to_client, to_server, server_hostname=host),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(_FLIGHTS_MAX):
        try:
            waiting = [end for end in waiting if not _is_done(end)]
        except ssl.SSLCertVerificationError as error:
            return error
    assert not waiting, "the handshake does not end"
    return None


def _is_done(end: ssl.SSLObject) -> bool:
    try:
        end.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True
