"""Ingesters that look by themselves come to rest, and every shard has one of them."""

from hypothesis import given
from hypothesis import strategies as st

from service.core.leases import Standing, share_out

ALL = frozenset(range(64))


class World:
    """Ingesters that look in turn, as each would by itself."""

    def __init__(self, takes: dict[str, frozenset[int]]) -> None:
        self.takes = takes
        self.owner: dict[int, str | None] = dict.fromkeys(range(64))
        self.wanted: dict[int, str] = {}

    def held(self, name: str) -> set[int]:
        return {shard for shard, owner in self.owner.items() if owner == name}

    def look(self, name: str) -> int:
        standing = [Standing(shard, 1, owner, self.wanted.get(shard)) for shard, owner in self.owner.items()]
        share = share_out(name, self.takes, standing, self.held(name))
        self.owner |= dict.fromkeys(share.give_back) | dict.fromkeys(share.claim, name)
        return len(share.claim) + len(share.give_back)

    def come_to_rest(self) -> None:
        for _ in range(20):
            if not sum(self.look(name) for name in self.takes):
                return
        raise AssertionError("they go on and on")


def test_one_alone_has_all() -> None:
    world = World({"a": ALL})
    world.come_to_rest()
    assert world.held("a") == ALL


def test_who_comes_is_given_a_fair_part_and_who_goes_leaves_it_to_the_others() -> None:
    world = World({"a": ALL})
    world.come_to_rest()
    world.takes |= {"b": ALL, "c": ALL}
    world.come_to_rest()
    assert sorted(len(world.held(name)) for name in "abc") == [20, 22, 22]

    del world.takes["b"]
    world.come_to_rest()
    assert len(world.held("a")) == len(world.held("c")) == 32


def test_what_a_person_wants_elsewhere_is_moved_and_stays() -> None:
    world = World({"a": ALL, "b": ALL})
    world.come_to_rest()
    moved = sorted(world.held("a"))[:3]
    world.wanted = dict.fromkeys(moved, "b")
    world.come_to_rest()
    assert set(moved) <= world.held("b")

    del world.takes["b"]
    world.come_to_rest()
    assert world.held("a") == ALL, "who is gone is not waited for"


def test_one_that_starts_again_has_its_own_at_once() -> None:
    standing = [Standing(shard, 1, "a" if shard < 22 else "b", None) for shard in range(64)]
    share = share_out("a", {"a": ALL, "b": ALL}, standing, [])
    assert set(range(22)) <= set(share.claim)


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.booleans()), max_size=20))
def test_however_they_come_and_go_every_shard_has_one(changes: list[tuple[str, bool]]) -> None:
    world = World({"a": ALL})
    for name, comes in changes:
        if comes:
            world.takes[name] = ALL
        elif len(world.takes) > 1:
            world.takes.pop(name, None)
        world.look(next(iter(world.takes)))
    world.come_to_rest()
    assert all(owner in world.takes for owner in world.owner.values())


@given(st.integers(0, 63), st.integers(1, 4), st.integers(1, 4))
def test_a_standby_for_some_and_owners_of_all_leave_none_without(split: int, few: int, many: int) -> None:
    """Whoever may have less takes of what others may have too."""
    some = {f"few{n}": frozenset(range(split + 1)) for n in range(few)}
    world = World(some | {f"many{n}": ALL for n in range(many)})
    world.come_to_rest()
    assert all(owner is not None and shard in world.takes[owner] for shard, owner in world.owner.items())
