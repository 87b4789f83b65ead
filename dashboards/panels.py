"""What do our panels have in common? Colours, units and kinds; each dashboard says only what it shows."""

from collections.abc import Mapping, Sequence
from typing import Final

from grafana_foundation_sdk.builders import stat, table, timeseries
from grafana_foundation_sdk.builders.common import ReduceDataOptions, VizLegendOptions, VizTooltipOptions
from grafana_foundation_sdk.builders.dashboard import ThresholdsConfig
from grafana_foundation_sdk.builders.prometheus import Dataquery as PrometheusQuery
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    GraphGradientMode,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    TooltipDisplayMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DynamicConfigValue,
    Threshold,
    ThresholdsMode,
)

from dashboards.sources import DATABASE, PROMETHEUS, Sql

# Okabe and Ito's colours: told apart with any kind of colour vision, and always beside the word.
HIGH, MEDIUM, LOW, GOOD, UNKNOWN, PLAIN = "#D55E00", "#E69F00", "#F0E442", "#009E73", "#999999", "#56B4E9"
PRIORITIES: Final = {"high": HIGH, "medium": MEDIUM, "low": LOW}
ML_A_DAY: Final = "suffix: mL/d"
MICROLITRES: Final = "suffix: µL"

Queries = Sequence[Sql] | Sequence[PrometheusQuery]
Steps = Sequence[tuple[float | None, str]]


def chart(title: str, what: str, queries: Queries, *, unit: str, span: int = 12, height: int = 8) -> timeseries.Panel:
    """Values over time. Gaps are shown as gaps."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(what)
        .datasource(DATABASE if isinstance(queries[0], Sql) else PROMETHEUS)
        .unit(unit)
        .span(span)
        .height(height)
        .line_width(1)
        .fill_opacity(6)
        .gradient_mode(GraphGradientMode.NONE)
        .show_points(VisibilityMode.AUTO)
        .span_nulls(span_nulls=False)
        .no_value("nothing in this span")
        .legend(
            VizLegendOptions()
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(show_legend=True)
        )
        .tooltip(VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
    )
    for query in queries:
        panel.with_target(query)
    return panel


def figure(
    title: str, what: str, query: Sql | PrometheusQuery, *, unit: str = "short", steps: Steps = (), span: int = 4
) -> stat.Panel:
    """One number, in the colour of the step that it has reached."""
    return (
        stat.Panel()
        .title(title)
        .description(what)
        .datasource(DATABASE if isinstance(query, Sql) else PROMETHEUS)
        .unit(unit)
        .span(span)
        .height(4)
        .color_mode(BigValueColorMode.VALUE)
        .reduce_options(ReduceDataOptions().calcs(["lastNotNull"]).fields("").values(values=False))
        .thresholds(scale(steps or ((None, PLAIN),)))
        .no_value("unknown")
        .with_target(query)
    )


def listing(
    title: str, what: str, query: Sql, columns: Mapping[str, Sequence[DynamicConfigValue]], *, height: int = 10
) -> table.Panel:
    """Rows with one line each; `columns`: what is special about a column."""
    panel = (
        table.Panel()
        .title(title)
        .description(what)
        .datasource(DATABASE)
        .span(24)
        .height(height)
        .no_value("—")
        .with_target(query)
    )
    for name, properties in columns.items():
        panel.override_by_name(name, list(properties))
    return panel


def scale(steps: Steps) -> ThresholdsConfig:
    return ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps([Threshold(value, colour) for value, colour in steps])


def unit(of: str, decimals: int | None = None) -> list[DynamicConfigValue]:
    return [DynamicConfigValue("unit", of)] + (
        [DynamicConfigValue("decimals", decimals)] if decimals is not None else []
    )


def coloured(steps: Steps) -> list[DynamicConfigValue]:
    """The text of a cell in the colour of the step that its number has reached."""
    return [
        DynamicConfigValue("thresholds", scale(steps).build()),
        DynamicConfigValue("custom.cellOptions", {"type": "color-text"}),
    ]


def words(colours: Mapping[str, str]) -> list[DynamicConfigValue]:
    """The text of a cell in the colour of its word."""
    options = {word: {"color": colour, "index": index} for index, (word, colour) in enumerate(colours.items())}
    return [
        DynamicConfigValue("mappings", [{"type": "value", "options": options}]),
        DynamicConfigValue("custom.cellOptions", {"type": "color-text"}),
    ]


def leading_to(title: str, url: str) -> list[DynamicConfigValue]:
    return [DynamicConfigValue("links", [{"title": title, "url": url, "targetBlank": False}])]


def line(colour: str, *, dashed: bool = False, width: int = 1, fill: int = 0) -> list[DynamicConfigValue]:
    return [
        DynamicConfigValue("color", {"mode": "fixed", "fixedColor": colour}),
        DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [8, 6]} if dashed else {"fill": "solid"}),
        DynamicConfigValue("custom.lineWidth", width),
        DynamicConfigValue("custom.fillOpacity", fill),
    ]
