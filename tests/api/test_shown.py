"""What many ask at once is made once: by whom it is waited for, how old it may be, and what becomes of a failure."""

import asyncio

import pytest

from service.api.shown import Shown
from tests.patience import until_true


class Maker:
    """Counts how often it is asked; answers once it may."""

    def __init__(self) -> None:
        self.asked = 0
        self.may = asyncio.Event()
        self.fails = False

    async def __call__(self) -> int:
        self.asked += 1
        number = self.asked
        await self.may.wait()
        if self.fails:
            raise TimeoutError("no connection")
        return number


async def test_all_who_ask_at_once_wait_for_one_answer() -> None:
    shown, maker = Shown[str, int](60.0, 60.0), Maker()
    asking = [asyncio.create_task(shown.get("fleet", maker)) for _ in range(5)]
    gone, *waiting = asking
    await until_true(lambda: maker.asked == 1, "somebody to begin")
    gone.cancel()
    maker.may.set()
    assert await asyncio.gather(*waiting) == [1, 1, 1, 1]
    assert await shown.get("fleet", maker) == 1
    assert await shown.get("another", maker) == 2


async def test_what_is_no_longer_new_is_shown_while_it_is_made_again() -> None:
    shown, maker = Shown[str, int](-1.0, 60.0), Maker()
    maker.may.set()
    assert await shown.get("fleet", maker) == 1
    maker.may.clear()
    assert [await shown.get("fleet", maker) for _ in range(3)] == [1, 1, 1]
    await until_true(lambda: maker.asked == 2, "it to be made again")
    maker.may.set()
    await until_true(lambda: not shown._making, "it to be made")
    assert await shown.get("fleet", maker) == 2


async def test_what_is_too_old_is_not_shown_and_not_kept() -> None:
    shown, maker = Shown[str, int](-1.0, -1.0), Maker()
    maker.may.set()
    assert [await shown.get("fleet", maker) for _ in range(3)] == [1, 2, 3]
    assert [await shown.get(f"asked once {number}", maker) for number in range(100)][-1] == 103
    assert len(shown._last) == 1


async def test_a_failure_is_told_to_who_waits_for_it_and_to_nobody_who_is_shown_the_last() -> None:
    waits, shows, maker = Shown[str, int](-1.0, -1.0), Shown[str, int](-1.0, 60.0), Maker()
    maker.may.set()
    assert await shows.get("fleet", maker) == 1
    maker.fails = True
    assert await shows.get("fleet", maker) == 1
    with pytest.raises(TimeoutError, match="no connection"):
        await waits.get("fleet", maker)
    await until_true(lambda: not shows._making, "it to have failed")
    maker.fails = False
    assert await waits.get("fleet", maker) == 4
