"""The directory of an authority."""

import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from service.identity.authority import Authority, AuthorityError
from service.identity.cabinet import REGISTER, Cabinet
from service.identity.names import Kind, pump

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
YEAR = timedelta(days=365)


@pytest.fixture
def cabinet(tmp_path: Path) -> Cabinet:
    made = Cabinet(tmp_path / "ca")
    made.begin(Authority.new("test authority", NOW, 10 * YEAR), NOW)
    return made


def issue(cabinet: Cabinet, *pumps: str) -> None:
    with cabinet.opened() as authority:
        cabinet.keep([authority.issue(pump(name), NOW, YEAR) for name in pumps], NOW)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_keys_are_for_their_account_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        cabinet = Cabinet(tmp_path / "ca")
        cabinet.begin(Authority.new("test authority", NOW, 10 * YEAR), NOW)
        issue(cabinet, "p1")
    finally:
        os.umask(before)
    assert mode(cabinet.directory) == 0o700
    assert mode(cabinet.directory / "ca.key") == mode(cabinet.directory / "pumps" / "p1.key") == 0o600
    assert (cabinet.directory / "pumps" / "ca.crt").read_bytes() == (cabinet.directory / "ca.crt").read_bytes()


def test_an_authority_is_never_overwritten(cabinet: Cabinet) -> None:
    before = (cabinet.directory / "ca.key").read_bytes()
    with pytest.raises(AuthorityError, match="not overwritten"):
        cabinet.begin(Authority.new("another", NOW, YEAR), NOW)
    assert (cabinet.directory / "ca.key").read_bytes() == before


def test_a_key_that_others_may_read_signs_nothing(cabinet: Cabinet) -> None:
    (cabinet.directory / "ca.key").chmod(0o640)
    with pytest.raises(AuthorityError, match=r"ca\.key: others may read it \(mode 0640\); chmod 600"):
        issue(cabinet, "p1")
    assert cabinet.entries() == []


def test_the_register_remembers_what_was_issued_and_taken_back(cabinet: Cabinet) -> None:
    issue(cabinet, "p1", "p2")
    first, second = cabinet.entries()
    with cabinet.opened() as authority:
        cabinet.revoke([first], NOW, "stolen")
        cabinet.write_revocations(authority, NOW)

    again = Cabinet(cabinet.directory)
    assert [(each.name, each.revoked_at, each.reason) for each in again.entries()] == [
        ("p1", NOW, "stolen"),
        ("p2", None, ""),
    ]
    assert again.working(pump("p1"), NOW) is None
    assert again.working(pump("p2"), NOW) == second
    assert again.working(pump("p2"), NOW + 2 * YEAR) is None


def test_what_a_crash_left_half_written_is_as_if_never_begun(cabinet: Cabinet) -> None:
    issue(cabinet, "p1")
    register = cabinet.directory / REGISTER
    register.write_bytes(register.read_bytes() + b'{"serial":"ab')
    issue(cabinet, "p2")
    assert [each.name for each in Cabinet(cabinet.directory).entries()] == ["p1", "p2"]


def test_a_register_that_was_damaged_is_said_with_its_line(cabinet: Cabinet) -> None:
    (cabinet.directory / REGISTER).write_text("{}\n")
    with pytest.raises(AuthorityError, match=r"issued\.jsonl:1: "):
        Cabinet(cabinet.directory).entries()


def test_where_nothing_was_begun_it_says_how_to_begin(tmp_path: Path) -> None:
    with pytest.raises(AuthorityError, match="pumpwatch ca init"):
        Cabinet(tmp_path).entries()
    with pytest.raises(AuthorityError, match="pumpwatch ca init"), Cabinet(tmp_path).opened():
        pass


def test_folders_are_named_by_what_lies_in_them(cabinet: Cabinet) -> None:
    assert cabinet.folder(Kind.PART) == cabinet.directory / "services"
