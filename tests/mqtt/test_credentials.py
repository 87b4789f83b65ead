"""The certificate with which a part of the service comes to the broker."""

import logging
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from service.identity.authority import Authority
from service.identity.names import Part, part_named
from service.mqtt.connecting import why
from service.mqtt.credentials import Credentials, CredentialsError, credentials_of
from service.settings import SettingsError, load

YEAR = timedelta(days=365)


def written(directory: Path, valid_for: timedelta = YEAR) -> Credentials:
    now = datetime.now(UTC)
    authority = Authority.new("test authority", now, 10 * YEAR)
    made = authority.issue(part_named(Part.INGEST), now, valid_for)
    (directory / "ca.crt").write_bytes(authority.certificate_pem)
    (directory / "ingest.pem").write_bytes(made.certificate)
    (directory / "ingest.key").touch(mode=0o600)
    (directory / "ingest.key").write_bytes(made.key or b"")
    return Credentials(directory, "ingest")


def test_they_verify_the_broker_by_our_authority_alone(tmp_path: Path) -> None:
    context = written(tmp_path).context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert len(context.get_ca_certs()) == 1


@pytest.mark.parametrize("missing", ["ca.crt", "ingest.pem", "ingest.key"])
def test_what_is_missing_is_named(tmp_path: Path, missing: str) -> None:
    credentials = written(tmp_path)
    (tmp_path / missing).unlink()
    with pytest.raises(CredentialsError, match=f"{missing} is not there") as raised:
        credentials.context()
    assert why(raised.value) == f"{tmp_path / missing} is not there"


def test_a_key_that_everybody_may_read_is_not_used(tmp_path: Path) -> None:
    credentials = written(tmp_path)
    (tmp_path / "ingest.key").chmod(0o640)
    credentials.context()
    (tmp_path / "ingest.key").chmod(0o644)
    with pytest.raises(CredentialsError, match=r"everybody may read it \(mode 0644\); chmod 600"):
        credentials.context()


@pytest.mark.parametrize(
    ("file", "said"), [("ca.crt", "no certificate in PEM"), ("ingest.pem", "no certificate and its key")]
)
def test_what_is_no_certificate_is_said(tmp_path: Path, file: str, said: str) -> None:
    credentials = written(tmp_path)
    (tmp_path / file).write_text("half a file")
    with pytest.raises(CredentialsError, match=said):
        credentials.context()


def test_an_end_that_comes_near_is_told_in_time(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="pumpwatch"):
        written(tmp_path, 60 * timedelta(days=1)).context()
        assert caplog.text == ""
        written(tmp_path, timedelta(days=20)).context()
    assert "certificate_ends_soon" in caplog.text


def test_a_role_refuses_to_start_without_its_certificate(tmp_path: Path) -> None:
    written(tmp_path)
    settings = load(
        {"PUMPWATCH_DATABASE_URL": "postgresql://db", "PUMPWATCH_BROKER_URL": "mqtts://broker"}, broker_tls_dir=tmp_path
    )
    assert credentials_of(settings, "ingest") == Credentials(tmp_path, "ingest")
    with pytest.raises(SettingsError, match=r"PUMPWATCH_BROKER_TLS_DIR: .*/watch\.pem is not there"):
        credentials_of(settings, "watch")
    assert credentials_of(load({}, required=[], database_url="postgresql://db"), "ingest") is None
