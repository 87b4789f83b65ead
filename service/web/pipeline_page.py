"""Is everything on the way from pump to person well? What comes in, what is kept aside, what goes out, who lives."""

from collections.abc import Sequence

from nicegui import ui

from service.postgres import overview
from service.web import desk, frame
from service.web.words import ago

AGAIN_S = 2.0


def add() -> None:
    ui.page("/pipeline", title="Pipeline · pumpwatch")(_page)


async def _page() -> None:
    with frame.page("Pipeline", "/pipeline"):
        ui.html("<h1>Pipeline</h1>", sanitize=False)

        @ui.refreshable
        async def shown() -> None:
            async with desk.database() as connection:
                seen = await overview.pipeline(connection, desk.now())
            now = desk.now()
            with ui.element("dl").classes("facts"):
                for name, value in seen.figures.items():
                    with ui.element("div"):
                        with ui.element("dt"):
                            ui.label(name)
                        with ui.element("dd"):
                            ui.label(value)
            roles = [
                (row["role"], row["instance"], ago(row["at"], now), _how(row["ready"], row["reason"], "well"))
                for row in seen.roles
            ]
            shards = [
                (str(row["shard"]), row["owner"], ago(row["marker_at"], now), row["reason"] or "caught up")
                for row in seen.shards
            ]
            aside = [
                (row["reason"].replace("_", " "), f"{row['messages']:,}", ago(row["last_at"], now))
                for row in seen.quarantine
            ]
            told = [
                (row["endpoint"], *(f"{row[name]:,}" for name in ("delivered", "pending", "failed")))
                for row in seen.endpoints
            ]
            _table("Roles", ("Role", "Instance", "Heard", "How it is"), roles)
            _table("Shards", ("Shard", "Owner", "Last marker", "How it is"), shards)
            _table("Kept aside in the last day", ("Reason", "Messages", "Last"), aside)
            _table("Endpoints in the last day", ("Endpoint", "Told", "Waiting", "Given up"), told)

        await shown()
        ui.timer(AGAIN_S, shown.refresh)


def _how(ready: bool, reason: str, well: str) -> str:  # noqa: FBT001 - a column of the row
    return reason or (well if ready else f"not {well}")


def _table(title: str, names: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    ui.html(f"<h2>{title}</h2>", sanitize=False)
    if not rows:
        ui.label("Nothing.").classes("faint")
        return
    with ui.element("div").classes("scroll"), ui.element("table").classes("plain"):
        with ui.element("tr"):
            for name in names:
                with ui.element("th").props('scope="col"'):
                    ui.label(name)
        for row in rows:
            with ui.element("tr"):
                for text in row:
                    with ui.element("td"):
                        ui.label(text)
