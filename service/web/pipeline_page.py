"""Is everything on the way from pump to person well? What comes in, what is kept aside, what goes out, who lives."""

from datetime import datetime
from typing import Final

from nicegui import ui

from service.postgres import overview
from service.postgres.overview import Pipeline
from service.web import desk, frame
from service.web.tables import Cell, Facts, TextTable
from service.web.words import ago

AGAIN_S: Final = 2.0


def add() -> None:
    frame.at("/pipeline", title="Pipeline · pumpwatch", reconnect_timeout=frame.KEPT_S)(_page)


async def _page() -> None:
    seen = await _seen()
    with frame.page("Pipeline", "/pipeline"):
        ui.html("<h1>Pipeline</h1>", sanitize=False)
        shown = _Shown()
        shown.show(seen, desk.now())

    async def again() -> None:
        shown.show(await _seen(), desk.now())

    ui.timer(AGAIN_S, again, immediate=False)


async def _seen() -> Pipeline:
    async with desk.database() as connection:
        return await overview.pipeline(connection, desk.now())


class _Shown:
    """The page, made once; afterwards only what has changed is said anew."""

    def __init__(self) -> None:
        self._figures = Facts()
        self._roles = _table(
            "Roles", "No role has said that it lives: nobody watches.", "Role", "Instance", "Heard", "How it is"
        )
        self._shards = _table("Shards", "No ingester has taken one.", "Shard", "Owner", "Last marker", "How it is")
        self._aside = _table("Kept aside in the last day", "Nothing.", "Reason", "Messages", "Last")
        self._told = _table(
            "Endpoints in the last day", "Nobody was told of anything.", "Endpoint", "Told", "Waiting", "Given up"
        )

    def show(self, seen: Pipeline, now: datetime) -> None:
        self._figures.show(seen.figures)
        self._roles.show(
            [
                (
                    row["role"],
                    row["instance"],
                    ago(row["at"], now),
                    _how(row["reason"] or "not well" * (not row["ready"])),
                )
                for row in seen.roles
            ]
        )
        self._shards.show(
            [
                (str(row["shard"]), row["owner"], ago(row["marker_at"], now), _how(row["reason"], "caught up"))
                for row in seen.shards
            ]
        )
        self._aside.show(
            [
                (row["reason"].replace("_", " "), f"{row['messages']:,}", ago(row["last_at"], now))
                for row in seen.quarantine
            ]
        )
        self._told.show(
            [
                (row["endpoint"], *(f"{row[name]:,}" for name in ("delivered", "pending", "failed")))
                for row in seen.endpoints
            ]
        )


def _how(problem: str, well: str = "well") -> Cell:
    return Cell(problem, "state-high") if problem else Cell(well, "state-good")


def _table(title: str, empty: str, *head: str) -> TextTable:
    ui.html(f"<h2>{title}</h2>", sanitize=False)
    return TextTable(*head, empty=empty)
