"""How is the same question, asked by many pages at once, put to the database once?"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

Question = TypeVar("Question", bound=Hashable)
Answer = TypeVar("Answer")


class Shared(Generic[Question, Answer]):
    """Whoever asks while the same is being asked waits for the next answer, and all who wait get that one.

    So an answer is never older than its question, and however many ask, one is asked at a time.
    """

    def __init__(self, ask: Callable[[Question], Awaitable[Answer]]) -> None:
        self._ask = ask
        self._asked: dict[Question, asyncio.Task[Answer]] = {}
        self._waiting: dict[Question, asyncio.Task[Answer]] = {}

    async def __call__(self, question: Question) -> Answer:
        if question not in self._waiting:
            before = self._asked.get(question)
            self._waiting[question] = asyncio.create_task(self._after(before, question))
        return await asyncio.shield(self._waiting[question])

    async def _after(self, before: "asyncio.Task[Answer] | None", question: Question) -> Answer:
        if before is not None:
            await asyncio.wait([before])
        own = self._asked[question] = self._waiting.pop(question)  # whoever asks from here on is too late for this one
        try:
            return await self._ask(question)
        finally:
            if self._asked.get(question) is own:
                del self._asked[question]
