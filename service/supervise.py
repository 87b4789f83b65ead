"""How are the roles kept running on one machine? As child processes, started after the migration, again if one ends."""

import asyncio
import contextlib
import signal
import sys
import tempfile
import time
from asyncio.subprocess import Process
from collections.abc import Callable, Iterator, Sequence
from logging import WARNING
from pathlib import Path

import asyncpg
import httpx
import msgspec
from prometheus_client.multiprocess import mark_process_dead

from service.embedded.child import free_port, leashed, need_free
from service.exits import EXIT_OK, EXIT_USAGE
from service.logs import tell
from service.postgres.accounts import ensure_first_token
from service.postgres.endpoints import seal_all
from service.postgres.migrate import migrate
from service.postgres.outage import OUTAGES
from service.settings import Settings, environment_of, inherited_environment
from service.vault import DEFAULT_FILE, key_file, vault_of
from service.webhooks.sender import pinned

ROLES = ("ingest", "watch", "deliver", "api")
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
STEADY_AFTER_S = 60.0  # a role that lived this long did not end because of how it started
ENDS_WITHIN_S = 15.0
PROBE_EVERY_S = 0.2
TELL_REASON_EVERY_S = 5.0


class RefusedError(Exception):
    """A role ended saying that its settings are wrong; it has said which."""


class Supervisor:
    """`run` returns when SIGTERM or SIGINT came, or when a role refused its settings; no child outlives it."""

    def __init__(self, settings: Settings, roles: Sequence[str] = ROLES) -> None:
        if "api" in roles:
            port = settings.api_port or free_port()
            need_free(port, "the API", settings.api_host)
            settings = msgspec.structs.replace(settings, api_port=port)
        if not settings.secret_key:
            file = key_file((settings.secret_key_file or DEFAULT_FILE).absolute())
            settings = msgspec.structs.replace(settings, secret_key_file=file)
        self._vault = vault_of(settings)
        self._settings = settings
        self._roles = roles
        self._refused = False

    @property
    def api_url(self) -> str:
        host = self._settings.api_host
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104 - to ask, not to listen on
        return f"{self._settings.api_scheme}://{host}:{self._settings.api_port}"

    async def run(self, say: Callable[[str], None]) -> int:
        """`say` is given the lines that are for people: the first token, and when it is ready."""
        told_to_end = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, told_to_end.set)
        work = asyncio.create_task(self._work(say))
        waiting = asyncio.create_task(told_to_end.wait())
        await asyncio.wait([work, waiting], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if not work.done():
            tell("ending")
            work.cancel()
        try:
            await work
        except asyncio.CancelledError:
            pass
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return EXIT_USAGE if self._refused else EXIT_OK

    async def _work(self, say: Callable[[str], None]) -> None:
        with _metrics_directory(self._settings.metrics_dir) as metrics_dir:
            environment = self._environment(metrics_dir)
            try:
                async with asyncio.TaskGroup() as group:
                    # Before the database is asked anything: while that is away, /ready says so.
                    if "api" in self._roles:
                        group.create_task(_keep("api", environment, metrics_dir))
                        group.create_task(self._say_when_ready(say))
                    await self._prepare_database(say)
                    for role in self._roles:
                        if role != "api":
                            group.create_task(_keep(role, environment, metrics_dir))
            except* RefusedError:
                self._refused = True

    def _environment(self, metrics_dir: Path) -> dict[str, str]:
        settings = msgspec.structs.replace(self._settings, metrics_dir=metrics_dir)
        return inherited_environment() | environment_of(settings) | {"PROMETHEUS_MULTIPROC_DIR": str(metrics_dir)}

    async def _prepare_database(self, say: Callable[[str], None]) -> None:
        """Migrate it, and make the first token. Tried until it is there; what it refuses is not tried again."""
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                for name in await migrate(self._settings.database_url):
                    tell("migration_applied", name=name)
                if count := await self._seal():
                    tell("secrets_sealed", endpoints=count)
                if token := await self._first_token():
                    say(f"administrator's token, shown this once: {token}")
            except OUTAGES as error:
                tell("database_unreachable", WARNING, reason=error or type(error).__name__, again_in_s=pause_s)
            else:
                return
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _seal(self) -> int:
        """Secrets of an earlier version, or of a key that is being replaced. Raises VaultError for another's."""
        connection = await asyncpg.connect(self._settings.database_url)
        try:
            return await seal_all(connection, self._vault)
        finally:
            await connection.close()

    async def _first_token(self) -> str | None:
        connection = await asyncpg.connect(self._settings.database_url)
        try:
            return await ensure_first_token(connection)
        finally:
            await connection.close()

    async def _say_when_ready(self, say: Callable[[str], None]) -> None:
        told_at = time.monotonic()
        certificate = self._settings.api_cert_file
        verified = True if certificate is None else pinned(certificate)
        async with httpx.AsyncClient(base_url=self.api_url, timeout=5.0, verify=verified) as client:
            while True:
                reason = "the API does not answer yet"
                with contextlib.suppress(httpx.TransportError):
                    answer = await client.get("/ready")
                    if answer.is_success:
                        break
                    reason = answer.text
                if time.monotonic() - told_at > TELL_REASON_EVERY_S:
                    told_at = time.monotonic()
                    tell("not_ready_yet", reason=reason)
                await asyncio.sleep(PROBE_EVERY_S)
        say(f"ready: {self.api_url}")


async def _keep(role: str, environment: dict[str, str], metrics_dir: Path) -> None:
    """Run `role` for ever: again after a pause when it ends, which doubles until one lives long enough."""
    command = leashed([sys.executable, "-m", "service", "run", role], signal.SIGTERM)
    pause_s = FIRST_PAUSE_S
    while True:
        started_at = time.monotonic()
        child = await asyncio.create_subprocess_exec(*command, env=environment, process_group=0)
        tell("role_started", role=role, pid=child.pid)
        try:
            code = await child.wait()
        finally:
            await end_child(child)
            mark_process_dead(child.pid, str(metrics_dir))  # type: ignore[no-untyped-call]
        if code == EXIT_USAGE:
            raise RefusedError(role)
        if time.monotonic() - started_at > STEADY_AFTER_S:
            pause_s = FIRST_PAUSE_S
        tell("role_ended", WARNING, role=role, code=code, again_in_s=pause_s)
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


async def end_child(child: Process) -> None:
    """SIGTERM, and SIGKILL if it does not end within `ENDS_WITHIN_S`."""
    with contextlib.suppress(ProcessLookupError):
        if child.returncode is None:
            child.terminate()
        try:
            async with asyncio.timeout(ENDS_WITHIN_S):
                await child.wait()
        except TimeoutError:
            child.kill()
            await child.wait()


@contextlib.contextmanager
def _metrics_directory(chosen: Path | None) -> Iterator[Path]:
    """Where the roles share their metrics: without those of an earlier run; one of our own is gone at the end."""
    if chosen is None:
        with tempfile.TemporaryDirectory(prefix="pumpwatch-metrics-") as made:
            yield Path(made)
        return
    chosen.mkdir(parents=True, exist_ok=True)
    for left in chosen.glob("*.db"):
        left.unlink()
    yield chosen
