"""Certificates: what a strict client takes, and what is told before phones refuse."""

import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from centre.commands import main
from centre.platform import certificates, tls
from centre.platform.certificates import CA_SOON, EXPIRED, LEAF_SOON, NOT_STRICT, NOT_YET, OTHER_HOST, SOON
from centre.platform.home import Home
from centre.platform.tls import ServerCertificate

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


def reasons(shown: ServerCertificate, hosts: Sequence[str] = (), at: datetime = NOW) -> list[str]:
    findings = certificates.examine(shown.context, shown.chain, hosts, int(at.timestamp() * 1000))
    return [finding.reason for finding in findings]


def issued(folder: Path, *names: str, until: datetime | None = None) -> ServerCertificate:
    """Return a certificate by somebody else's CA, as `--cert` and `--key` take it."""
    ca = trustme.CA()
    leaf = ca.issue_cert(*names, not_after=until)
    cert, key = folder / "cert.pem", folder / "key.pem"
    leaf.private_key_pem.write_to_path(key)
    key.chmod(0o600)
    for pem in (*leaf.cert_chain_pems, ca.cert_pem):
        pem.write_to_path(cert, append=True)
    return tls.given(cert, key)


def test_a_strict_client_takes_the_development_certificate(tmp_path: Path) -> None:
    """RFC 5280 to the letter, as Python has it from 3.13 on: by name and by address; renewed, too."""
    home, hosts = Home(tmp_path), ("localhost", "127.0.0.1", "::1", "centre.example")
    assert reasons(tls.own_certificate(home, "centre.example"), hosts) == []
    tls.renew(home)
    assert reasons(tls.own_certificate(home, "centre.example"), hosts) == []


def test_what_a_strict_client_refuses_is_told(tmp_path: Path) -> None:
    """A chain that does not lead to the pinned certificate."""
    shown = issued(tmp_path, "centre.example")
    other = x509.load_pem_x509_certificate(trustme.CA().cert_pem.bytes())
    stranger = ServerCertificate(shown.authority, shown.context, (shown.chain[0], other), is_own=False)
    assert reasons(stranger) == [NOT_STRICT]


def test_a_certificate_for_another_host_is_told(tmp_path: Path) -> None:
    """For each host that phones are told; names and addresses."""
    shown = issued(tmp_path, "other.example", "192.0.2.7")
    assert reasons(shown, ["other.example", "192.0.2.7"]) == []
    assert reasons(shown, ["centre.example", "other.example", "192.0.2.8"]) == [OTHER_HOST] * 2


@pytest.mark.parametrize(
    ("until", "found"), [(-DAY, [EXPIRED]), (LEAF_SOON - DAY, [SOON]), (LEAF_SOON + DAY, [])]
)
def test_a_given_certificate_that_ends_is_told(tmp_path: Path, until: timedelta, found: list[str]) -> None:
    """From 14 days before."""
    assert reasons(issued(tmp_path, "centre.example", until=NOW + until), ["centre.example"]) == found


@given(days=st.integers(-40 * 365, 90 * 365))
def test_whatever_the_clock_says_the_dates_of_the_ca_are_told(
    days: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Not yet valid, well, near its end, expired: of CA and leaf, each by its own dates."""
    home = Home(tmp_path_factory.getbasetemp() / "ca")
    shown = tls.own_certificate(home)
    at = NOW + days * DAY
    expected = []
    for certificate, soon in zip(shown.chain, (LEAF_SOON, CA_SOON), strict=True):
        if at < certificate.not_valid_before_utc:
            expected.append(NOT_YET)
        elif at > certificate.not_valid_after_utc:
            expected.append(EXPIRED)
        elif at > certificate.not_valid_after_utc - soon:
            expected.append(SOON)
    found = [reason for reason in reasons(shown, at=at) if reason not in (NOT_STRICT, OTHER_HOST)]
    assert found == expected


def test_a_renewed_ca_has_the_key_that_is_pinned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And a phone that trusts the renewed one takes what it signs; `--path` prints the path alone."""
    home = Home(tmp_path)
    before = tls.development(home)
    assert main(["ca", "--renew", "--path", "--home", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"{tmp_path / tls.CA_FILE}\n"
    after = tls.development(home)
    assert (after.sha256, after.pem != before.pem) == (before.sha256, True)
    client = ssl.create_default_context(cadata=after.pem.decode())
    assert client.get_ca_certs()
    assert reasons(tls.own_certificate(home), ["localhost"]) == []
