"""How the app is served, and how that ends."""

import asyncio
from contextlib import suppress

import httpx
import pytest
from fastapi import FastAPI

from service.api.server import listen, serve
from tests.api.ward import Ward


async def test_an_answer_never_names_who_serves_it(ward: Ward) -> None:
    answer = await ward.client.get("/live")
    assert "server" not in answer.headers


async def test_a_request_in_flight_is_answered_before_the_server_ends() -> None:
    app = FastAPI()
    arrived, may_end = asyncio.Event(), asyncio.Event()

    @app.get("/slow")
    async def slow() -> str:
        arrived.set()
        await may_end.wait()
        return "whole"

    listening = listen("127.0.0.1", 0)
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    serving = asyncio.create_task(serve(app, listening))
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        asked = asyncio.create_task(client.get("/slow"))
        await asyncio.wait_for(arrived.wait(), 60)
        serving.cancel()
        await asyncio.sleep(0)
        may_end.set()
        assert (await asked).json() == "whole"
        with suppress(asyncio.CancelledError):
            await asyncio.wait_for(serving, 60)
        assert serving.cancelled()
        with pytest.raises(httpx.ConnectError):
            await client.get("/slow")


def test_an_address_that_is_taken_or_not_ours_is_refused_before_anything_starts() -> None:
    with listen("127.0.0.1", 0) as listening, pytest.raises(OSError, match="in use"):
        listen("127.0.0.1", listening.getsockname()[1])
    with pytest.raises(OSError, match="assign"):
        listen("203.0.113.1", 0)
