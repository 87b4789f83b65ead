"""Which pumps' registry entries have changed? Each change is found once, although we look back again and again."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from service.ports import Clock, IngestStore

LOOKS_BACK: Final = timedelta(minutes=2)
"""An entry is dated when its transaction began, and seen when that has ended: look back further than that takes."""


class RegistryChanges:
    """What has changed since the last look. What the first one finds is to be read after it, with all the others."""

    def __init__(self, store: IngestStore, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._since = clock()
        self._found: Mapping[datetime, frozenset[int]] = {}

    async def look(self) -> list[int]:
        """Return the keys of the pumps whose entries have changed in a way that was not found before."""
        since, self._since = self._since - LOOKS_BACK, self._clock()
        changed = await self._store.changed(since)
        known = self._found
        self._found = {at: frozenset(keys) for at, keys in changed.items()}
        return sorted(key for at, keys in self._found.items() for key in keys - known.get(at, frozenset()))
