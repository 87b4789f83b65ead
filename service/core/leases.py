"""Which shards should an ingester take, and which give back? From who lives and who has what, at each look."""

from collections.abc import Collection, Mapping, Sequence
from math import ceil
from typing import NamedTuple


class Standing(NamedTuple):
    """A shard as it stands: `instance` has it; `wanted_by` is who shall, where a person has said so."""

    shard: int
    epoch: int
    instance: str | None
    wanted_by: str | None


class Share(NamedTuple):
    claim: list[int]
    give_back: list[int]


class Won(NamedTuple):
    """A shard that is ours now. `recorded`: the broker has had its session before."""

    shard: int
    epoch: int
    recorded: bool


class Looked(NamedTuple):
    """What came of a look: what we have now, and what we are to give back."""

    won: list[Won]
    give_back: list[int]


def share_out(
    own: str, takes: Mapping[str, Collection[int]], standing: Sequence[Standing], held: Collection[int]
) -> Share:
    """Decide for `own`, which lives like all of `takes`: what each of them may have. `held`: what it has in fact.

    Each may have its fair part and no more, so that all looking by themselves come to rest; what is wanted by somebody
    who lives is that one's, beyond the fair part too.
    """
    candidates = {each.shard: sum(each.shard in shards for shards in takes.values()) for each in standing}
    may = [each for each in standing if each.shard in takes[own]]
    fair = ceil(sum(1 / candidates[each.shard] for each in may) - 1e-9)
    wanted = {each.shard for each in may if each.wanted_by == own}
    elsewhere = {
        each.shard for each in standing if each.wanted_by != own and each.shard in takes.get(each.wanted_by or "", ())
    }
    give_back = [shard for shard in sorted(held) if shard in elsewhere]
    # Those that most others may have go first, and are claimed last.
    kept = sorted(set(held) - set(give_back) - wanted, key=lambda shard: (candidates.get(shard, 0), shard))
    excess = len(held) - len(give_back) - fair
    give_back += [shard for shard in kept[max(len(kept) - excess, 0) :] if candidates.get(shard, 0) > 1 and excess > 0]
    if give_back:
        return Share([], give_back)
    free = [
        each
        for each in may
        if each.shard not in held
        and each.shard not in elsewhere
        and (each.instance is None or each.instance == own or each.instance not in takes)
    ]
    free.sort(key=lambda each: (each.shard not in wanted, each.instance != own, candidates[each.shard], each.shard))
    room = max(fair - len(held), sum(each.shard in wanted for each in free))
    return Share([each.shard for each in free[:room]], [])
