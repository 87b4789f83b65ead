"""A fleet that needs more open files than there may be is refused with the limit, the need and the way out."""

import resource
from collections.abc import Iterator

import pytest

from simulators.start import OTHER_FILES, TooFewFilesError, allow_files


@pytest.fixture
def soft_limit() -> Iterator[int]:
    """A soft limit that is low, for this test."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    low = min(1024, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (low, hard))
    yield low
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_the_soft_limit_is_raised_as_far_as_needed(soft_limit: int) -> None:
    allow_files(soft_limit + 100)

    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == soft_limit + 100 + OTHER_FILES


def test_what_suffices_is_left_alone(soft_limit: int) -> None:
    allow_files(10)

    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == soft_limit


def test_beyond_the_hard_limit_it_says_what_is_needed_and_how_to_raise_it() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard == resource.RLIM_INFINITY:
        pytest.skip("there is no limit of open files here")

    with pytest.raises(TooFewFilesError) as refused:
        allow_files(hard)

    said = str(refused.value)
    assert f"{hard:,}" in said
    assert f"{hard + OTHER_FILES:,}" in said
    assert "ulimit" in said
    assert "--connections" in said
    assert "\n" not in said
