"""What a caller is told who asked for something wrong."""

from tests.api.ward import Ward, problem

WRONG = [
    ("/pumps?limit=0", "limit"),
    ("/pumps?limit=1001", "limit"),
    ("/pumps?limit=many", "limit"),
    ("/pumps?cursor=zzz", "cursor"),
    ("/pumps?cursor=%00", "cursor"),
    ("/pumps?site=%00", "site"),
    ("/pumps?q=a%20b", "q"),
    ("/pumps/p%001", "pump_id"),
    (f"/pumps/{'p' * 65}", "pump_id"),
    ("/pumps/p1/readings?from=yesterday", "from"),
    ("/pumps/p1/readings?from=2026-11-22T20:00:00", "from"),
    ("/pumps/p1/readings?from=0001-01-01T00:00:00%2B14:00", "from"),
    ("/pumps/p1/readings?to=9999-12-31T23:59:59-14:00", "to"),
    ("/pumps/p1/readings?from=2026-11-22T20:00:00Z&to=2026-11-22T20:00:00Z", "to"),
    ("/pumps/p1/readings?limit=10001", "limit"),
    ("/pumps/p1/readings?cursor=WyIyMDI2LTExLTIyVDIwOjAwOjAwWiIsOTIyMzM3MjAzNjg1NDc3NTgwOF0", "cursor"),
    ("/pumps/p1/readings?cursor=WyIwMDAxLTAxLTAxVDAwOjAwOjAwKzE0OjAwIiwwXQ", "cursor"),
    ("/pumps/p1/events?type=explosion", "type"),
    ("/pumps/p1/gaps?cursor=WyJ4Il0", "cursor"),
    ("/alerts?state=open", "state.0"),
    ("/alerts?priority=severe", "priority.0"),
    ("/alerts?since=now", "since"),
    ("/alerts/17", "alert_id"),
    ("/quarantine/0", "number"),
    ("/quarantine/9223372036854775808", "number"),
]
ABSENT = [
    "/pumps/p1",
    "/pumps/p1/readings",
    "/pumps/p1/events",
    "/pumps/p1/gaps",
    "/alerts/0e9e9c34-52a5-5c2f-9a2b-8f2c6f1d7a11",
    "/quarantine/1",
    "/nothing-here",
]


async def test_a_wrong_value_is_refused_by_the_name_of_its_field(ward: Ward) -> None:
    blamed = []
    for path, _ in WRONG:
        found = problem(await ward.viewer.get(path), 422)
        assert all(error["detail"] for error in found["errors"])
        blamed.append((path, ", ".join(error["field"] for error in found["errors"])))
    assert blamed == WRONG


async def test_what_is_not_there_is_said_not_to_be_there(ward: Ward) -> None:
    for path in ABSENT:
        problem(await ward.viewer.get(path), 404)


async def test_a_method_that_a_resource_does_not_have_is_named_as_that(ward: Ward) -> None:
    answer = await ward.viewer.delete("/pumps")
    problem(answer, 405)
    assert answer.headers["allow"] == "GET"
