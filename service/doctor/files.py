"""Are keys secret, certificates valid, and is there room on the disk?"""

import os
import shutil
import stat
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from service.doctor.finding import Finding, ok, problem, warning
from service.mqtt.credentials import AUTHORITY, SOON
from service.settings import Settings
from service.vault import DEFAULT_FILE, VaultError, vault_of

LEAST_FREE_BYTES: Final = 1 << 30
FEW_FREE_BYTES: Final = 5 << 30


def look(settings: Settings, now: datetime) -> list[Finding]:
    return [*_secret_key(settings), *_certificates(settings, now), *_room(settings)]


def _secret_key(settings: Settings) -> Iterator[Finding]:
    area, file = "secret key", settings.secret_key_file or DEFAULT_FILE
    if not settings.secret_key and not file.is_file():
        yield problem(
            area,
            f"there is none: PUMPWATCH_SECRET_KEY is not set, and {file} is not there",
            "name the file that `pumpwatch up` has made (PUMPWATCH_SECRET_KEY_FILE), the same for every role",
        )
        return
    if not settings.secret_key:
        yield from _permissions(area, file)
    try:
        vault_of(settings)
    except (VaultError, OSError) as error:
        yield problem(area, str(error), "restore the key from its copy; a new one opens nothing that is sealed")
    else:
        yield ok(area, "in the environment" if settings.secret_key else f"in {file}")


def _permissions(area: str, file: Path) -> Iterator[Finding]:
    found = file.stat()
    mode = stat.S_IMODE(found.st_mode)
    if mode & (stat.S_IRWXO | stat.S_IWGRP):
        yield problem(
            area,
            f"{file}: others may read or change it (mode {mode:04o})",
            f"chmod 600 {file}; whoever could read it must be trusted, or the key replaced",
        )
    above = file.absolute().parent
    if above.stat().st_mode & (stat.S_IWOTH | stat.S_ISVTX) == stat.S_IWOTH:  # sticky: each replaces his own alone
        yield problem(area, f"{above}: anybody may put another {file.name} there", f"chmod o-w {above}")
    if not os.access(file, os.R_OK):
        yield problem(
            area, f"{file}: this account may not read it", f"chown it to the service's account: chown … {file}"
        )


def _certificates(settings: Settings, now: datetime) -> Iterator[Finding]:
    if directory := settings.broker_tls_dir:
        yield from _certificate("broker TLS", directory / AUTHORITY, None, now, "`pumpwatch ca init` has made it")
        for name in ("ingest", "watch"):
            renew = f"`pumpwatch ca issue-service {name} --renew`, and copy it there"
            yield from _certificate("broker TLS", directory / f"{name}.pem", directory / f"{name}.key", now, renew)
    if settings.api_cert_file is not None and settings.api_key_file is not None:
        renew = "renew it where it came from, and start the role api again"
        yield from _certificate("API TLS", settings.api_cert_file, settings.api_key_file, now, renew)
    yield from _of_database(settings, now)
    if settings.webhook_ca is not None:
        yield from _certificate("webhook CA", settings.webhook_ca, None, now, "take the authority's newer one")


def _of_database(settings: Settings, now: datetime) -> Iterator[Finding]:
    """What PUMPWATCH_DATABASE_URL names: `load` has seen that each is a file."""
    area = "database TLS"
    named = {name: Path(text) for name, text in parse_qsl(urlsplit(settings.database_url).query)}
    if root := named.get("sslrootcert"):
        yield from _certificate(
            area, root, None, now, "take the newer one of the authority that vouches for the database"
        )
    if own := named.get("sslcert"):
        renew = "have it renewed by the authority that the database trusts"
        yield from _certificate(area, own, named.get("sslkey"), now, renew)


def _certificate(area: str, file: Path, key: Path | None, now: datetime, renew: str) -> Iterator[Finding]:
    missing = [each for each in (file, key) if each is not None and not each.is_file()]
    for each in missing:
        yield problem(area, f"{each} is not there", renew)
    if missing:
        return
    if key is not None:
        yield from _permissions(area, key)
    try:
        certificates = x509.load_pem_x509_certificates(file.read_bytes())
        belongs = key is None or not os.access(key, os.R_OK) or _belongs(certificates[0], key)
    except (OSError, ValueError, TypeError) as error:
        yield problem(area, f"{file}: no certificate in PEM ({error})", renew)
        return
    if not belongs:
        yield problem(area, f"{key} is not the key of {file}", "put the two in place that were made together")
    first_end = min(certificate.not_valid_after_utc for certificate in certificates)
    begins = max(certificate.not_valid_before_utc for certificate in certificates)
    if first_end <= now:
        yield problem(area, f"{file}: ended at {first_end:%Y-%m-%d %H:%M} UTC", renew)
    elif begins > now:
        yield problem(area, f"{file}: begins at {begins:%Y-%m-%d %H:%M} UTC only", "is this machine's clock right?")
    elif first_end < now + SOON:
        yield warning(area, f"{file}: ends in {(first_end - now).days} days", renew)
    elif belongs:
        yield ok(area, f"{file}: until {first_end:%Y-%m-%d}")


def _belongs(certificate: x509.Certificate, key: Path) -> bool:
    form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    private = load_pem_private_key(key.read_bytes(), None)
    return certificate.public_key().public_bytes(*form) == private.public_key().public_bytes(*form)


def _room(settings: Settings) -> Iterator[Finding]:
    for place in {Path.cwd(), settings.metrics_dir or Path.cwd()}:
        try:
            free = shutil.disk_usage(place).free
        except OSError as error:
            yield problem("disk", f"{place}: {error.strerror}", "make it, for the service's account")
            continue
        said = f"{place}: {free / (1 << 30):.1f} GB free"
        if free < LEAST_FREE_BYTES:
            yield problem("disk", said, "make room: logs, old dumps, what else is there")
        elif free < FEW_FREE_BYTES:
            yield warning("disk", said, "make room before it is full")
        else:
            yield ok("disk", said)
