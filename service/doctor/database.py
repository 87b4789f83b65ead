"""Does the database answer, is it the right one, and is what it is told kept?"""

from collections.abc import Awaitable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

import asyncpg

from service.doctor.clocks import of_nodes, offset
from service.doctor.finding import Finding, ok, problem, warning
from service.postgres.endpoints import unsealed
from service.postgres.migrate import MigrationError, pending_on
from service.postgres.outage import OUTAGES
from service.settings import Settings, without_password
from service.vault import VaultError, vault_of

AREA: Final = "database"
ANSWERS_WITHIN_S: Final = 10.0
OLDEST: Final = 150_000
NEEDED_CONNECTIONS: Final = 40
"""Those of the four roles on one machine, and some for people."""
MANY_LATE: Final = 1_000_000
ARCHIVED_WITHIN: Final = timedelta(hours=1)

_SERVER: Final = """
SELECT current_setting('server_version_num')::integer AS version, current_setting('server_version') AS said,
    pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean AS read_only,
    current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS synchronous_commit,
    current_setting('max_connections')::integer AS max_connections,
    (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS connections,
    pg_size_pretty(pg_database_size(current_database())) AS size,
    clock_timestamp() AS now
"""
_KEPT: Final = """
SELECT current_setting('archive_mode') <> 'off' AS archives, last_archived_time, last_failed_time,
    (SELECT count(*) FROM pg_stat_replication) AS standbys
FROM pg_stat_archiver
"""
_TIMESCALE: Final = """
SELECT extversion, current_setting('timescaledb.license', true) AS license FROM pg_extension
WHERE extname = 'timescaledb'
"""
_JOBS: Final = """
SELECT job_id, proc_name, sqlerrcode, err_message FROM timescaledb_information.job_errors
WHERE start_time > now() - interval '1 day' ORDER BY start_time DESC LIMIT 3
"""
_LATE: Final = "SELECT reltuples::bigint FROM pg_class WHERE oid = 'late_reading'::regclass"


async def connect(settings: Settings) -> tuple[asyncpg.Connection | None, list[Finding]]:
    """The connection, if there is one to be had."""
    shown = without_password(settings.database_url)
    try:
        connection = await asyncpg.connect(
            settings.database_url, timeout=ANSWERS_WITHIN_S, command_timeout=ANSWERS_WITHIN_S
        )
    except (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError) as error:
        said = f"{shown} lets nobody in: {error}"
        return None, [problem(AREA, said, "correct account, password and database in PUMPWATCH_DATABASE_URL")]
    except (*OUTAGES, asyncpg.PostgresError, ValueError) as error:
        why = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}".rstrip(": ")
        do = "is it up, is that its address, does a firewall stand between? Its own log says more"
        return None, [problem(AREA, f"{shown} does not answer: {why}", do)]
    return connection, [ok(AREA, f"{shown} answers")]


async def look(connection: asyncpg.Connection, settings: Settings) -> list[Finding]:
    asked_at = datetime.now(UTC)
    server = await connection.fetchrow(_SERVER)
    found = [
        *_server(server),
        *offset("the database", server["now"], asked_at, datetime.now(UTC)),
        *_backup(await connection.fetchrow(_KEPT)),
    ]
    if wrong := await _schema(connection):
        return [*found, wrong]
    found.append(ok("schema", "is that of this version"))
    checks = {
        "TimescaleDB": _timescale(connection),
        AREA: _late(connection),
        "secret key": _secrets(connection, settings),
        "clocks": of_nodes(connection),
    }
    return found + [each for area, check in checks.items() for each in await allowed(area, check)]


async def allowed(area: str, check: Awaitable[list[Finding]]) -> list[Finding]:
    """What a check finds, or that the account may not look."""
    try:
        return await check
    except asyncpg.InsufficientPrivilegeError as error:
        do = "run the doctor with the account that migrates, too"
        return [warning(area, f"this account of the database may not look: {error}", do)]


