"""The certificates' dates and names, looked at from the start on, before phones refuse them."""

from centre.platform import certificates
from centre.platform.certificates import Finding
from centre.platform.home import CannotServe
from centre.platform.log import Log, now_ms
from centre.platform.tls import ServerCertificate

LOOK_S = 12 * 3600.0
_RENEW = "run amr-centre ca --renew and start the centre anew; phones that are enrolled keep their pin"


class CertificateWatch:
    """Tell what is wrong with the certificates, or soon will be."""

    def __init__(self, certificate: ServerCertificate, hosts: tuple[str, ...], log: Log) -> None:
        self._certificate, self._hosts, self._log = certificate, hosts, log

    def check(self) -> None:
        """Raise CannotServe where a certificate that was given to us has expired."""
        for finding in self._findings():
            if finding.reason == certificates.EXPIRED and not self._certificate.is_own:
                raise CannotServe(f"{self._certificate.authority.path}: {finding.text}")

    async def look(self) -> None:
        """Tell each finding as trouble."""
        for finding in self._findings():
            text = finding.text
            if self._certificate.is_own:
                text = f"{text} ({_RENEW})"
            self._log("trouble", reason=finding.reason, text=text)

    def _findings(self) -> list[Finding]:
        shown = self._certificate
        return certificates.examine(shown.context, shown.chain, self._hosts, int(now_ms()))
