"""The messages kept aside, over HTTP."""

import base64
import hashlib
from datetime import timedelta

from tests.api.ward import NOW, Ward

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
    }
    query = {"reason": "not_json", "since": "2026-11-22T20:30:02Z"}
    assert (await ward.viewer.get("/quarantine", params=query)).json()["items"] == [listed[1]]

    whole = (await ward.viewer.get(f"/quarantine/{listed[1]['id']}")).json()
    assert base64.b64decode(whole.pop("head_base64")) == HEAD
    assert whole == listed[1]
