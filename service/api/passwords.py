"""How is a password kept and compared? As Argon2id, beside the event loop, a few at a time: each takes 64 MiB."""

import asyncio
from typing import Annotated, Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import ARGON2_VERSION
from fastapi import Depends, Request

LEAST_CHARACTERS: Final = 12
MOST_CHARACTERS: Final = 200
_HASHER: Final = PasswordHasher()
# As one of ours, and of no password: to make one takes a quarter of a second, each time that we start.
_NOBODYS: Final = (
    f"$argon2id$v={ARGON2_VERSION}$m={_HASHER.memory_cost},t={_HASHER.time_cost},p={_HASHER.parallelism}"
    f"${'A' * 22}${'A' * 43}"
)
_AT_ONCE: Final = 2


class Passwords:
    """Hashes and compares; whoever has no password is compared as slowly as anybody."""

    def __init__(self) -> None:
        self._turn = asyncio.Semaphore(_AT_ONCE)

    async def hashed(self, password: str) -> str:
        async with self._turn:
            return await asyncio.to_thread(_HASHER.hash, password)

    async def fits(self, kept: str | None, password: str) -> bool:
        """Whether `password` is the one of which `kept` is the hash."""
        async with self._turn:
            fits = await asyncio.to_thread(_fits, kept or _NOBODYS, password)
        return fits and kept is not None


async def _passwords(request: Request) -> Passwords:
    passwords: Passwords = request.app.state.passwords
    return passwords


Hashing = Annotated[Passwords, Depends(_passwords)]


def _fits(kept: str, password: str) -> bool:
    try:
        return _HASHER.verify(kept, password)
    except (VerificationError, InvalidHashError):
        return False


def password_problem(password: str, name: str) -> str:
    """What is wrong with a new password; empty: nothing."""
    if not LEAST_CHARACTERS <= len(password) <= MOST_CHARACTERS:
        return f"must have {LEAST_CHARACTERS} to {MOST_CHARACTERS} characters"
    if name.lower() in password.lower() or len(set(password)) < 5:
        return "is too easy to guess: it must not hold the name, and have at least five different characters"
    return ""
