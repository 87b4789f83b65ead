"""A load test: what was offered and taken, what each stage cost, and how late the newest readings are."""

from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel

from dashboards import variables
from dashboards.frame import new
from dashboards.panels import GOOD, HIGH, MEDIUM, PLAIN, chart, figure
from dashboards.pipeline import rate, within
from dashboards.sources import Sql, promql
from dashboards.variables import OF_THE_CHOSEN

_NEWEST: Final = f"""
    FROM pump_latest AS l JOIN pump AS p USING (pump)
    WHERE p.in_service AND {OF_THE_CHOSEN} AND l.received_at > now() - interval '5 minutes'
"""
_LATE_S: Final = "extract(epoch FROM l.received_at - l.measured_at)"
_HEARD: Final = f"""
    SELECT $__timeGroupAlias(l.received_at, $__interval), count(*) AS "Pumps heard last then"
    FROM pump_latest AS l JOIN pump AS p USING (pump)
    WHERE p.in_service AND {OF_THE_CHOSEN} AND $__timeFilter(l.received_at) GROUP BY 1 ORDER BY 1
"""
_STAGE_SHARE: Final = (
    "sum by (stage) (rate(pumpwatch_stage_seconds_sum[$__rate_interval]))"
    " / scalar(sum(rate(pumpwatch_messages_total[$__rate_interval])))"
)


def dashboard() -> Dashboard:
    built = new(
        "Load test",
        "load",
        "What was offered, what was taken, and where the time went.",
        since="now-15m",
        refresh="10s",
    )
    for variable in (variables.site(), variables.drug_class()):
        built.with_variable(variable)
    for panel in _figures():
        built.with_panel(panel)
    built.with_panel(
        chart(
            "Taken and settled",
            "Messages from the broker; messages acknowledged after their commit. Apart: what is waiting.",
            [
                promql(rate("pumpwatch_messages_total"), "taken"),
                promql(rate("pumpwatch_settled_total"), "settled", ref_id="B"),
                promql(rate("pumpwatch_readings_stored_total"), "readings stored", ref_id="C"),
            ],
            unit="cps",
        )
    )
    built.with_panel(
        chart(
            "Time a message, by stage",
            "Seconds of each stage over messages: where the time goes.",
            [promql(_STAGE_SHARE, "{{stage}}")],
            unit="s",
        )
    )
    built.with_panel(
        chart(
            "Readings a batch",
            "Small when quiet, large under load.",
            [promql(f"{rate('pumpwatch_readings_stored_total')} / {rate('pumpwatch_batches_total')}", "readings")],
            unit="short",
        )
    )
    built.with_panel(
        chart(
            "Reading to webhook",
            "Half, and 99 of 100.",
            [
                promql(within(0.5, "pumpwatch_reading_to_webhook_seconds"), "half"),
                promql(within(0.99, "pumpwatch_reading_to_webhook_seconds"), "99 of 100", ref_id="B"),
            ],
            unit="s",
        )
    )
    built.with_panel(
        chart(
            "Lost on the way, and brought back",
            "Duplicates are the price of a receipt that came late.",
            [
                promql(rate("pumpwatch_duplicates_total"), "duplicates"),
                promql(rate("pumpwatch_gaps_total", "outcome"), "gaps: {{outcome}}", ref_id="B"),
            ],
            unit="cps",
        )
    )
    built.with_panel(
        chart("When pumps were heard last", "A pump counts once: at its newest message.", [Sql(_HEARD)], unit="short")
    )
    return built


def _figures() -> list[Builder[Panel]]:
    return [
        figure("Pumps heard", "In the last five minutes.", Sql(f"SELECT count(*) {_NEWEST}", form="table"), span=6),
        figure(
            "Half as late as",
            "From measured to received, of the newest reading of each pump.",
            Sql(f"SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY {_LATE_S}) {_NEWEST}", form="table"),
            unit="s",
            steps=((None, PLAIN),),
            span=6,
        ),
        figure(
            "99 of 100 as late as",
            "From measured to received, of the newest reading of each pump.",
            Sql(f"SELECT percentile_cont(0.99) WITHIN GROUP (ORDER BY {_LATE_S}) {_NEWEST}", form="table"),
            unit="s",
            steps=((None, GOOD), (5, MEDIUM), (60, HIGH)),
            span=6,
        ),
        figure(
            "Messages", "A second, now.", promql(rate("pumpwatch_messages_total"), at_once=True), unit="cps", span=6
        ),
    ]
