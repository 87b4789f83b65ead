"""Which unknown pumps are not ours to enter? In a cluster, those that published past the broker's mapping."""

from collections.abc import Collection

from service.core.decode import Decoded
from service.core.rejection import Reason, Rejection
from service.core.shards import shard_of


def reject_foreign(decoded: Decoded, shards: Collection[int]) -> None:
    """Reject their messages: who has their shard is the one to enter them, when they come through it."""
    for pump_id in list(decoded.unknown_pumps):
        shard = shard_of(pump_id.decode())
        if shard not in shards:
            detail = f"{pump_id.decode()} is of shard {shard}, and did not come through it"
            indexes = decoded.unknown_pumps.pop(pump_id)
            decoded.rejections += [Rejection(index, Reason.WRONG_SHARD, detail) for index in indexes]
