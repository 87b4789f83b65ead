"""What any test of a loop may ask for."""

from collections.abc import AsyncIterator

import pytest

from tests.loops.driven import Driven


@pytest.fixture
async def driven(postgres_url: str) -> AsyncIterator[Driven]:
    driven = Driven(postgres_url)
    await driven.start()
    yield driven
    await driven.store.close()
