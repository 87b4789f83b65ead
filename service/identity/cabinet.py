"""Where are keys, certificates and the register of what was issued? In one directory, closed to others."""

import fcntl
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from service.identity.authority import Authority, AuthorityError, Issued
from service.identity.names import Holder, Kind, Part

KEY, CERTIFICATE, REGISTER, REVOCATIONS, LOCK = "ca.key", "ca.crt", "issued.jsonl", "crl.pem", "lock"
FOLDERS: Final = {Kind.PUMP: "pumps", Kind.PART: "services", Kind.SERVER: "servers", Kind.NODE: "nodes"}
"""Each has `ca.crt` and, of everyone in it, `NAME.pem` and `NAME.key`: what that one is to be given."""
REVOCATIONS_VALID_FOR: Final = timedelta(days=30)


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the register: a certificate was issued, or (`revoked_at`) taken back."""

    serial: str
    kind: Kind
    name: str
    part: Part | None = None
    issued_at: datetime
    not_after: datetime
    revoked_at: datetime | None = None
    reason: str = ""

    @property
    def holder(self) -> Holder:
        return Holder(self.kind, self.name, self.part)

    @property
    def number(self) -> int:
        return int(self.serial, 16)

    def works(self, now: datetime) -> bool:
        return self.revoked_at is None and now < self.not_after


class Cabinet:
    """The directory of an authority. Whoever writes holds its lock; a line of the register precedes what it names."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._entries: dict[str, Entry] | None = None

    def begin(self, authority: Authority, now: datetime) -> None:
        """Raises AuthorityError if there is an authority already: what it has issued would be worth nothing."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if (self.directory / KEY).exists() or (self.directory / CERTIFICATE).exists():
            raise AuthorityError(f"{self.directory}: there is an authority already, and it is not overwritten")
        write(self.directory / KEY, authority.key_pem, is_secret=True)
        write(self.directory / CERTIFICATE, authority.certificate_pem)
        (self.directory / REGISTER).touch(mode=0o600)
        with self.opened() as opened:
            self.write_revocations(opened, now)

    @contextmanager
    def opened(self) -> Iterator[Authority]:
        """The authority, for one who issues or revokes: nobody else does meanwhile. Raises AuthorityError."""
        key = self.directory / KEY
        if not key.is_file():
            raise AuthorityError(f"{self.directory}: no authority is here; `pumpwatch ca init` makes one")
        if problem := exposed(key):
            raise AuthorityError(problem)
        with (self.directory / LOCK).open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._entries = None
            yield Authority.loaded(key.read_bytes(), (self.directory / CERTIFICATE).read_bytes())

    def entries(self) -> list[Entry]:
        """What was issued, in its order. Raises AuthorityError."""
        if self._entries is None:
            self._entries = self._read()
        return list(self._entries.values())

    def working(self, holder: Holder, now: datetime) -> Entry | None:
        """The certificate of a holder that works the longest."""
        of_holder = [entry for entry in self.entries() if entry.holder == holder and entry.works(now)]
        return max(of_holder, key=lambda entry: entry.not_after, default=None)

    def keep(self, issued: Sequence[Issued], now: datetime, folder: Path | None = None) -> None:
        """Register them, then write them down for their holders."""
        self._append(
            [
                Entry(
                    serial=f"{each.serial:x}",
                    kind=each.holder.kind,
                    name=each.holder.name,
                    part=each.holder.part,
                    issued_at=now.replace(microsecond=0),
                    not_after=each.not_after,
                )
                for each in issued
            ]
        )
        for each in issued:
            place = folder or self.folder(each.holder.kind)
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            stem = each.holder.name.replace(":", "-")
            if each.key is not None:
                write(place / f"{stem}.key", each.key, is_secret=True)
            write(place / f"{stem}.pem", each.certificate)
            if not (place / CERTIFICATE).exists():
                write(place / CERTIFICATE, (self.directory / CERTIFICATE).read_bytes())

    def revoke(self, entries: Sequence[Entry], now: datetime, reason: str) -> None:
        at = now.replace(microsecond=0)
        self._append([msgspec.structs.replace(entry, revoked_at=at, reason=reason) for entry in entries])

    def write_revocations(self, authority: Authority, now: datetime) -> Path:
        """What is past its end need not be in the list; it is refused without."""
        revoked = [
            (entry.number, entry.revoked_at)
            for entry in self.entries()
            if entry.revoked_at is not None and entry.not_after > now
        ]
        file = self.directory / REVOCATIONS
        write(file, authority.revocations(revoked, now, REVOCATIONS_VALID_FOR))
        return file

    def folder(self, kind: Kind) -> Path:
        return self.directory / FOLDERS[kind]

    def _read(self) -> dict[str, Entry]:
        file = self.directory / REGISTER
        found: dict[str, Entry] = {}
        try:
            lines = _whole_lines(file.read_bytes()).splitlines()
        except FileNotFoundError:
            raise AuthorityError(f"{self.directory}: no authority is here; `pumpwatch ca init` makes one") from None
        for number, line in enumerate(lines, start=1):
            try:
                entry = msgspec.json.decode(line, type=Entry)
            except msgspec.MsgspecError as error:
                raise AuthorityError(f"{file}:{number}: {error}") from None
            found[entry.serial] = entry
        return found

    def _append(self, entries: Sequence[Entry]) -> None:
        known = {entry.serial: entry for entry in self.entries()}
        with (self.directory / REGISTER).open("r+b") as register:
            register.truncate(register.seek(len(_whole_lines(register.read()))))
            register.write(b"".join(msgspec.json.encode(entry) + b"\n" for entry in entries))
            register.flush()
            os.fsync(register.fileno())
        self._entries = known | {entry.serial: entry for entry in entries}


def _whole_lines(register: bytes) -> bytes:
    """Without a last one that a crash has left half written: nothing had been handed out for it."""
    return register[: register.rfind(b"\n") + 1]


def write(file: Path, content: bytes, *, is_secret: bool = False) -> None:
    """Whole or not at all; what is secret is so from its first byte. Raises OSError."""
    unfinished = file.with_name(f".{file.name}.{os.getpid()}")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if is_secret else 0o644)
    with os.fdopen(descriptor, "wb") as made:
        made.write(content)
    unfinished.replace(file)


def exposed(key: Path) -> str:
    """Why a key is not as secret as it must be; empty: it is."""
    mode = stat.S_IMODE(key.stat().st_mode)
    return f"{key}: others may read it (mode {mode:04o}); chmod 600" if mode & 0o077 else ""


def now() -> datetime:
    return datetime.now(UTC)
