"""With which certificate do we come to the broker, and by which do we know it?

Read again at each connection: a renewed certificate counts from the next one on, without a restart.
"""

import logging
import ssl
import stat
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509

from service.logs import tell
from service.settings import Settings, SettingsError

AUTHORITY: Final = "ca.crt"
SOON: Final = timedelta(days=30)


class CredentialsError(OSError):
    """A certificate or a key is missing, readable by others, or not what it should be. The text is one line."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """`NAME.pem` and `NAME.key` of a directory, as `pumpwatch ca issue-service` writes them, and its `ca.crt`."""

    directory: Path
    name: str

    @property
    def certificate(self) -> Path:
        return self.directory / f"{self.name}.pem"

    @property
    def key(self) -> Path:
        return self.directory / f"{self.name}.key"

    def context(self) -> ssl.SSLContext:
        """Raises CredentialsError."""
        authority = self.directory / AUTHORITY
        for file in (authority, self.certificate, self.key):
            if not file.is_file():
                raise CredentialsError(f"{file} is not there")
        if problem := exposed(self.key):
            raise CredentialsError(problem)
        try:
            context = ssl.create_default_context(cafile=str(authority))
        except ssl.SSLError:
            raise CredentialsError(f"{authority} is no certificate in PEM") from None
        try:
            context.load_cert_chain(self.certificate, self.key)
            ends_at = x509.load_pem_x509_certificate(self.certificate.read_bytes()).not_valid_after_utc
        except (ssl.SSLError, ValueError):
            raise CredentialsError(f"{self.certificate} and {self.key.name} are no certificate and its key") from None
        _tell_of_end(self.certificate, ends_at, datetime.now(UTC))
        return context


def exposed(key: Path) -> str:
    """Why a key is not secret; empty: it is. A group may read it, as where a container is given its secrets."""
    mode = stat.S_IMODE(key.stat().st_mode)
    return f"{key}: everybody may read it (mode {mode:04o}); chmod 600" if mode & 0o007 else ""


def _tell_of_end(certificate: Path, ends_at: datetime, now: datetime) -> None:
    if ends_at < now:
        tell("certificate_ended", logging.ERROR, file=certificate, ended_at=ends_at.isoformat())
    elif ends_at < now + SOON:
        tell("certificate_ends_soon", logging.WARNING, file=certificate, ends_at=ends_at.isoformat())


def credentials_of(settings: Settings, name: str) -> Credentials | None:
    """Those of a part of the service, where it has any; looked at now, not at the first connection.

    Raises SettingsError.
    """
    if settings.broker_tls_dir is None:
        return None
    found = Credentials(settings.broker_tls_dir, name)
    try:
        found.context()
    except CredentialsError as error:
        raise SettingsError(f"PUMPWATCH_BROKER_TLS_DIR: {error}") from None
    return found
