"""One question of many pages: asked once, and never answered with what was true before it was asked."""

import asyncio

import pytest

from service.web.shared import Shared


async def test_whoever_asks_meanwhile_shares_the_next_answer() -> None:
    asked: list[str] = []
    may_answer = asyncio.Event()

    async def ask(question: str) -> int:
        asked.append(question)
        number = len(asked)
        await may_answer.wait()
        return number

    shared = Shared(ask)
    first = asyncio.create_task(shared("a"))
    while not asked:  # noqa: ASYNC110 - it begins at the loop's next turn
        await asyncio.sleep(0)
    later = [asyncio.create_task(shared("a")) for _ in range(5)]
    await asyncio.sleep(0)
    may_answer.set()
    assert await first == 1
    assert await asyncio.gather(*later) == [2] * 5
    assert asked == ["a", "a"]


async def test_questions_that_differ_do_not_wait_for_each_other_and_what_fails_is_asked_again() -> None:
    tries = iter([OSError("away"), None])

    async def ask(question: str) -> str:
        if question == "away" and (error := next(tries)):
            raise error
        return question

    shared = Shared(ask)
    with pytest.raises(OSError, match="away"):
        await shared("away")
    assert await asyncio.gather(shared("away"), shared("b")) == ["away", "b"]
