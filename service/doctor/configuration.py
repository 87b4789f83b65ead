"""Which settings are wrong, half written, or missing although somebody will miss them?"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Final
from urllib.parse import parse_qs, urlsplit

from service.core.doubts import check_rulebook
from service.doctor.finding import Finding, ok, problem, warning
from service.settings import Settings, SettingsError, load

AREA: Final = "settings"
_NAMED: Final = re.compile(r"PUMPWATCH_\w+")
_PLACEHOLDER: Final = re.compile(r"change-?me|…|<[^>]*>|\$\{?\w+", re.IGNORECASE)
_REQUIRED: Final = {
    "PUMPWATCH_DATABASE_URL": "postgresql://user:password@host:5432/database",
    "PUMPWATCH_BROKER_URL": "mqtt://host:1883, or mqtts://host:8883",
}


def read(environment: Mapping[str, str]) -> tuple[Settings | None, list[Finding]]:
    """Every mistake, not the first alone; and the settings without what is wrong, where enough is left."""
    left, found = dict(environment), []
    for name, form in _REQUIRED.items():
        if not left.get(name):
            found.append(problem(AREA, f"{name}: not set, and there is no default", f"set it: {form}"))
    for name in [name for name in sorted(left) if _PLACEHOLDER.search(left[name])]:
        found.append(problem(AREA, f"{name}: holds a placeholder", "put the value in its place"))
        del left[name]
    settings = None
    while settings is None and left.get("PUMPWATCH_DATABASE_URL"):
        try:
            settings = load(left, required=[])
        except SettingsError as error:
            mistake = str(error).partition("; known are")[0]
            found.append(problem(AREA, mistake, _fix(mistake)))
            named = set(_NAMED.findall(mistake)) & left.keys()
            if not named:
                break
            for name in named:
                del left[name]
    if not found:
        found.append(ok(AREA, f"{len(left)} given, none is wrong"))
    return settings, found if settings is None else [*found, *advice(settings)]


def _fix(mistake: str) -> str:
    if "no such setting" in mistake:
        return "is it misspelt? docs/operations.md lists all of them"
    if "not a file" in mistake or "not a directory" in mistake:
        return "put it there and let the service's account read it, or name another"
    if "belong together" in mistake:
        return "set both, or neither"
    return "correct it where the service gets its environment from; docs/operations.md says what it may be"


def advice(settings: Settings) -> Iterator[Finding]:
    yield from _rulebook(settings)
    yield from _people(settings)
    yield from _wires(settings)


def _rulebook(settings: Settings) -> Iterator[Finding]:
    if settings.rulebook is None:
        return
    now_ms = int(datetime.now(UTC).timestamp() * 1000)
    for mistake in check_rulebook(settings.rulebook.read_text(encoding="utf-8", errors="replace"), now_ms):
        of = warning if mistake.warning else problem
        yield of(
            AREA, f"{settings.rulebook}:{mistake.line}: {mistake.message}", "correct that line; no restart is needed"
        )


def _people(settings: Settings) -> Iterator[Finding]:
    if not settings.outage_url:
        yield warning(
            AREA, "nobody is told while the database is away", "set PUMPWATCH_OUTAGE_URL and PUMPWATCH_OUTAGE_SECRET"
        )
    if not settings.heartbeat_url:
        yield warning(
            AREA,
            "nobody hears when this machine is gone",
            "set PUMPWATCH_HEARTBEAT_URL: a dead man's switch that somebody else runs",
        )
    if not settings.canary_every_s:
        yield warning(
            AREA, "there is no canary: nothing shows that alerts arrive", "set PUMPWATCH_CANARY_EVERY_S to 300"
        )
    if not settings.public_url:
        yield warning(AREA, "webhooks hold no links", "set PUMPWATCH_PUBLIC_URL to where people reach the API")


def _wires(settings: Settings) -> Iterator[Finding]:
    database = urlsplit(settings.database_url)
    if not _is_here(database.hostname) and "sslmode" not in parse_qs(database.query):
        yield warning(
            AREA,
            "whoever stands between us and the database may not be noticed",
            "end PUMPWATCH_DATABASE_URL in ?sslmode=verify-full&sslrootcert=FILE",
        )
    broker = urlsplit(settings.broker_url)
    if broker.scheme == "mqtt" and not _is_here(broker.hostname):
        yield warning(
            AREA,
            "what pumps say comes from the broker in the clear",
            "use mqtts:// and PUMPWATCH_BROKER_TLS_DIR; `pumpwatch ca` makes the certificates",
        )
    if not _is_here(settings.api_host) and settings.api_cert_file is None:
        yield warning(
            AREA,
            f"the API listens on {settings.api_host} in the clear",
            "set PUMPWATCH_API_CERT_FILE and PUMPWATCH_API_KEY_FILE, or let only a proxy with TLS come to it",
        )
    if settings.public_url.startswith("https://") and settings.api_cert_file is None and not settings.api_proxies:
        yield warning(
            AREA,
            "people come by a proxy, and to the API all of them have one address",
            "set PUMPWATCH_API_PROXIES to where the proxy comes from, or one who guesses holds up every login",
        )


def _is_here(host: str | None) -> bool:
    try:
        return not host or ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
