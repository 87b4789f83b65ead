"""Which shard a pump is in, without asking the broker."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.shards import SHARDS, parse_shards, ranges_of, shard_of, topic_filters


def test_a_pump_is_in_the_shard_that_its_fnv_1a_comes_to() -> None:
    assert shard_of("") == 0x811C9DC5 % SHARDS
    assert shard_of("a") == 0xE40C292C % SHARDS
    assert shard_of("foobar") == 0xBF9CF968 % SHARDS


def test_pumps_are_spread_evenly() -> None:
    counts = [0] * SHARDS
    for number in range(64_000):
        counts[shard_of(f"p{number:06}")] += 1
    assert min(counts) > 800
    assert max(counts) < 1200


@given(st.sets(st.integers(0, SHARDS - 1)))
def test_shards_are_read_as_they_are_told(shards: set[int]) -> None:
    assert parse_shards(ranges_of(shards)) == shards


def test_ranges_and_single_shards_are_read() -> None:
    assert parse_shards(" 0-2, 7,63 ") == {0, 1, 2, 7, 63}
    assert ranges_of([63, 0, 7, 1, 2]) == "0-2, 7, 63"
    assert parse_shards("") == frozenset()


@pytest.mark.parametrize("text", ["64", "3-1", "a", "1-", "-1", "0-64", "1;2"])
def test_what_is_no_shard_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="no shard"):
        parse_shards(text)


def test_the_first_shard_hears_too_what_no_mapping_has_taken() -> None:
    assert topic_filters(0) == ["shard/0/pumps/v1/+/+", "pumps/#"]
    assert topic_filters(5) == ["shard/5/pumps/v1/+/+"]
