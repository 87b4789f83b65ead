"""What brokers are told. That they then act on it: tests/security/test_brokers.py."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from service.identity import mosquitto, nats
from service.identity.authority import Authority, AuthorityError
from service.identity.brokers import rights_of, write_configuration
from service.identity.cabinet import Cabinet
from service.identity.names import Holder, Part, part_named, pump, server

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
YEAR = timedelta(days=365)
HOST = server("broker.example")


@pytest.fixture
def cabinet(tmp_path: Path) -> Cabinet:
    made = Cabinet(tmp_path / "ca")
    made.begin(Authority.new("test authority", NOW, 10 * YEAR), NOW)
    issue(made, HOST)
    return made


def issue(cabinet: Cabinet, *holders: Holder) -> None:
    with cabinet.opened() as authority:
        made = [authority.issue(holder, NOW, YEAR, hosts=["broker.example"]) for holder in holders]
        cabinet.keep(made, NOW)


def users(cabinet: Cabinet, out: Path, now: datetime = NOW) -> str:
    list(write_configuration(nats.FILES, cabinet, out, HOST, 8883, now))
    return (out / "users.conf").read_text()


def test_a_pump_may_say_its_own_and_hear_its_receipts() -> None:
    rights = rights_of(pump("p1"))
    assert rights.says == ["pumps/v1/p1/telemetry", "pumps/v1/p1/event", "pumps/v1/p1/status"]
    assert rights.hears == ["receipts/v1/p1"]


def test_no_pump_may_say_what_is_for_the_service_to_say() -> None:
    said = {topic for part in Part for topic in rights_of(part_named(part)).says}
    assert "receipts/v1/+" in said
    assert not said & set(rights_of(pump("p1")).says)


def test_nats_knows_a_certificate_and_not_just_a_pump(cabinet: Cabinet, tmp_path: Path) -> None:
    issue(cabinet, pump("p1"), pump("p1"), part_named(Part.INGEST))
    first, second = (entry for entry in cabinet.entries() if entry.name == "p1")
    with cabinet.opened():
        cabinet.revoke([first], NOW, "")
    told = users(cabinet, tmp_path / "nats")
    assert f'"urn:pump:p1:{second.serial}"' in told
    assert first.serial not in told
    assert '"receipts.v1.*"' in told
    assert "broker.example" not in told


def test_who_has_ended_is_not_listed(cabinet: Cabinet, tmp_path: Path) -> None:
    issue(cabinet, pump("p1"))
    with cabinet.opened() as authority:
        later = NOW + timedelta(days=200)
        cabinet.keep([authority.issue(HOST, later, YEAR, hosts=["broker.example"])], later)
    assert "urn:pump:p1" in users(cabinet, tmp_path / "nats")
    assert "urn:pump:p1" not in users(cabinet, tmp_path / "nats", NOW + timedelta(days=400))


def test_where_pumps_are_mapped_to_shards_the_right_is_to_the_mapped_subject(cabinet: Cabinet) -> None:
    issue(cabinet, pump("p1"), part_named(Part.INGEST))
    told = nats.users([entry for entry in cabinet.entries() if entry.name != HOST.name], by_shard=True)
    assert '"shard.*.pumps.v1.p1.telemetry"' in told
    assert '"pumps.v1.p1.telemetry"' not in told
    assert '"shard.*.pumps.v1.*.*"' in told
    assert '"pumps.v1.*.*": "shard.{{partition(64,1)}}.pumps.v1.{{wildcard(1)}}.{{wildcard(2)}}"' in told
    assert '"receipts.v1.p1"' in told


def test_mosquitto_knows_pumps_by_a_pattern_and_parts_of_the_service_by_name(cabinet: Cabinet) -> None:
    issue(cabinet, pump("p1"), part_named(Part.WATCH, "watch-2"))
    told = mosquitto.rights([entry for entry in cabinet.entries() if entry.name != HOST.name])
    assert "pattern write pumps/v1/%u/telemetry\n" in told
    assert "p1" not in told
    assert "user service.watch-2\ntopic write pumps/v1/pumpwatch-canary/telemetry\n" in told


def test_files_are_where_the_broker_will_look_for_them(cabinet: Cabinet, tmp_path: Path) -> None:
    out = tmp_path / "mosquitto"
    made = list(write_configuration(mosquitto.FILES, cabinet, out, HOST, 8884, NOW, at=Path("/etc/mosquitto/tls")))
    assert {path.name for path in made} == {
        *("server.key", "server.pem", "ca.crt", "crl.pem", "acl", "mosquitto.conf"),
    }
    settings = (out / "mosquitto.conf").read_text()
    assert "listener 8884\ncafile /etc/mosquitto/tls/ca.crt\n" in settings
    assert (out / "server.key").stat().st_mode & 0o077 == 0


def test_a_server_without_a_certificate_that_works_is_not_configured(cabinet: Cabinet, tmp_path: Path) -> None:
    with pytest.raises(AuthorityError, match=r"pumpwatch ca issue-server other\.example"):
        list(write_configuration(nats.FILES, cabinet, tmp_path / "n", server("other.example"), 8883, NOW))
    with pytest.raises(AuthorityError):
        list(write_configuration(nats.FILES, cabinet, tmp_path / "n", HOST, 8883, NOW + 2 * YEAR))
