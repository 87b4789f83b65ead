"""A connection that is lost is made again, and what was asked is asked again until it is answered."""

import asyncpg
import pytest

from service.postgres.patient import PatientConnection


async def test_what_was_asked_over_a_connection_that_is_lost_is_answered_over_the_next(
    postgres_url: str, connection: asyncpg.Connection
) -> None:
    patient = PatientConnection(postgres_url, "patient", {"synchronous_commit": "off"})
    asked: list[int] = []

    async def ask(own: asyncpg.Connection) -> None:
        asked.append(await own.fetchval("SELECT pg_backend_pid()"))
        if len(asked) == 1:
            await connection.execute("SELECT pg_terminate_backend($1)", asked[0])
        assert await own.fetchval("SHOW synchronous_commit") == "off"

    await patient.read(ask)
    await patient.close()
    assert len(set(asked)) == 2
    assert patient.problem == ""


async def test_what_is_wrong_with_the_question_is_not_waited_for(postgres_url: str) -> None:
    patient = PatientConnection(postgres_url, "patient")
    with pytest.raises(asyncpg.UndefinedTableError):
        await patient.read(lambda connection: connection.execute("SELECT FROM nowhere"))
    await patient.close()
