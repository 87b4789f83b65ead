"""The fleet at a glance: who is watched, who is silent, who runs empty, what is wrong now."""

from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel

from dashboards import variables
from dashboards.frame import new
from dashboards.panels import (
    GOOD,
    HIGH,
    LOW,
    MEDIUM,
    PLAIN,
    PRIORITIES,
    UNKNOWN,
    chart,
    coloured,
    figure,
    leading_to,
    line,
    listing,
    unit,
    words,
)
from dashboards.sources import Sql
from dashboards.variables import ALERT_OF_THE_CHOSEN, OF_THE_CHOSEN
from service.core.change import Condition
from service.core.limits import LIMITS

_LOW_D, _SOON_D, _NOW_D = (LIMITS[Condition.RESERVOIR_LOW][name].default for name in ("low_d", "medium_d", "high_d"))
# Days from now until a pump runs dry if it delivers as programmed: as judged at its last reading, less the time since.
_EMPTY_IN_D: Final = "l.empty_nominal_d - extract(epoch FROM now() - l.measured_at) / 86400"
# A pump is late when three of its own readings are missing, and never less than five minutes.
_LATE: Final = "coalesce(l.received_at, p.enrolled_at) < now() - make_interval(secs => greatest(3 * p.interval_s, 300))"
_IN_SERVICE: Final = f"FROM pump AS p LEFT JOIN pump_latest AS l USING (pump) WHERE p.in_service AND {OF_THE_CHOSEN}"
_WORST: Final = "min(CASE a.priority WHEN 'high' THEN 1 WHEN 'medium' THEN 2 ELSE 3 END)"

_PUMPS: Final = f"""
    SELECT p.pump_id AS "Pump", coalesce(p.site, '(no site)') AS "Site", p.drug_class AS "Drug class",
           CASE WHEN l.received_at IS NULL THEN 'never heard' WHEN {_LATE} THEN 'silent'
                ELSE (ARRAY['running', 'bolus', 'stopped', 'priming', 'bridge', 'minimum'])[l.mode + 1] END AS "State",
           coalesce(open.worst, 'none') AS "Open alert", open.conditions AS "Conditions",
           round((l.flow_ml_d / nullif(l.program_ml_d, 0))::numeric, 3) AS "Flow of program",
           l.reservoir_ml AS "Reservoir", round(({_EMPTY_IN_D})::numeric, 1) AS "Days to empty",
           l.battery_v AS "Battery", l.received_at AS "Last heard"
    FROM pump AS p LEFT JOIN pump_latest AS l USING (pump)
    LEFT JOIN LATERAL (
        SELECT (ARRAY['high', 'medium', 'low'])[{_WORST}] AS worst, {_WORST} AS rank,
               string_agg(replace(a.condition, '_', ' '), ', ' ORDER BY a.condition) AS conditions
        FROM alert AS a WHERE a.pump = p.pump AND a.state <> 'resolved'
    ) AS open ON true
    WHERE p.in_service AND {OF_THE_CHOSEN}
    ORDER BY open.rank NULLS LAST, {_LATE} DESC, ({_EMPTY_IN_D}) NULLS LAST, p.pump_id LIMIT 1000
"""
_RESERVOIRS: Final = f"""
    SELECT span AS "To empty", count(*) AS "Pumps" FROM (
        SELECT CASE WHEN l.empty_nominal_d IS NULL THEN '6 · unknown'
                    WHEN {_EMPTY_IN_D} < {_NOW_D:g} THEN '1 · under {_NOW_D:g} d'
                    WHEN {_EMPTY_IN_D} < {_SOON_D:g} THEN '2 · under {_SOON_D:g} d'
                    WHEN {_EMPTY_IN_D} < {_LOW_D:g} THEN '3 · under {_LOW_D:g} d'
                    WHEN {_EMPTY_IN_D} < 30 THEN '4 · under 30 d' ELSE '5 · longer' END AS span {_IN_SERVICE}
    ) AS spans GROUP BY 1 ORDER BY 1
"""
_VERDICTS: Final = f"""
    SELECT replace(v.condition, '_', ' ') AS "Condition", count(*) FILTER (WHERE v.verdict = 'holds') AS "Holds",
           count(*) FILTER (WHERE v.verdict = 'unknown') AS "Unknown", max(v.since) AS "Last change"
    FROM verdict AS v JOIN pump AS p USING (pump) WHERE p.in_service AND {OF_THE_CHOSEN}
    GROUP BY v.condition HAVING count(*) FILTER (WHERE v.verdict IN ('holds', 'unknown')) > 0 ORDER BY 2 DESC, 1
"""
_RAISED: Final = f"""
    SELECT $__timeGroupAlias(a.raised_at, $__interval), a.priority AS metric, count(*) AS alerts
    FROM alert AS a WHERE $__timeFilter(a.raised_at) AND a.inhibited_by IS NULL AND {ALERT_OF_THE_CHOSEN}
    GROUP BY 1, 2 ORDER BY 1, 2
"""
_OPEN: Final = f"""
    SELECT count(*) FROM alert AS a
    WHERE a.state <> 'resolved' AND a.inhibited_by IS NULL AND a.priority = '%s' AND {ALERT_OF_THE_CHOSEN}
"""


