"""How long do we wait for what must happen? Until it has, or until a deadline that fails the test."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

LOOK_EVERY_S = 0.02
# What has not come at once will take its time, and each look may cost a query, or what is waited for its processor.
AT_ONCE_S, LOOK_LATER_EVERY_S = 2.0, 0.1

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
    began = time.monotonic()
    while True:
        found = await look()
        if enough(found):
            return found
        waited_s = time.monotonic() - began
        assert waited_s < patience_s, f"waited {patience_s:.0f} s for {what}"
        await asyncio.sleep(LOOK_EVERY_S if waited_s < AT_ONCE_S else LOOK_LATER_EVERY_S)
