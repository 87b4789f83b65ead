"""How long do we wait for what must happen? Until it has, or until a deadline that fails the test."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

LOOK_EVERY_S = 0.02

Result = TypeVar("Result")


async def until(awaited: Awaitable[Result], what: str, patience_s: float) -> Result:
    try:
        async with asyncio.timeout(patience_s):
            return await awaited
    except TimeoutError:
        raise AssertionError(f"waited {patience_s:.0f} s for {what}") from None


async def until_true(condition: Callable[[], object], what: str, patience_s: float = 120.0) -> None:
    async def look() -> object:
        return condition()

    await until_found(look, what, patience_s)


async def until_found(
    look: Callable[[], Awaitable[Result]],
    what: str,
    patience_s: float = 120.0,
    enough: Callable[[Result], object] = bool,
) -> Result:
    """Look again and again, and return the first that is enough."""
    deadline = time.monotonic() + patience_s
    while True:
        found = await look()
        if enough(found):
            return found
        assert time.monotonic() < deadline, f"waited {patience_s:.0f} s for {what}"
        await asyncio.sleep(LOOK_EVERY_S)
