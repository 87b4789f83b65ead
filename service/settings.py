"""What is configured? The only reader of the environment."""

import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit, urlunsplit

import msgspec

from service.core import webhook
from service.core.address import Allowed
from service.core.caller import parse_proxies
from service.core.shards import parse_shards

MOST_CHUNK_H = 24 * 31
MOST_REQUESTS_PER_S = 1_000_000
FILES_OF_DATABASE_URL = frozenset({"sslrootcert", "sslcert", "sslkey", "sslcrl"})


class SettingsError(Exception):
    """A setting is missing or wrong. The text is one line that names it."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that can be set, each by the environment variable PUMPWATCH_<NAME>."""

    database_url: str
    """postgresql://…; where everything is stored."""
    broker_url: str = ""
    """mqtt://[user:password@]host:port of the broker that the pumps publish to."""
    broker_tls_dir: Path | None = None
    """Where `ca.crt` is, by which we know the broker, and of each role the certificate and key: `ingest.pem`, …"""
    session_secret: str = ""
    """Ends the name of the ingester's MQTT session, which whoever guesses could take over where names are free."""
    shard: int = 0
    """Which shard this ingester owns; also names its MQTT session."""
    topic_filter: str = "pumps/v1/+/+"
    """What the ingester subscribes to."""
    shards: str = ""
    """In a cluster: the shards that this ingester may have, as 0-63; it shares them with others by leases."""
    instance: str = ""
    """In a cluster: what this ingester is called; empty: host and process."""
    api_host: str = "127.0.0.1"
    api_port: int = 8480
    api_cert_file: Path | None = None
    """The API's certificate with its chain (PEM): it speaks HTTPS then, and HTTP otherwise."""
    api_key_file: Path | None = None
    api_requests_per_s: float = 200.0
    """What an account may ask, all its sessions together, or a token; 5 s of it at once. 0: no limit."""
    api_strangers_per_s: float = 20.0
    """What may be asked from one address by whoever is not known; 5 s of it at once. 0: no limit."""
    api_proxies: str = ""
    """Addresses and networks of proxies in front of the API, by commas: they say who asks."""
    rulebook: Path | None = None
    """A TOML file over the defaults; None: the defaults."""
    enrolment: str = "open"
    """`open`: an unlisted pump is enrolled as unregistered; `closed`: its messages go to quarantine."""
    retention_d: int = 400
    """Readings are kept for this many days."""
    chunk_h: int = 0
    """How many hours of readings lie together on TimescaleDB, from the next chunk on; 0: as many as suit the fleet."""
    metrics_dir: Path | None = None
    """Where the processes of one machine share their metrics; None: each keeps its own."""
    log_level: str = "info"
    log_format: str = "text"
    """`text`: a line a decision, for people; `json`: an object a line, for programs that collect logs."""
    secret_key: str = ""
    """What seals the endpoints' secrets: keys of 32 bytes as URL-safe base64, by commas; the first one seals."""
    secret_key_file: Path | None = None
    """A file of such keys, where secret_key is not set; `up` makes it if it is not there."""
    webhook_allow: str = ""
    """Hosts and networks that webhooks may go to although they are not public, also over http; by commas."""
    webhook_ca: Path | None = None
    """A file of further certificate authorities (PEM) for endpoints."""
    public_url: str = ""
    """Where people reach the API and the board: for the links in webhooks. Empty: there are none."""

    outage_url: str = ""
    """Who is told, without the database, that it does not answer or that nothing can be delivered."""
    outage_secret: str = ""
    """What signs that: whsec_ and the base64 of 24 to 64 bytes."""
    outage_format: str = "pumpwatch"
    outage_after_s: float = 20.0
    """A part of the service that is broken for so long is told of."""
    heartbeat_url: str = ""
    """Called while every link from pump to person holds, and not otherwise."""
    heartbeat_every_s: float = 60.0
    broker_monitor_url: str = ""
    """The monitoring address of NATS; other brokers say of themselves under $SYS what they have dropped."""
    canary_every_s: float = 300.0
    """So often a pump of our own has a fault, which must arrive at an endpoint of our own; 0: there is none."""
    canary_within_s: float = 60.0
    canary_url: str = ""
    """Where that endpoint is, as the role deliver reaches it; empty: the API on this machine."""

    @property
    def canary_address(self) -> str:
        """Where the canary's alerts are posted."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.api_host, self.api_host)  # noqa: S104 - to reach it
        return self.canary_url or f"{self.api_scheme}://{host}:{self.api_port}/hooks/canary"

    @property
    def api_scheme(self) -> str:
        return "http" if self.api_cert_file is None else "https"

    @property
    def session_suffix(self) -> str:
        return f"-{self.session_secret}" if self.session_secret else ""

    def redacted(self) -> dict[str, str]:
        """The settings with passwords taken out, for the log line at start."""
        shown = {name: str(getattr(self, name)) for name in self.__struct_fields__}
        for name in ("database_url", "broker_url"):
            shown[name] = without_password(shown[name])
        for name in ("secret_key", "session_secret", "outage_secret", "outage_url", "heartbeat_url"):
            shown[name] = "***" if shown[name] else ""
        return shown


def without_password(url: str) -> str:
    parts = urlsplit(url)
    if parts.password is None:
        return url
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{parts.username or ''}:***@{host}"))


def load(
    environment: Mapping[str, str] | None = None,
    *,
    required: Collection[str] = ("database_url", "broker_url"),
    **overrides: object,
) -> Settings:
    """Read PUMPWATCH_* from `environment` (default: the process's); `overrides` that are not None win.

    A command that never speaks to the broker requires `["database_url"]` only.
    Raises SettingsError with one line naming the setting that is missing or wrong, or not known.
    """
    environment = os.environ if environment is None else environment
    names = set(Settings.__struct_fields__)
    given: dict[str, object] = {}
    for key, text in environment.items():
        if not key.startswith("PUMPWATCH_"):
            continue
        name = key.removeprefix("PUMPWATCH_").lower()
        if name not in names:
            raise SettingsError(f"{key}: no such setting; known are {', '.join(sorted(map(_variable, names)))}")
        given[name] = text
    given |= {name: value for name, value in overrides.items() if value is not None}
    for name in required:
        if not given.get(name):
            raise SettingsError(f"{_variable(name)}: not set, and there is no default")
    try:
        settings = msgspec.convert(given, Settings, strict=False, dec_hook=_path)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$.")
        raise SettingsError(f"{_variable(where.rstrip('`'))}: {what}") from None
    _check(settings)
    return msgspec.structs.replace(settings, database_url=_writable(settings.database_url))


def _writable(url: str) -> str:
    """Of several hosts the one that can be written to, whichever that is now."""
    parts = urlsplit(url)
    if "," not in parts.netloc or "target_session_attrs" in parts.query:
        return url
    return urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, "target_session_attrs=read-write")))))


def _check(settings: Settings) -> None:
    scheme = urlsplit(settings.database_url).scheme
    if scheme not in {"postgresql", "postgres"}:
        raise SettingsError("PUMPWATCH_DATABASE_URL: must begin with postgresql://")
    if settings.broker_url and not all(map(_is_broker, _each_host(settings.broker_url))):
        raise SettingsError("PUMPWATCH_BROKER_URL: must be mqtt://host:port or mqtts://host:port")
    if settings.enrolment not in {"open", "closed"}:
        raise SettingsError("PUMPWATCH_ENROLMENT: must be open or closed")
    if not 0 <= settings.api_port <= 65535:
        raise SettingsError("PUMPWATCH_API_PORT: must be 0 to 65535")
    _check_api(settings)
    if settings.retention_d < 1:
        raise SettingsError("PUMPWATCH_RETENTION_D: must be at least 1")
    if not 0 <= settings.chunk_h <= MOST_CHUNK_H:
        raise SettingsError(f"PUMPWATCH_CHUNK_H: must be 0 to {MOST_CHUNK_H}")
    if settings.log_level not in {"debug", "info", "warning", "error"}:
        raise SettingsError("PUMPWATCH_LOG_LEVEL: must be debug, info, warning or error")
    if settings.log_format not in {"text", "json"}:
        raise SettingsError("PUMPWATCH_LOG_FORMAT: must be text or json")
    _check_cluster(settings)
    _check_delivery(settings)
    _check_own_way(settings)
    _check_tls(settings)


def _check_api(settings: Settings) -> None:
    for name in ("api_requests_per_s", "api_strangers_per_s"):
        if not 0 <= getattr(settings, name) <= MOST_REQUESTS_PER_S:
            raise SettingsError(f"{_variable(name)}: must be 0 (no limit) to {MOST_REQUESTS_PER_S}")
    try:
        parse_proxies(settings.api_proxies)
    except ValueError as error:
        raise SettingsError(f"PUMPWATCH_API_PROXIES: {error}") from None


def _each_host(url: str) -> list[str]:
    """The same with each of the nodes of a cluster."""
    parts = urlsplit(url)
    account, at, hosts = parts.netloc.rpartition("@")
    return [urlunsplit(parts._replace(netloc=f"{account}{at}{host}")) for host in hosts.split(",")]


def _is_broker(url: str) -> bool:
    broker = urlsplit(url)
    try:
        return broker.scheme in {"mqtt", "mqtts"} and bool(broker.hostname) and broker.port is not False
    except ValueError:
        return False


def _check_cluster(settings: Settings) -> None:
    try:
        parse_shards(settings.shards)
    except ValueError as error:
        raise SettingsError(f"PUMPWATCH_SHARDS: {error}") from None
    if re.fullmatch(r"[A-Za-z0-9_-]{0,40}", settings.instance) is None:
        raise SettingsError("PUMPWATCH_INSTANCE: must be of A-Z a-z 0-9 _ -, at most 40 of them")


def _check_delivery(settings: Settings) -> None:
    for name, file in (("RULEBOOK", settings.rulebook), ("WEBHOOK_CA", settings.webhook_ca)):
        if file is not None and not file.is_file():
            raise SettingsError(f"PUMPWATCH_{name}: {file} is not a file")
    try:
        Allowed.parse(settings.webhook_allow)
    except ValueError as error:
        raise SettingsError(f"PUMPWATCH_WEBHOOK_ALLOW: {error}") from None
    public = urlsplit(settings.public_url)
    if settings.public_url and not (public.scheme in {"http", "https"} and public.hostname and not public.query):
        raise SettingsError("PUMPWATCH_PUBLIC_URL: must be https://host, or http://host in a test")


def _check_urls(settings: Settings) -> None:
    for name in ("outage_url", "heartbeat_url", "broker_monitor_url", "canary_url"):
        given = getattr(settings, name)
        for each in filter(None, given.split(",") if name == "broker_monitor_url" else [given]):
            url = urlsplit(each)
            if not (url.scheme in {"http", "https"} and url.hostname):
                raise SettingsError(f"{_variable(name)}: must be https://host…, or http://host… inside")


def _check_own_way(settings: Settings) -> None:
    _check_urls(settings)
    if settings.outage_url and not settings.outage_secret:
        raise SettingsError("PUMPWATCH_OUTAGE_SECRET: not set, and PUMPWATCH_OUTAGE_URL needs it")
    if settings.outage_secret:
        try:
            webhook.key(settings.outage_secret)
        except webhook.BadSecretError as error:
            raise SettingsError(f"PUMPWATCH_OUTAGE_SECRET: {error}") from None
    if settings.outage_format not in {"pumpwatch", "alertmanager", "slack"}:
        raise SettingsError("PUMPWATCH_OUTAGE_FORMAT: must be pumpwatch, alertmanager or slack")
    for name in ("outage_after_s", "heartbeat_every_s", "canary_within_s"):
        if not 1 <= getattr(settings, name) <= 86_400:
            raise SettingsError(f"{_variable(name)}: must be 1 to 86400 seconds")
    if settings.canary_every_s and not 1 <= settings.canary_every_s <= 86_400:
        raise SettingsError("PUMPWATCH_CANARY_EVERY_S: must be 1 to 86400 seconds, or 0 for none")


def _check_tls(settings: Settings) -> None:
    for name, text in parse_qsl(urlsplit(settings.database_url).query):
        if name in FILES_OF_DATABASE_URL and not Path(text).is_file():
            raise SettingsError(f"PUMPWATCH_DATABASE_URL: {name}: {text} is not a file")
    if settings.broker_tls_dir is not None:
        if not settings.broker_tls_dir.is_dir():
            raise SettingsError(f"PUMPWATCH_BROKER_TLS_DIR: {settings.broker_tls_dir} is not a directory")
        if settings.broker_url and not settings.broker_url.startswith("mqtts://"):
            raise SettingsError("PUMPWATCH_BROKER_TLS_DIR: PUMPWATCH_BROKER_URL must be mqtts://… then")
    if re.fullmatch(r"[A-Za-z0-9_-]*", settings.session_secret) is None:
        raise SettingsError("PUMPWATCH_SESSION_SECRET: must be of A-Z a-z 0-9 _ -")
    if (settings.api_cert_file is None) is not (settings.api_key_file is None):
        raise SettingsError("PUMPWATCH_API_CERT_FILE and PUMPWATCH_API_KEY_FILE belong together")
    for name in ("api_cert_file", "api_key_file"):
        file = getattr(settings, name)
        if file is not None and not file.is_file():
            raise SettingsError(f"{_variable(name)}: {file} is not a file")


def environment_of(settings: Settings) -> dict[str, str]:
    """The PUMPWATCH_* variables from which `load` makes these settings again, for a child process."""
    values = {name: getattr(settings, name) for name in Settings.__struct_fields__}
    return {_variable(name): str(value) for name, value in values.items() if value not in (None, "")}


def given_environment() -> dict[str, str]:
    """What this process was given of PUMPWATCH_*, right or wrong."""
    return {name: value for name, value in os.environ.items() if name.startswith("PUMPWATCH_")}


def inherited_environment() -> dict[str, str]:
    """What a child process inherits of our environment: everything but PUMPWATCH_*."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PUMPWATCH_")}


def _variable(name: str) -> str:
    return f"PUMPWATCH_{name.upper()}"


def _path(kind: type, value: object) -> object:
    if kind is Path:
        return Path(str(value))
    raise TypeError(kind)
