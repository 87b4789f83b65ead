"""Keys that others can read, certificates that have ended or are another key's, a disk that is full."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from service.doctor import files
from service.doctor.files import look
from service.doctor.finding import Level
from service.settings import Settings
from service.vault import key_file
from tests.doctor.seen import told
from tests.keys import KEY

NOW = datetime(2026, 11, 23, tzinfo=UTC)
DAY = timedelta(days=1)


def write_certificate(file: Path, key: Path | None, begins: datetime, ends: datetime) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    made = x509.CertificateBuilder(name, name, private.public_key(), x509.random_serial_number(), begins, ends)
    file.write_bytes(made.sign(private, hashes.SHA256()).public_bytes(Encoding.PEM))
    if key is not None:
        key.touch(mode=0o600)
        key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """All files as they should be: keys for its account alone, certificates for a year."""
    for name in ("ingest", "watch"):
        write_certificate(tmp_path / f"{name}.pem", tmp_path / f"{name}.key", NOW - DAY, NOW + 365 * DAY)
    write_certificate(tmp_path / "ca.crt", None, NOW - DAY, NOW + 3650 * DAY)
    write_certificate(tmp_path / "api.pem", tmp_path / "api.key", NOW - DAY, NOW + 365 * DAY)
    return Settings(
        database_url="postgresql://127.0.0.1/x",
        broker_tls_dir=tmp_path,
        api_cert_file=tmp_path / "api.pem",
        api_key_file=tmp_path / "api.key",
        secret_key_file=key_file(tmp_path / "secret.key"),
    )


def test_files_as_they_should_be_are_no_problem(settings: Settings) -> None:
    assert told(look(settings, NOW)) == ""


@pytest.mark.parametrize("name", ["ingest.key", "watch.key", "api.key", "secret.key"])
def test_a_key_that_others_can_read_is_found_and_how_to_close_it(settings: Settings, tmp_path: Path, name: str) -> None:
    (tmp_path / name).chmod(0o644)
    assert f"{tmp_path / name}: others may read or change it (mode 0644) -> chmod 600" in told(look(settings, NOW))


def test_a_directory_in_which_anybody_may_replace_a_key_is_found(settings: Settings, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    assert f"{tmp_path}: anybody may put another ingest.key there -> chmod o-w {tmp_path}" in told(look(settings, NOW))
    tmp_path.chmod(0o1777)
    assert "may put another" not in told(look(settings, NOW)), "in a sticky one each replaces his own alone"


def test_what_the_address_of_the_database_names_is_looked_at_like_every_certificate(
    settings: Settings, tmp_path: Path
) -> None:
    write_certificate(tmp_path / "root.pem", None, NOW - 9 * DAY, NOW - DAY)
    write_certificate(tmp_path / "db.pem", tmp_path / "db.key", NOW - 9 * DAY, NOW - DAY)
    (tmp_path / "db.key").chmod(0o604)
    files_of_url = f"sslrootcert={tmp_path}/root.pem&sslcert={tmp_path}/db.pem&sslkey={tmp_path}/db.key"
    url = f"postgresql://127.0.0.1/x?sslmode=verify-full&{files_of_url}"
    found = told(look(msgspec.structs.replace(settings, database_url=url), NOW))
    assert "root.pem: ended at 2026-11-22 00:00 UTC -> take the newer one of the authority" in found
    assert "db.pem: ended at 2026-11-22 00:00 UTC -> have it renewed" in found
    assert "db.key: others may read or change it (mode 0604) -> chmod 600" in found
    own = msgspec.structs.replace(settings, database_url="postgresql://127.0.0.1/x?sslmode=verify-full")
    assert told(look(own, NOW)) == ""


def test_certificates_that_have_ended_end_soon_or_have_not_begun_are_found(settings: Settings, tmp_path: Path) -> None:
    write_certificate(tmp_path / "ingest.pem", tmp_path / "ingest.key", NOW - 9 * DAY, NOW - DAY)
    write_certificate(tmp_path / "watch.pem", tmp_path / "watch.key", NOW + DAY, NOW + 9 * DAY)
    write_certificate(tmp_path / "api.pem", tmp_path / "api.key", NOW - 9 * DAY, NOW + 9 * DAY)
    found = look(settings, NOW)
    assert "ingest.pem: ended at 2026-11-22 00:00 UTC -> `pumpwatch ca issue-service ingest --renew`" in told(found)
    assert "watch.pem: begins at 2026-11-24 00:00 UTC only -> is this machine's clock right?" in told(found)
    assert "api.pem: ends in 9 days -> renew it" in told(found, Level.WARNING)


def test_a_certificate_that_is_missing_broken_or_of_another_key_is_found(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "ca.crt").unlink()
    (tmp_path / "ingest.key").write_bytes((tmp_path / "watch.key").read_bytes())
    (tmp_path / "api.pem").write_text("-----BEGIN NOTHING-----", encoding="utf-8")
    found = told(look(settings, NOW))
    assert f"{tmp_path / 'ca.crt'} is not there" in found
    assert f"{tmp_path / 'ingest.key'} is not the key of {tmp_path / 'ingest.pem'}" in found
    assert "api.pem: no certificate in PEM" in found


def test_a_secret_key_that_is_missing_or_malformed_is_found(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "secret.key").write_text("short\n", encoding="ascii")
    assert "a key is 32 bytes as URL-safe base64" in told(look(settings, NOW))
    (tmp_path / "secret.key").unlink()
    assert "secret.key is not there -> name the file" in told(look(settings, NOW))
    assert told(look(msgspec.structs.replace(settings, secret_key=KEY), NOW)) == ""


def test_a_disk_that_is_nearly_full_is_found(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LEAST_FREE_BYTES", 1 << 60)
    assert "GB free -> make room" in told(look(settings, NOW))
    monkeypatch.undo()
    gone = msgspec.structs.replace(settings, metrics_dir=Path("/no/such/place"))
    assert "/no/such/place: No such file or directory" in told(look(gone, NOW))
