"""How the keys of others are kept."""

import stat
from pathlib import Path

import asyncpg
import pytest

from service.postgres.endpoints import seal_all, unsealed
from service.vault import SEALED, Vault, VaultError, key_file, new_key

ONE, OTHER = new_key(), new_key()


def test_what_is_sealed_is_opened_with_the_same_key_and_shows_nothing() -> None:
    sealed = Vault([ONE]).seal("whsec_abc")
    assert sealed.startswith(SEALED)
    assert "abc" not in sealed
    assert Vault([ONE]).open(sealed) == "whsec_abc"


def test_a_key_is_replaced_by_putting_the_new_one_before_it() -> None:
    sealed = Vault([ONE]).seal("whsec_abc")
    both = Vault([OTHER, ONE])
    assert both.open(sealed) == "whsec_abc"
    assert not both.is_fresh(sealed)
    assert Vault([OTHER]).open(both.fresh(sealed)) == "whsec_abc"
    assert both.is_fresh(both.fresh(sealed))


def test_another_key_no_key_and_no_key_at_all_are_told_apart_in_a_line() -> None:
    sealed = Vault([ONE]).seal("whsec_abc")
    with pytest.raises(VaultError, match="not the key that"):
        Vault([OTHER]).open(sealed)
    with pytest.raises(VaultError, match="PUMPWATCH_SECRET_KEY: not set"):
        Vault().open(sealed)
    with pytest.raises(VaultError, match="32 bytes"):
        Vault(["hunter2"])
    assert Vault().open("whsec_plain") == "whsec_plain"


def test_a_key_file_is_made_once_and_for_its_account_only(tmp_path: Path) -> None:
    file = tmp_path / "a" / "secret.key"
    made = key_file(file).read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert key_file(file).read_text() == made
    assert Vault.of("", file).open(Vault([made.strip()]).seal("x")) == "x"
    assert not Vault.of("", tmp_path / "none").has_key
    assert Vault.of(f"{OTHER},{ONE}", file).open(Vault([ONE]).seal("x")) == "x"


async def test_secrets_of_an_earlier_version_and_of_an_earlier_key_are_sealed_anew(postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url)
    before = Vault([ONE])
    for name, secret in (("plain", "whsec_plain"), ("old", before.seal("whsec_old")), ("new", "")):
        await connection.execute(
            "INSERT INTO endpoint (name, url, secret) VALUES ($1, 'https://x.example', $2)", name, secret
        )
    await connection.execute("INSERT INTO former_secret SELECT id, 'whsec_f', now() + '1 h' FROM endpoint LIMIT 1")
    assert await unsealed(connection) == 1
    both = Vault([OTHER, ONE])
    assert await seal_all(connection, both) == 2
    assert await seal_all(connection, both) == 0
    assert await unsealed(connection) == 0
    after = {row["name"]: row["secret"] for row in await connection.fetch("SELECT name, secret FROM endpoint")}
    assert (Vault([OTHER]).open(after["plain"]), Vault([OTHER]).open(after["old"])) == ("whsec_plain", "whsec_old")
    assert Vault([OTHER]).open(await connection.fetchval("SELECT secret FROM former_secret")) == "whsec_f"
    with pytest.raises(VaultError):
        await seal_all(connection, Vault([ONE]))
    await connection.close()
