"""In a cluster, who is unknown is entered by the ingester that has its shard, and by no other."""

import msgspec

from service.core.decode import decode
from service.core.rejection import Reason
from service.core.shards import shard_of
from service.loops.foreign import reject_foreign
from service.ports import RawMessage, Token
from tests.loops.driven import telemetry
from tests.pumps import NOON_MS


def message(pump_id: str, shard: int, number: int) -> RawMessage:
    topic = f"shard/{shard}/pumps/v1/{pump_id}/telemetry".encode()
    return RawMessage(Token(64, number), topic, msgspec.json.encode(telemetry(number, [1.0])), NOON_MS)


def test_unknown_pumps_of_other_shards_are_kept_aside_and_ours_are_not() -> None:
    ours, theirs = "p000001", next(f"q{n}" for n in range(100) if shard_of(f"q{n}") != shard_of("p000001"))
    shard = shard_of(ours)
    decoded = decode([message(ours, shard, 1), message(theirs, shard, 2), message(theirs, shard, 3)], {})

    reject_foreign(decoded, {shard})

    assert list(decoded.unknown_pumps) == [ours.encode()]
    assert [(each.message, each.reason) for each in decoded.rejections] == [
        (1, Reason.WRONG_SHARD),
        (2, Reason.WRONG_SHARD),
    ]


def test_pumps_that_are_known_came_as_they_may() -> None:
    decoded = decode([message("p000001", 63, 1)], {b"p000001": 0})

    reject_foreign(decoded, set())

    assert decoded.rejections == []
    assert len(decoded.items) == 1
