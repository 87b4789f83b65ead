"""The outbox, and rows for it, over a pool as the workers have it."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from service.postgres.outbox import PLANS, PostgresOutbox
from tests.keys import VAULT
from tests.webhooks.rows import Rows


@pytest.fixture
async def pool(postgres_url: str) -> AsyncIterator[asyncpg.Pool]:
    async with asyncpg.create_pool(postgres_url, min_size=1, max_size=8, server_settings=PLANS) as pool:
        yield pool


@pytest.fixture
def rows(pool: asyncpg.Pool) -> Rows:
    return Rows(pool)


@pytest.fixture
def outbox(pool: asyncpg.Pool) -> PostgresOutbox:
    return PostgresOutbox(pool, VAULT)
