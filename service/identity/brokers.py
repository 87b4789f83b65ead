"""What does a broker need to know who may say and hear what? One directory, made of the register."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from service.core.canary import PUMP_ID as CANARY_ID
from service.identity.authority import AuthorityError
from service.identity.cabinet import CERTIFICATE, REVOCATIONS, Cabinet, Entry, write
from service.identity.names import Holder, Kind, Part

TELEMETRY_KINDS: Final = ("telemetry", "event", "status")
MAX_PAYLOAD_BYTES: Final = 272 * 1024
UNSETTLED_AT_MOST: Final = 20_000
UNSETTLED_FOR_S: Final = 120


@dataclass(frozen=True, slots=True)
class Rights:
    """MQTT topics, in which + stands for a level."""

    says: Sequence[str] = ()
    hears: Sequence[str] = ()


RIGHTS: Final = {
    Part.INGEST: Rights(says=["receipts/v1/+", "pumpwatch/marker/+"], hears=["pumps/v1/+/+", "pumpwatch/marker/+"]),
    Part.WATCH: Rights(
        says=[f"pumps/v1/{CANARY_ID}/{kind}" for kind in TELEMETRY_KINDS],
        hears=["$SYS/broker/publish/messages/dropped"],
    ),
    Part.MONITOR: Rights(hears=["pumps/v1/+/+", "receipts/v1/+", "$SYS/#"]),
}


def rights_of_pump(pump_id: str) -> Rights:
    return Rights([f"pumps/v1/{pump_id}/{kind}" for kind in TELEMETRY_KINDS], [f"receipts/v1/{pump_id}"])


def rights_of(holder: Holder) -> Rights:
    return rights_of_pump(holder.name) if holder.part is None else RIGHTS[holder.part]


@dataclass(frozen=True, slots=True)
class Broker:
    """How one kind of broker is told. `settings` is whoever runs it to change; `list_` is made anew each time."""

    settings_file: str
    settings: Callable[[Path, int], str]
    list_file: str
    list_: Callable[[Sequence[Entry]], str]


def write_configuration(
    broker: Broker, cabinet: Cabinet, out: Path, server: Holder, port: int, now: datetime, *, at: Path | None = None
) -> Iterator[Path]:
    """Write it and say which files were written. `at` is where the broker will find them. Raises AuthorityError."""
    source = cabinet.folder(Kind.SERVER) / server.name.replace(":", "-")
    certificate, key = (source.with_name(f"{source.name}.{end}") for end in ("pem", "key"))
    if cabinet.working(server, now) is None or not certificate.is_file() or not key.is_file():
        raise AuthorityError(f"{server} has no certificate here: `pumpwatch ca issue-server {server.name}`")
    out.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, content, is_secret in (
        ("server.key", key.read_bytes(), True),
        ("server.pem", certificate.read_bytes(), False),
        (CERTIFICATE, (cabinet.directory / CERTIFICATE).read_bytes(), False),
        (REVOCATIONS, (cabinet.directory / REVOCATIONS).read_bytes(), False),
        (broker.list_file, broker.list_(_in_force(cabinet, now)).encode(), False),
    ):
        write(out / name, content, is_secret=is_secret)
        yield out / name
    settings = out / broker.settings_file
    if not settings.exists():
        write(settings, broker.settings(at or out.absolute(), port).encode())
        yield settings


def _in_force(cabinet: Cabinet, now: datetime) -> list[Entry]:
    return [entry for entry in cabinet.entries() if entry.kind in {Kind.PUMP, Kind.PART} and entry.works(now)]