def dashboard() -> Dashboard:
    built = new(
        "Fleet", "fleet", "Every pump in service: who is watched, silent, running empty, and what is wrong now."
    )
    for variable in (variables.site(), variables.drug_class(), variables.simulated()):
        built.with_variable(variable)
    built.annotation(variables.marks_of_high_alerts())
    for panel in _figures():
        built.with_panel(panel)
    built.with_panel(
        listing(
            "Pumps, the most urgent first",
            "At most a thousand; choose a site or a drug class for fewer. A silent pump shows what it said last.",
            Sql(_PUMPS, form="table"),
            {
                "Pump": leading_to("Pump", "/d/pumpwatch-pump?var-pump=${__value.raw}&${__url_time_range}"),
                "State": words({"silent": HIGH, "never heard": UNKNOWN, "stopped": MEDIUM, "minimum": MEDIUM}),
                "Open alert": words(PRIORITIES),
                "Flow of program": unit("percentunit", 0),
                "Reservoir": unit("suffix: mL", 2),
                "Days to empty": [
                    *unit("suffix: d", 1),
                    *coloured(((None, HIGH), (_NOW_D, MEDIUM), (_SOON_D, LOW), (_LOW_D, GOOD))),
                ],
                "Battery": unit("volt", 2),
                "Last heard": unit("dateTimeFromNow"),
            },
            height=14,
        )
    )
    built.with_row(Row("Conditions and reservoirs"))
    built.with_panel(
        chart("Alerts raised", "Without those that another alert tells of.", [Sql(_RAISED)], unit="short", span=24)
        .override_by_name("high", line(HIGH, width=2))
        .override_by_name("medium", line(MEDIUM))
        .override_by_name("low", line(LOW))
    )
    built.with_panel(
        listing(
            "Verdicts",
            "How many pumps each condition holds for, or cannot be told of.",
            Sql(_VERDICTS, form="table"),
            {"Last change": unit("dateTimeFromNow")},
        ).span(14)
    )
    built.with_panel(
        listing("Reservoirs", "How many pumps run empty when, as programmed.", Sql(_RESERVOIRS, form="table"), {}).span(
            10
        )
    )
    return built


def _figures() -> list[Builder[Panel]]:
    return [
        figure("In service", "Pumps that are watched.", Sql(f"SELECT count(*) {_IN_SERVICE}", form="table")),
        figure(
            "Heard in time",
            "Share of them that were heard within three of their intervals, or five minutes.",
            Sql(
                f"SELECT (count(*) FILTER (WHERE NOT ({_LATE})))::float8 / nullif(count(*), 0) {_IN_SERVICE}",
                form="table",
            ),
            unit="percentunit",
            steps=((None, HIGH), (0.95, MEDIUM), (0.99, GOOD)),
        ),
        *(
            figure(
                f"Open, {priority}",
                f"Alerts of {priority} priority that are not resolved; without those that another alert tells of.",
                Sql(_OPEN % priority, form="table"),
                steps=((None, GOOD), (1, colour)),
            )
            for priority, colour in PRIORITIES.items()
        ),
        figure(
            "Nobody has answered",
            "Alerts of high or medium priority that stand open and are not acknowledged.",
            Sql(
                f"""SELECT count(*) FROM alert AS a WHERE a.state <> 'resolved' AND a.acknowledged_at IS NULL
                    AND a.inhibited_by IS NULL AND a.priority <> 'low' AND {ALERT_OF_THE_CHOSEN}""",
                form="table",
            ),
            steps=((None, PLAIN), (1, HIGH)),
        ),
    ]
