"""TLS: a development CA with a fresh leaf at every start, or the certificate that we are given."""

import hashlib
import ipaddress
import socket
import ssl
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from centre.platform.home import CannotServe, Home

CA_KEY_FILE = "ca-key.pem"  # key and certificate together: one file, so one cannot be without the other
CA_FILE = "ca.pem"
LEAF_FILE = "leaf.pem"
CA_DAYS = 3650
LEAF_DAYS = 825
BACKDATED = timedelta(days=1)  # clocks of phones differ


@dataclass(frozen=True, slots=True)
class Authority:
    """The certificate that bridges pin: where it is, its PEM, and SHA-256 of its public key (SPKI, hex)."""

    path: Path
    pem: bytes
    sha256: str


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """What the centre shows to who calls: the leaf first, the pinned one last."""

    authority: Authority
    context: ssl.SSLContext
    chain: tuple[x509.Certificate, ...]
    is_own: bool  # of the home's own CA


class BadCertificate(Exception):
    """What `--cert` or `--key` names cannot be used; the text is a sentence."""


def development(home: Home) -> Authority:
    """Return the home's own CA, made by whoever asks first. Raises CannotServe."""
    return _authority(home, _ca(home))


def renew(home: Home) -> Authority:
    """Make the home's CA a new certificate, with the key that it has: what is pinned is the key.

    Raises CannotServe.
    """
    _ca(home)
    key = load_pem_private_key(home.secret(CA_KEY_FILE, _new_ca), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    home.write(CA_KEY_FILE, _pem(key) + _ca_certificate(key))
    return development(home)


def own_certificate(home: Home, *hosts: str) -> ServerCertificate:
    """Make a new leaf by the home's own CA. Raises CannotServe."""
    ca, context = _ca(home), development_context(home, *hosts)
    leaf = x509.load_pem_x509_certificate((home.path / LEAF_FILE).read_bytes())
    return ServerCertificate(_authority(home, ca), context, (leaf, ca), is_own=True)


def development_context(home: Home, *hosts: str, days_old: int = 0, name: str = LEAF_FILE) -> ssl.SSLContext:
    """Return a server's context with a new leaf for this machine's names and `hosts`, kept as `name`."""
    ca, ca_key = _ca(home), load_pem_private_key(home.secret(CA_KEY_FILE, _new_ca), None)
    assert isinstance(ca_key, ec.EllipticCurvePrivateKey)
    try:
        leaf = home.write(name, _new_leaf(ca, ca_key, hosts, days_old))
    except CannotServe:
        leaf = home.path / name
        if not leaf.exists():
            raise  # else the one of before is good: CertificateWatch says what is not
    return _context(leaf, None)


def _ca(home: Home) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(home.secret(CA_KEY_FILE, _new_ca))
    except ValueError:
        raise CannotServe(f"{home.path / CA_KEY_FILE} is damaged: no certificate in it") from None


def _authority(home: Home, certificate: x509.Certificate) -> Authority:
    pem = certificate.public_bytes(Encoding.PEM)
    return Authority(home.write(CA_FILE, pem), pem, _spki_sha256(certificate))


def given(cert: Path, key: Path) -> ServerCertificate:
    """Read a PEM chain, leaf first; the last one in it is what bridges pin. Raises BadCertificate."""
    try:
        chain = tuple(x509.load_pem_x509_certificates(cert.read_bytes()))
        if key.stat().st_mode & stat.S_IRWXO:
            raise BadCertificate(f"{key} is open to everybody; run: chmod o= {key}")
        context = _context(cert, key)
    except OSError as error:  # ssl.SSLError is one
        name = cert if error.filename is None else error.filename
        why = error.strerror or "unusable"
        if isinstance(error, ssl.SSLError):
            why = (
                "it does not go together with its key" if "KEY_VALUES" in str(error) else "not usable as PEM"
            )
        raise BadCertificate(f"cannot use {name}: {why}") from None
    except ValueError:
        raise BadCertificate(f"cannot use {cert}: no PEM certificate in it") from None
    authority = Authority(cert, chain[-1].public_bytes(Encoding.PEM), _spki_sha256(chain[-1]))
    return ServerCertificate(authority, context, chain, is_own=False)


def pin(cert: Path) -> str:
    """SHA-256 (hex) of the public key of the last certificate in `cert`. Raises BadCertificate."""
    try:
        return _spki_sha256(x509.load_pem_x509_certificates(cert.read_bytes())[-1])
    except OSError as error:
        raise BadCertificate(f"cannot read {cert}: {error.strerror}") from None
    except ValueError:
        raise BadCertificate(f"cannot use {cert}: no PEM certificate in it") from None


def _context(cert: Path, key: Path | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # An encrypted key would make OpenSSL ask on the terminal.
    context.load_cert_chain(cert, key, password=lambda: b"")
    return context


def _spki_sha256(certificate: x509.Certificate) -> str:
    spki = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).hexdigest()


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        key_cert_sign=ca,
        crl_sign=ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int, days_old: int = 0
) -> x509.CertificateBuilder:
    now = datetime.now(UTC) - timedelta(days=days_old)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _new_ca() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    return _pem(key) + _ca_certificate(key)


def _ca_certificate(key: ec.EllipticCurvePrivateKey) -> bytes:
    name = _name("development CA")  # says nothing of what it is for
    certificate = (
        _certificate(name, name, key.public_key(), CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(ca=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(Encoding.PEM)


def _new_leaf(
    ca: x509.Certificate, ca_key: ec.EllipticCurvePrivateKey, hosts: Sequence[str], days_old: int
) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    ca_id = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    certificate = (
        _certificate(_name("localhost"), ca.subject, key.public_key(), LEAF_DAYS, days_old)
        .add_extension(x509.SubjectAlternativeName(_names(hosts)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(ca=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ca_id), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    return _pem(key) + certificate.public_bytes(Encoding.PEM)


def _names(hosts: Sequence[str]) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = []
    for name in dict.fromkeys(("localhost", "127.0.0.1", "::1", socket.gethostname(), *hosts)):
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            if name.isascii() and name:
                names.append(x509.DNSName(name))
        else:
            if not address.is_unspecified:
                names.append(x509.IPAddress(address))
    return names
