"""A chain says what was done to it afterwards."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from service.core.chain import Entry, broken, link, root

texts = st.one_of(st.none(), st.text(max_size=5))


@dataclass
class Chain:
    entries: list[Entry] = field(default_factory=list)

    def add(self, *fields: str | None) -> None:
        previous = self.entries[-1].hash if self.entries else b""
        self.entries.append(Entry(len(self.entries) + 1, fields, link(previous, fields)))


def a_chain(length: int = 5) -> list[Entry]:
    chain = Chain()
    for number in range(length):
        chain.add(str(number), "x", None)
    return chain.entries


def test_an_untouched_chain_is_unbroken() -> None:
    assert list(broken(a_chain(), 5)) == []
    assert list(broken([])) == []


def test_each_thing_that_can_be_done_to_it_is_named_with_its_place() -> None:
    chain = a_chain()
    changed = [*chain[:2], chain[2]._replace(fields=("2", "y", None)), *chain[3:]]
    assert list(broken(changed, 5)) == [(3, "was changed")]
    assert list(broken([*chain[:2], *chain[3:]], 5)) == [(3, "is missing")]
    assert list(broken(chain[:3], 5)) == [(4, "is missing"), (5, "is missing")]
    assert list(broken(chain, 4)) == [(5, "was put in")]
    twice = [*chain[:3], chain[2]._replace(fields=("forged",)), *chain[3:]]
    assert list(broken(twice, 5)) == [(3, "was put in")]


def test_who_computes_the_hash_of_what_they_change_breaks_the_next_entry() -> None:
    chain = a_chain()
    fields = ("2", "y", None)
    forged = chain[2]._replace(fields=fields, hash=link(chain[1].hash, fields))
    assert list(broken([*chain[:2], forged, *chain[3:]], 5)) == [(4, "was changed")]


@given(st.lists(texts, max_size=4), st.lists(texts, max_size=4))
def test_no_two_rows_read_the_same(one: list[str | None], other: list[str | None]) -> None:
    assert (link(b"", one) == link(b"", other)) == (one == other)


def test_a_root_depends_on_all_that_it_is_of() -> None:
    made = {root(*parts) for parts in ((b"", "d", [b"a"], b""), (b"p", "d", [b"a"], b""), (b"", "d", [b"b"], b""))}
    assert len(made) == 3
