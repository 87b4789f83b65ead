"""How are the keys of others kept? Sealed with a key of ours that stands outside of the database."""

import base64
import hashlib
import hmac
import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final, Self

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from service.settings import Settings

SEALED: Final = "sealed:"
_KEPT_OPEN: Final = 4096  # a storm of alerts asks for the same few secrets thousands of times
DEFAULT_FILE: Final = Path(".pumpwatch/secret.key")
NO_KEY: Final = (
    "PUMPWATCH_SECRET_KEY: not set, and without it no endpoint's secret can be kept; "
    "`pumpwatch up` makes one in a file of its own (PUMPWATCH_SECRET_KEY_FILE)"
)


class VaultError(Exception):
    """A key is malformed, or missing, or not the one that something was sealed with. The text is one line."""


class Vault:
    """The first key seals; any of them opens, so a key is rotated by putting a new one before it.

    Without a key a vault opens only what was never sealed.
    """

    def __init__(self, keys: Sequence[str] = ()) -> None:
        try:
            self._fernets = [Fernet(key) for key in keys]
        except ValueError:
            raise VaultError("PUMPWATCH_SECRET_KEY: a key is 32 bytes as URL-safe base64") from None
        self._fernet = MultiFernet(self._fernets) if keys else None
        self._opened = lru_cache(maxsize=_KEPT_OPEN)(self._open)
        self.link_keys = tuple(
            hmac.digest(base64.urlsafe_b64decode(key), b"pumpwatch acknowledge link", hashlib.sha256) for key in keys
        )
        """What signs the links of core/link.py: made of the keys, so that they need not be kept apart."""

    @classmethod
    def of(cls, text: str, file: Path | None) -> Self:
        """From keys separated by commas or blanks, else from a file of them; an absent file holds none."""
        if not text and file is not None and file.is_file():
            text = file.read_text(encoding="ascii", errors="replace")
        return cls(text.replace(",", " ").split())

    @property
    def has_key(self) -> bool:
        return self._fernet is not None

    def seal(self, plain: str) -> str:
        """Raises VaultError without a key."""
        if self._fernet is None:
            raise VaultError(NO_KEY)
        return SEALED + self._fernet.encrypt(plain.encode()).decode()

    def open(self, stored: str) -> str:
        """What was sealed; what never was is returned as it is. Raises VaultError."""
        return self._opened(stored)

    def _open(self, stored: str) -> str:
        if not stored.startswith(SEALED):
            return stored
        if self._fernet is None:
            raise VaultError(NO_KEY)
        try:
            return self._fernet.decrypt(stored.removeprefix(SEALED)).decode()
        except InvalidToken:
            raise VaultError("PUMPWATCH_SECRET_KEY: not the key that the endpoints' secrets were sealed with") from None

    def is_fresh(self, stored: str) -> bool:
        """Whether it is sealed with the first key. Raises VaultError if none of the keys opens it."""
        self.open(stored)
        try:
            return stored.startswith(SEALED) and bool(self._fernets[0].decrypt(stored.removeprefix(SEALED)))
        except InvalidToken:
            return False

    def fresh(self, stored: str) -> str:
        """The same sealed with the first key. Raises VaultError."""
        return self.seal(self.open(stored))


def vault_of(settings: Settings) -> Vault:
    """Raises VaultError."""
    return Vault.of(settings.secret_key, settings.secret_key_file or DEFAULT_FILE)


def new_key() -> str:
    return Fernet.generate_key().decode()


def key_file(file: Path) -> Path:
    """Return `file`, made with a new key that only this account can read, unless it is there."""
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return file
    with os.fdopen(descriptor, "w", encoding="ascii") as made:
        made.write(new_key() + "\n")
    return file
