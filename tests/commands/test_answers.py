"""`pumpwatch alerts`: a person answers from the command line, and reads there what has happened."""

from uuid import uuid4

import asyncpg

from service.core.change import Condition, Turn
from tests.commands.here import ran_beside
from tests.episodes import at, turned
from tests.postgres.ward import Ward


async def test_an_alert_is_shelved_answered_and_reset_and_its_history_says_by_whom(postgres_url: str) -> None:
    async def alerts(*words: object) -> tuple[int, str]:
        ended = await ran_beside("alerts", *words, "--database-url", postgres_url)
        return ended.code, ended.out or ended.err

    connection = await asyncpg.connect(postgres_url)
    try:
        ward = Ward(connection)
        await ward.policy()
        low, high = await ward.pump("low"), await ward.pump("high")
        await ward.apply(turned(Turn.BEGAN, 30, Condition.RESERVOIR_LOW, pump=low), minute=30)
        await ward.apply(turned(Turn.BEGAN, 30, pump=high), minute=30)
        await ward.arrives()
        ids = {row["priority"]: row["id"] for row in await connection.fetch("SELECT id, priority FROM alert")}

        code, listed = await alerts("list", "--priority", "low")
        assert (code, [line.split()[1] for line in listed.splitlines()]) == (0, ["SUBJECT", "pump:low"])

        shelve = ("shelve", ids["low"], "--reason", "refill booked")
        assert (await alerts(*shelve, "--minutes", 100_000))[0] == 2
        assert (await alerts(*shelve, "--until", at(0).isoformat())) == (2, "until: must be later than now\n")
        assert (await alerts("shelve", ids["high"], "--reason", "x", "--minutes", 5))[0] == 1, "a stall never is"
        assert await alerts(*shelve, "--minutes", 30) == (0, f"alert shelved: {ids['low']}\n")
        assert await alerts("unshelve", ids["low"]) == (0, f"alert unshelved: {ids['low']}\n")
        assert (await alerts("unshelve", ids["low"]))[0] == 1

        assert (await alerts("reset", ids["high"]))[0] == 1, "its condition still holds"
        assert (await alerts("acknowledge", ids["high"], "--note", "on my way"))[0] == 0
        code, refused = await alerts("acknowledge", ids["high"])
        assert (code, refused[:27]) == (1, "already acknowledged by cli")
        await ward.apply(turned(Turn.ENDED, 70, pump=high), minute=70)
        assert (await alerts("reset", ids["high"], "--note", "catheter seen to"))[0] == 0
        code, shown = await alerts("show", ids["high"])
        assert code == 0
        events = [line.split()[2] for line in shown.splitlines() if line.split()[:1] and line.split()[0].isdigit()]
        assert events == ["condition_began", "acknowledged", "condition_ended", "reset"]
        assert "catheter seen to" in shown

        assert (await alerts("show", uuid4()))[0] == (await alerts("reset", uuid4()))[0] == 1
        audited = await connection.fetch("SELECT action FROM audit ORDER BY number")
        assert [row["action"] for row in audited if row["action"].startswith("alert_")] == [
            *("alert_shelved", "alert_unshelved", "alert_acknowledged", "alert_reset")
        ]
    finally:
        await connection.close()