def _server(row: asyncpg.Record) -> Iterator[Finding]:
    said = f"PostgreSQL {row['said']}, {row['size']}"
    yield problem(AREA, said, "use PostgreSQL 15 or newer") if row["version"] < OLDEST else ok(AREA, said)
    if row["read_only"]:
        yield problem(
            AREA,
            "it takes no writes: a standby, or made read-only",
            "name the primary, or all hosts, in PUMPWATCH_DATABASE_URL",
        )
    if "off" in {row["fsync"], row["synchronous_commit"]}:
        yield problem(
            AREA,
            f"a commit may be lost: fsync is {row['fsync']}, synchronous_commit {row['synchronous_commit']}",
            "set both to on: pumps forget what was committed",
        )
    if row["max_connections"] < NEEDED_CONNECTIONS:
        yield warning(
            AREA,
            f"max_connections is {row['max_connections']}",
            f"set it to {NEEDED_CONNECTIONS} or more, and restart it",
        )
    elif row["connections"] > 0.9 * row["max_connections"]:
        yield warning(
            AREA,
            f"{row['connections']} of {row['max_connections']} connections are taken",
            "SELECT application_name, count(*) FROM pg_stat_activity GROUP BY 1 says by whom",
        )


def _backup(row: asyncpg.Record) -> Iterator[Finding]:
    """As far as the server shows it: dumps leave no trace there."""
    archived_at, failed_at = row["last_archived_time"], row["last_failed_time"]
    if row["archives"] and failed_at is not None and (archived_at is None or failed_at > archived_at):
        yield problem(
            "backup", f"the archive of the log has failed since {failed_at:%Y-%m-%d %H:%M} UTC", "see archive_command"
        )
    elif row["archives"] and archived_at is not None:
        old = datetime.now(UTC) - archived_at > ARCHIVED_WITHIN
        said = f"the log was last archived at {archived_at:%Y-%m-%d %H:%M} UTC"
        yield warning("backup", said, "set archive_timeout, or see why nothing comes") if old else ok("backup", said)
    elif row["standbys"]:
        yield ok("backup", f"{row['standbys']} standbys or archivers follow")
    else:
        yield warning(
            "backup",
            "no archive of the log and no standby: what is receipted after a dump can be lost",
            "docs/operations.md, Backup and restore",
        )


async def _schema(connection: asyncpg.Connection) -> Finding | None:
    try:
        missing = await pending_on(connection)
    except MigrationError as error:
        return problem("schema", str(error), "run the version that the database is of")
    if missing:
        return problem("schema", f"{len(missing)} migrations are missing, from {missing[0]} on", "`pumpwatch migrate`")
    return None


async def _timescale(connection: asyncpg.Connection) -> list[Finding]:
    row = await connection.fetchrow(_TIMESCALE)
    if row is None:
        do = "past a thousand pumps move to TimescaleDB (docs/operations.md, The database)"
        return [warning("TimescaleDB", "is not there: nothing is compressed, hours and days are computed anew", do)]
    errors = await connection.fetch(_JOBS)
    if not errors:
        return [ok("TimescaleDB", f"{row['extversion']}; its jobs failed nowhere in the last day")]
    return [
        problem(
            "TimescaleDB",
            f"job {each['job_id']} ({each['proc_name']}) fails: {each['err_message'] or each['sqlerrcode']}",
            "SELECT * FROM timescaledb_information.job_errors; mend the cause, then `CALL run_job(ID)`",
        )
        for each in errors
    ]


async def _late(connection: asyncpg.Connection) -> list[Finding]:
    waiting = await connection.fetchval(_LATE)
    if waiting <= MANY_LATE:
        return []
    do = "see `maintenance_postponed` in the log of watch: who holds a lock?"
    return [warning(AREA, f"about {waiting:,} late readings wait to be merged", do)]


async def _secrets(connection: asyncpg.Connection, settings: Settings) -> list[Finding]:
    if count := await unsealed(connection):
        return [
            warning("secret key", f"the secrets of {count} endpoints are not sealed", "`pumpwatch migrate` seals them")
        ]
    sealed = await connection.fetchval("SELECT secret FROM endpoint WHERE secret LIKE 'sealed:%' LIMIT 1")
    try:
        if sealed is not None:
            vault_of(settings).open(sealed)
    except (VaultError, OSError) as error:
        return [problem("secret key", str(error), "restore that key from its copy, or rotate every endpoint's secret")]
    return []
