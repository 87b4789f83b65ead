"""The messages kept aside, over HTTP."""

import base64
import hashlib
from datetime import timedelta

from tests.api.ward import NOW, Ward, problem

HEAD = b'\xff{"boot": 7\x00'


async def test_what_was_kept_aside_is_listed_newest_first_and_shown_to_the_byte(ward: Ward) -> None:
    for number in range(5):
        await ward.rows(
            "INSERT INTO quarantine (received_at, topic, reason, detail, length, sha256, head) "
            "VALUES ($1, 'pumps/v1/p1/telemetry', $2, 'at byte 0', 70000, $3, $4)",
            NOW + timedelta(seconds=number),
            "not_json" if number % 2 else "bad_time",
            hashlib.sha256(HEAD).digest(),
            HEAD,
        )
    first = (await ward.viewer.get("/quarantine", params={"limit": 3})).json()
    rest = (await ward.viewer.get("/quarantine", params={"cursor": first["next_cursor"]})).json()
    listed = first["items"] + rest["items"]
    assert [item["received_at"][-3:-1] for item in listed] == ["04", "03", "02", "01", "00"]
    assert listed[1] == {
        "id": listed[1]["id"],
        "received_at": "2026-11-22T20:30:03Z",
        "topic": "pumps/v1/p1/telemetry",
        "reason": "not_json",
        "detail": "at byte 0",
        "length": 70000,
        "sha256": hashlib.sha256(HEAD).hexdigest(),
        "pump_id": "p1",
        "state": "kept",
        **dict.fromkeys(("replay_asked_at", "replay_asked_by", "replayed_at"), None),
        **dict.fromkeys(("dropped_at", "dropped_by", "drop_reason"), None),
    }
    query = {"reason": "not_json", "since": "2026-11-22T20:30:02Z"}
    assert (await ward.viewer.get("/quarantine", params=query)).json()["items"] == [listed[1]]

    whole = (await ward.viewer.get(f"/quarantine/{listed[1]['id']}")).json()
    assert base64.b64decode(whole.pop("head_base64")) == HEAD
    assert whole.pop("text") == '\\xff{"boot": 7\\x00'
    assert whole.pop("hex") == HEAD.hex(" ")
    assert (whole.pop("head_bytes"), whole.pop("again_id")) == (len(HEAD), None)
    assert whole == listed[1]


async def kept(ward: Ward, pump_id: str, head: bytes = b"{", length: int = 0, reason: str = "not_json") -> int:
    (row,) = await ward.rows(
        "INSERT INTO quarantine (received_at, topic, reason, detail, length, sha256, head) "
        "VALUES ($1, $2, $3, '', $4, $5, $6) RETURNING id",
        *(NOW, f"shard/7/pumps/v1/{pump_id}/event", reason, length or len(head), hashlib.sha256(head).digest(), head),
    )
    return row["id"]


async def test_a_message_is_asked_to_be_read_again_or_dropped_with_a_reason_once(ward: Ward) -> None:
    again, dropped, cut = await kept(ward, "p1"), await kept(ward, "p2"), await kept(ward, "p3", length=70_000)
    asked = await ward.administrator.post(f"/quarantine/{again}/replay")
    assert (asked.status_code, asked.json()["state"], asked.json()["replay_asked_by"]) == (
        *(202, "replaying"),
        "the-administrator",
    )
    why = {"reason": "A test of the vendor's."}
    gone = await ward.administrator.post(f"/quarantine/{dropped}/drop", json=why)
    assert (gone.json()["state"], gone.json()["drop_reason"]) == ("dropped", why["reason"])
    for path, body in (("replay", None), ("drop", why)):
        for number in (again, dropped):
            problem(await ward.administrator.post(f"/quarantine/{number}/{path}", json=body), 409)
        problem(await ward.administrator.post(f"/quarantine/999999/{path}", json=body), 404)
        problem(await ward.clinician.post(f"/quarantine/{cut}/{path}", json=body), 403)
    assert "first 65,536 bytes" in str(problem(await ward.administrator.post(f"/quarantine/{cut}/replay"), 409))
    problem(await ward.administrator.post(f"/quarantine/{cut}/drop", json={"reason": ""}), 422)
    listed = (await ward.viewer.get("/quarantine", params={"state": ["dropped", "kept"]})).json()["items"]
    assert [item["id"] for item in listed] == [cut, dropped]
    found = (await ward.viewer.get("/quarantine", params={"pump": "p1", "until": "2026-11-22T20:30:00.001Z"})).json()
    assert [item["id"] for item in found["items"]] == [again]
    said = await ward.rows("SELECT action, subject FROM audit WHERE action LIKE 'quarantine%' ORDER BY id")
    assert [tuple(row) for row in said] == [("quarantine_replayed", str(again)), ("quarantine_dropped", str(dropped))]


async def test_all_of_a_reason_are_asked_at_once_the_oldest_first(ward: Ward) -> None:
    numbers = [await kept(ward, pump_id, reason=reason) for pump_id in ("p1", "p2") for reason in ("a", "b", "a")]
    one = await ward.administrator.post("/quarantine/replay", json={"reason": "a", "pump_id": "p2", "most": 1})
    assert (one.status_code, one.json()) == (202, {"messages": 1})
    rest = await ward.administrator.post("/quarantine/replay", json={"reason": "a"})
    assert rest.json() == {"messages": 3}
    listed = (await ward.viewer.get("/quarantine", params={"state": "replaying"})).json()["items"]
    assert {item["id"] for item in listed} == {numbers[0], numbers[2], numbers[3], numbers[5]}
