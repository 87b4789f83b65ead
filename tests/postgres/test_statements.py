"""The version before goes on beside this one: whatever it says, the schema of this one understands."""

import json
import re

import asyncpg

from service.postgres.migrate import known
from tests.postgres.statements import BEFORE, refused, said

LAST_BEFORE = 12
"""The newest migration of the version that said them."""


async def test_the_schema_understands_all_that_the_version_before_says(connection: asyncpg.Connection) -> None:
    statements = json.loads(BEFORE.read_text(encoding="utf-8"))
    assert len(statements) > 100
    assert await refused(connection, statements) == {}


async def test_what_is_collected_is_what_is_said(connection: asyncpg.Connection) -> None:
    """The collection would be of no use if it missed what matters."""
    ours = " ".join(said())
    for word in ("INSERT INTO gap", "UPDATE shard", "FROM rule_checkpoint", "FROM notification", "INSERT INTO audit"):
        assert word in ours


def test_no_migration_asks_more_of_a_row_than_the_version_before_gives() -> None:
    """A column that must be filled fills itself."""
    strict = [
        f"{migration.name}: {column}"
        for migration in known()
        if migration.number > LAST_BEFORE
        for column in re.findall(r"ADD COLUMN[^,;]*", re.sub(r"--.*", "", migration.sql))
        if "NOT NULL" in column and "DEFAULT" not in column
    ]
    assert strict == []
