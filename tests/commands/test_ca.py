"""`pumpwatch ca`, as an operator runs it."""

from pathlib import Path

import pytest
from cryptography import x509

from tests.commands.here import ran
from tests.forks import Ended


@pytest.fixture
def place(tmp_path: Path) -> Path:
    assert ran("ca", "init", "--dir", tmp_path / "ca").code == 0
    return tmp_path / "ca"


def ca(place: Path, action: str, *arguments: object) -> Ended:
    return ran("ca", action, "--dir", place, *arguments)


def revoked(place: Path) -> int:
    return len(x509.load_pem_x509_crl((place / "crl.pem").read_bytes()))


def test_a_pump_is_given_a_certificate_once_and_a_renewal_when_asked(place: Path) -> None:
    first = ca(place, "issue", "p000001")
    assert first.code == 0
    assert "certificate of pump p000001 until" in first.out

    again = ca(place, "issue", "p000001")
    assert (again.code, again.out) == (1, "")
    assert "pump p000001 has a certificate until" in again.err
    assert "--renew" in again.err

    assert ca(place, "issue", "p000001", "--renew").code == 0
    assert ca(place, "revoke", "p000001", "--but-newest").code == 0
    assert ca(place, "list").out.count("p000001") == 1
    assert revoked(place) == 1


def test_no_key_is_ever_said(place: Path) -> None:
    told = [
        ca(place, "issue", "p000001"),
        ca(place, "issue-server", "localhost", "127.0.0.1"),
        ca(place, "issue-service", "ingest"),
        ca(place, "list", "--all"),
        ca(place, "revoke", "p000001"),
        ca(place, "broker", "nats", "--out", place / "nats", "--server", "localhost"),
    ]
    assert [each.code for each in told] == [0] * 6
    said = "".join(each.out + each.err for each in told)
    assert "PRIVATE" not in said
    for key in place.rglob("*.key"):
        assert key.read_text().splitlines()[1] not in said


def test_a_fleet_is_provided_in_one_go_and_again_only_for_who_has_none(place: Path, tmp_path: Path) -> None:
    registry = tmp_path / "fleet.csv"
    registry.write_text("pump_id,site\np1,north\np2,north\np1,north\n")
    assert "2 certificates issued, 0 pumps had one" in ca(place, "issue-fleet", registry).out
    assert sorted(path.name for path in (place / "pumps").iterdir()) == [
        "ca.crt",
        "p1.key",
        "p1.pem",
        "p2.key",
        "p2.pem",
    ]
    ids = tmp_path / "ids"
    ids.write_text("# ours\np2\np3\n")
    assert "1 certificates issued, 1 pumps had one" in ca(place, "issue-fleet", ids).out
    assert "2 certificates issued, 0 pumps had one" in ca(place, "issue-fleet", ids, "--renew-within", "1000").out


def test_one_wrong_id_and_the_whole_fleet_gets_none(place: Path, tmp_path: Path) -> None:
    ids = tmp_path / "ids"
    ids.write_text("p1\np/2\n")
    ended = ca(place, "issue-fleet", ids)
    assert (ended.code, ended.err) == (1, "'p/2' is no pump's id: 1 to 64 of A-Z a-z 0-9 _ -\n")
    assert not (place / "pumps").exists()


def test_what_was_taken_back_stands_in_the_list_and_in_the_register(place: Path) -> None:
    ca(place, "issue", "p1")
    ended = ca(place, "revoke", "p1", "--reason", "explanted")
    assert ended.code == 0
    assert "1 taken back" in ended.out
    assert revoked(place) == 1
    assert "revoked: explanted" in ca(place, "list", "--all").out
    assert "p1" not in ca(place, "list").out
    assert ca(place, "revoke", "p1").err == "pump p1 has no certificate to take back\n"
    assert ca(place, "issue", "p1").code == 0


def test_what_ends_soon_is_listed(place: Path) -> None:
    ca(place, "issue", "soon", "--days", "10")
    ca(place, "issue", "later")
    listed = ca(place, "list", "--within", "30").out
    assert "soon" in listed
    assert "later" not in listed


def test_what_it_cannot_do_it_says_in_a_line(place: Path, tmp_path: Path) -> None:
    assert "not overwritten" in ran("ca", "init", "--dir", place).err
    assert "outlive the authority" in ca(place, "issue", "p1", "--days", "7000").err
    assert "neither a host's name nor its address" in ca(place, "issue-server", "a b").err
    nowhere = ran("ca", "issue", "p1", "--dir", tmp_path / "nowhere")
    assert (nowhere.code, "pumpwatch ca init" in nowhere.err) == (1, True)
    missing = ca(place, "issue", "p1", "--request", tmp_path / "missing.csr")
    assert (missing.code, missing.err.count("\n")) == (1, 1)


def test_a_brokers_settings_are_left_as_their_owner_changed_them_and_its_lists_are_made_anew(place: Path) -> None:
    ca(place, "issue-server", "localhost")
    ca(place, "issue", "p1")
    out = place / "nats"
    assert ca(place, "broker", "nats", "--out", out, "--server", "localhost").code == 0
    assert "urn:pump:p1:" in (out / "users.conf").read_text()
    (out / "nats.conf").write_text("# mine\n")

    ca(place, "revoke", "p1")
    assert ca(place, "broker", "nats", "--out", out, "--server", "localhost").code == 0
    assert (out / "nats.conf").read_text() == "# mine\n"
    assert "urn:pump:p1" not in (out / "users.conf").read_text()


def test_a_broker_needs_a_certificate_of_its_own(place: Path) -> None:
    ended = ca(place, "broker", "mosquitto", "--out", place / "m", "--server", "localhost")
    assert (ended.code, "pumpwatch ca issue-server localhost" in ended.err) == (1, True)


def test_nobody_gets_a_certificate_as_the_services_own_pump(place: Path) -> None:
    ended = ca(place, "issue", "pumpwatch-canary")
    assert (ended.code, "the service's own pump" in ended.err) == (1, True)
