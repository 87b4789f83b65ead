"""What do all of our dashboards have? The notice, the address of the board, the links between them, one crosshair."""

from typing import Final, Literal

from grafana_foundation_sdk.builders.dashboard import Dashboard, DashboardLink, TextBoxVariable
from grafana_foundation_sdk.models.dashboard import DashboardCursorSync, DashboardLinkType

SIMULATION: Final = "Simulation, not for clinical use"


def new(
    title: str, uid: str, what: str, *, since: str = "now-24h", refresh: Literal["10s", "30s", "1m"] = "30s"
) -> Dashboard:
    """A dashboard with what all of ours have: the notice, the links between them, one crosshair."""
    return (
        Dashboard(f"{title} · pumpwatch")
        .uid(f"pumpwatch-{uid}")
        .description(f"{what} {SIMULATION}.")
        .tags(["pumpwatch", "simulation"])
        .time(since, "now")
        .refresh(refresh)
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .readonly()
        .with_variable(board())
        .link(
            DashboardLink("pumpwatch")
            .type(DashboardLinkType.DASHBOARDS)
            .tags(["pumpwatch"])
            .as_dropdown(as_dropdown=False)
            .keep_time(keep_time=True)
            .include_vars(include_vars=False)
        )
        .link(
            DashboardLink("Board")
            .type(DashboardLinkType.LINK)
            .icon("external link")
            .url("${board}")
            .target_blank(target_blank=True)
        )
    )


def board() -> TextBoxVariable:
    """Where the board is; kept in the dashboard, since a browser asks for it and not Grafana."""
    return (
        TextBoxVariable("board")
        .label("Board")
        .description("Address of the board")
        .default_value("http://127.0.0.1:8480")
    )
