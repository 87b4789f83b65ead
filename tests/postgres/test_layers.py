"""What the rulebook's layers make of a limit for each pump, as a query sees it."""

import asyncpg
import pytest

from service.core.change import Condition
from service.core.override import Whose
from service.core.reading import DrugClass
from service.core.rulebook import Rulebook, parse_rulebook
from service.postgres.layers import layers, limit_sql, site_limit_sql

WHY = 'reason = "r", author = "a", expires = 2030-01-01'
ON_TRIAL = f"""
[sequence_gap]
readings = 20
[drug_class.baclofen.sequence_gap]
readings = {{ value = 30, {WHY} }}
[site.north.sequence_gap]
readings = {{ value = 40, {WHY} }}
[pump.p1.sequence_gap]
readings = {{ value = 50, {WHY} }}
"""


@pytest.mark.parametrize("text", ["", ON_TRIAL])
async def test_a_query_sees_the_limit_that_the_rulebook_says(connection: asyncpg.Connection, text: str) -> None:
    rulebook = parse_rulebook(text)
    assert isinstance(rulebook, Rulebook)
    await connection.execute("INSERT INTO site (site, name) VALUES ('north', 'n'), ('south', 's')")
    await connection.execute(
        "INSERT INTO pump (pump_id, site, drug_class, registered) VALUES ('p1', 'north', 'baclofen', true),"
        " ('p2', 'north', 'baclofen', true), ('p3', 'south', 'baclofen', true), ('p4', NULL, 'opioid', true)"
    )
    own = layers(rulebook, Condition.SEQUENCE_GAP, "readings")
    for row in await connection.fetch(f"SELECT p.*, {limit_sql('$1')} AS found FROM pump AS p", own):
        whose = Whose(DrugClass(row["drug_class"]), row["site"] or "", row["pump_id"])
        assert row["found"] == rulebook.limit_of(Condition.SEQUENCE_GAP, "readings", whose)
    for site in ("north", "south"):
        found = await connection.fetchval(f"SELECT {site_limit_sql('$1', '$2::text')}", own, site)
        assert found == rulebook.limit(Condition.SEQUENCE_GAP, "readings", site=site)
