"""What the API's tests ask for."""

from collections.abc import AsyncIterator

import pytest

from tests.api.ward import Ward, staffed


@pytest.fixture
async def ward(postgres_url: str) -> AsyncIterator[Ward]:
    """An API over a database of the test's own, and somebody of each role."""
    async with staffed(postgres_url) as ward:
        yield ward
