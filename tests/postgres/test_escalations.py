"""Escalation in the database: up the steps, at once where nobody is reached, until a person answers."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from service.core.change import Condition, Turn
from tests.episodes import at, turned
from tests.postgres.ward import STORE, WARD, Ward


@pytest.fixture
async def ward(postgres_url: str) -> AsyncIterator[Ward]:
    connection = await asyncpg.connect(postgres_url)
    yield Ward(connection)
    await connection.close()


async def test_it_climbs_until_somebody_answers_and_only_those_who_were_told_hear_that_it_is_over(ward: Ward) -> None:
    await ward.policy()
    pump = await ward.pump()
    await ward.apply(turned(Turn.BEGAN, 30, pump=pump), minute=30)
    await ward.arrives()
    assert await ward.look(34.9) == []
    assert await ward.look(35) == ["escalated"]
    await ward.arrives()
    assert await ward.look(35.1) == []
    assert await ward.told() == ["activated desk", "escalated ada's phone"]

    alert = (await ward.alert())["id"]
    await STORE.acknowledge(ward.connection, alert, "ada", "on my way", at(37))
    await ward.arrives()
    assert await ward.look(60) == []
    await ward.apply(turned(Turn.ENDED, 70, pump=pump), minute=70)
    await STORE.reset(ward.connection, alert, "ada", "", at(80))
    assert await ward.told(at(36)) == [
        *("acknowledged ada's phone", "acknowledged desk", "resolved ada's phone", "resolved desk")
    ]
    assert (await ward.alert())["escalate_at"] is None


async def test_after_the_last_step_all_are_told_again_at_growing_intervals(ward: Ward) -> None:
    await ward.policy()
    await ward.apply(turned(Turn.BEGAN, 30, pump=await ward.pump()), minute=30)
    seen = []
    for minute in range(31, 100):
        await ward.arrives()
        seen += [f"{minute} {event}" for event in await ward.look(minute)]
    assert seen == ["35 escalated", "45 escalated", "55 repeated", "75 repeated"]
    assert await ward.told(at(75)) == ["repeated ada's phone", "repeated desk", "repeated head"]


async def test_a_step_that_reaches_nobody_is_left_at_once(ward: Ward) -> None:
    await ward.policy()
    await ward.apply(turned(Turn.BEGAN, 30, pump=await ward.pump()), minute=30)
    await ward.have_just_become_due()
    assert await ward.look(30, seconds=5) == []
    await ward.connection.execute("UPDATE notification SET failures = 2, attempts = 2, failed_since = $1", at(30))
    assert await ward.look(30, seconds=6) == ["escalated"]
    await ward.have_just_become_due()
    assert await ward.look(30, seconds=7) == []  # of the second step nothing is known yet
    [note] = await ward.connection.fetch("SELECT note FROM alert_history WHERE event = 'escalated'")
    assert note["note"] == "nobody of the step before could be reached"
    await ward.connection.execute("UPDATE endpoint SET enabled = false WHERE name = 'ada''s phone'")
    await ward.connection.execute("UPDATE notification SET due_at = $1 WHERE failures = 0", at(30))
    assert await ward.look(30, seconds=8) == ["escalated"]
    assert await ward.told() == ["activated desk", "escalated ada's phone", "escalated head"]


async def test_a_step_behind_which_nobody_is_left_is_passed_over(ward: Ward) -> None:
    await ward.policy()
    await ward.apply(turned(Turn.BEGAN, 30, pump=await ward.pump()), minute=30)
    await ward.arrives()
    await ward.put("contact", "ada", None)
    assert await ward.look(35) == ["escalated"]
    assert await ward.look(35, seconds=1) == ["escalated"]
    assert await ward.told() == ["activated desk", "escalated head"]


async def test_a_policy_that_reaches_nobody_gives_way_to_everybody_and_says_so(ward: Ward) -> None:
    await ward.policy()
    await ward.connection.execute("UPDATE endpoint SET enabled = false WHERE name <> 'elsewhere'")
    await ward.apply(turned(Turn.BEGAN, 30, pump=await ward.pump()), minute=30)
    assert await ward.told() == ["activated elsewhere"]
    [note] = await ward.connection.fetch("SELECT note FROM alert_history")
    assert note["note"] == "the policy ward reaches no endpoint: everybody is told"
    assert await ward.look(31) == ["condition_began"]
    broken = await ward.connection.fetchrow("SELECT * FROM alert WHERE subject = 'service:escalation'")
    assert broken["condition"] == "escalation_broken"
    assert "the policy ward reaches no endpoint" in broken["evidence"]
    assert await ward.look(31.5) == []
    await STORE.acknowledge(ward.connection, (await ward.alert())["id"], "ada", "", at(32))
    assert await ward.look(33) == ["condition_ended"]


async def test_where_nobody_of_the_whole_policy_could_be_reached_everybody_is_told_and_that_is_said(ward: Ward) -> None:
    await ward.policy()
    await ward.apply(turned(Turn.BEGAN, 30, pump=await ward.pump()), minute=30)
    fails = "UPDATE notification SET failures = 2, attempts = 2, failed_since = $1 WHERE state = 'pending'"
    seen = []
    for seconds in range(1, 5):
        await ward.connection.execute(fails, at(30))
        seen += await ward.look(30, seconds=seconds)
    assert seen == ["escalated"] * 3 + ["condition_began"]
    assert await ward.told() == [
        *("activated desk", "escalated ada's phone", "escalated head"),
        *("activated desk", "escalated elsewhere"),  # the first is about the policy, and goes the same way
    ]
    notes = await ward.connection.fetch("SELECT note FROM alert_history WHERE event = 'escalated' ORDER BY number")
    assert notes[-1]["note"] == "nobody of the policy ward could be reached: everybody is told"
    broken = await ward.connection.fetchval("SELECT evidence->>'reason' FROM alert WHERE pump IS NULL")
    assert broken == "the policy ward reaches no endpoint"
    await ward.arrives("elsewhere")
    assert await ward.look(34.9) == []
    assert await ward.look(36) != [], "and it is said again"


async def test_where_somebody_of_the_policy_was_reached_the_others_do_not_hear(ward: Ward) -> None:
    await ward.policy()
    await ward.apply(turned(Turn.BEGAN, 30, pump=await ward.pump()), minute=30)
    await ward.arrives("desk")
    assert await ward.look(35) == ["escalated"]
    assert await ward.look(45) == ["escalated"]
    await ward.connection.execute("UPDATE notification SET failures = 2 WHERE state = 'pending'")
    assert await ward.look(46) == []


async def test_who_has_no_policies_is_told_as_ever_and_again_while_nobody_answers(ward: Ward) -> None:
    await ward.endpoint("desk", "head")
    pump = await ward.pump()
    await ward.apply(turned(Turn.BEGAN, 30, pump=pump), minute=30)
    await ward.arrives()
    assert await ward.told() == ["activated desk", "activated head"]
    assert await ward.look(34.9) == []
    assert await ward.look(35) == ["repeated"]
    assert await ward.told(at(31)) == ["repeated desk", "repeated head"]


async def test_nothing_is_put_behind_what_has_yet_to_arrive(ward: Ward) -> None:
    await ward.endpoint("desk", "head")
    await ward.apply(turned(Turn.BEGAN, 30, pump=await ward.pump()), minute=30)
    await ward.arrives("head")
    assert await ward.look(35) == ["repeated"]
    assert await ward.told() == ["activated desk", "activated head", "repeated head"]


async def test_a_reminder_that_nobody_answers_takes_the_acknowledgement_back(ward: Ward) -> None:
    await ward.policy(remind_after_s=3600, answer_within_s=600)
    await ward.apply(turned(Turn.BEGAN, 30, pump=await ward.pump()), minute=30)
    await ward.arrives()
    alert = (await ward.alert())["id"]
    await STORE.acknowledge(ward.connection, alert, "ada", "", at(31))
    await ward.arrives()
    assert await ward.look(91) == ["reminded"]
    await STORE.acknowledge(ward.connection, alert, "ada", "still at it", at(95))  # this answers it
    await ward.arrives()
    assert await ward.look(120) == []
    assert await ward.look(155) == ["reminded"]
    await ward.arrives()
    assert await ward.look(164) == []
    assert await ward.look(165) == ["taken_back"]
    assert (await ward.alert())["acknowledged_by"] is None
    await ward.arrives()
    assert await ward.look(170) == ["escalated"]
    assert await ward.told(at(90)) == [
        *("reminder desk", "acknowledged desk", "reminder desk", "repeated desk", "escalated ada's phone")
    ]


async def test_quiet_hours_keep_low_priority_until_the_morning_and_nothing_else(ward: Ward) -> None:
    await ward.policy(quiet={"begins": "18:00:00", "ends": "07:00:00"})
    low, high = await ward.pump("p1"), await ward.pump("p2")
    await ward.apply(turned(Turn.BEGAN, 30, Condition.RESERVOIR_LOW, pump=low), minute=30)  # 19:30
    await ward.apply(turned(Turn.BEGAN, 30, pump=high), minute=30)
    due = await ward.connection.fetch("SELECT priority, due_at FROM notification ORDER BY priority")
    assert [(row["priority"], row["due_at"]) for row in due] == [("high", at(30)), ("low", at(12 * 60))]
    await ward.arrives("desk")
    assert await ward.look(60) == ["escalated"]  # the one of high priority
    assert await ward.look(12 * 60 + 5) != []


async def test_changing_a_policy_changes_no_escalation_that_is_under_way(ward: Ward) -> None:
    await ward.policy()
    await ward.apply(turned(Turn.BEGAN, 30, pump=await ward.pump()), minute=30)
    await ward.arrives()
    await ward.put("policy", "ward", WARD | {"steps": [{"after_s": 0, "targets": ["endpoint:elsewhere"]}]})
    assert await ward.look(35) == ["escalated"]
    assert await ward.told(at(31)) == ["escalated ada's phone"]


async def test_a_rise_begins_the_policy_of_the_new_priority_and_tells_those_who_knew(ward: Ward) -> None:
    await ward.policy()
    await ward.put(
        "policy", "urgent", WARD | {"name": "urgent", "steps": [{"after_s": 0, "targets": ["endpoint:head"]}]}
    )
    await ward.put("rules", "rules", {"rules": [{"policy": "ward"}, {"policy": "urgent", "priority": "high"}]})
    pump = await ward.pump()
    await ward.apply(turned(Turn.BEGAN, 30, Condition.RESERVOIR_LOW, pump=pump, step=1), minute=30)
    await ward.apply(turned(Turn.ROSE, 40, Condition.RESERVOIR_LOW, pump=pump, step=3), minute=40)
    assert await ward.told() == ["activated desk", "priority_rose desk", "priority_rose head"]


async def test_after_an_outage_of_ours_the_steps_come_one_at_a_time(ward: Ward) -> None:
    await ward.policy()
    await ward.apply(turned(Turn.BEGAN, 30, pump=await ward.pump()), minute=30)
    await ward.arrives()
    assert await ward.look(300) == ["escalated"]
    await ward.arrives()
    assert await ward.look(301) == []
    assert await ward.look(310) == ["escalated"]


async def test_an_open_alert_without_a_deadline_is_told_of_and_given_one(ward: Ward) -> None:
    await ward.policy()
    await ward.apply(turned(Turn.BEGAN, 30, pump=await ward.pump()), minute=30)
    await ward.connection.execute("UPDATE alert SET escalate_at = NULL, escalation = NULL")
    assert await ward.look(31) == ["condition_began"]
    assert (await ward.connection.fetchval("SELECT evidence->>'reason' FROM alert WHERE pump IS NULL")).startswith(
        "1 open"
    )
    assert await ward.look(32) == ["condition_ended"]
    assert await ward.look(32, seconds=1) == ["escalated"]


async def test_whoever_answers_while_the_watch_looks_is_not_told_again(ward: Ward, postgres_url: str) -> None:
    await ward.policy()
    await ward.apply(turned(Turn.BEGAN, 30, pump=await ward.pump()), minute=30)
    await ward.arrives()
    alert = (await ward.alert())["id"]
    other = await asyncpg.connect(postgres_url)
    try:
        for minute in (35, 36):
            await asyncio.gather(
                ward.look(minute),
                STORE.acknowledge(other, alert, "ada", "", at(minute)) if minute == 35 else asyncio.sleep(0),
            )
    finally:
        await other.close()
    row = await ward.alert()
    assert row["acknowledged_by"] == "ada"
    assert [event for event in await ward.history() if event == "escalated"] in ([], ["escalated"])
    assert await ward.look(60) == []
