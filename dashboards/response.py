"""Alerts and response: how much is asked of people, how soon they answer, and what does not reach them."""

from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel

from dashboards import variables
from dashboards.frame import new
from dashboards.panels import (
    GOOD,
    HIGH,
    MEDIUM,
    PLAIN,
    PRIORITIES,
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

_IN_SPAN: Final = f"$__timeFilter(a.raised_at) AND {ALERT_OF_THE_CHOSEN}"
# From when an alert was raised until a person first acknowledged it; only alerts of which somebody was told.
_ANSWERED: Final = f"""
    SELECT a.raised_at, a.priority, extract(epoch FROM first.at - a.raised_at) AS answer_s
    FROM alert AS a
    CROSS JOIN LATERAL (
        SELECT min(h.at) AS at FROM alert_history AS h WHERE h.alert_id = a.id AND h.event = 'acknowledged'
    ) AS first
    WHERE {_IN_SPAN}
        AND EXISTS (SELECT FROM notification AS n WHERE n.alert_id = a.id AND n.state <> 'collapsed')
"""
_PERCENTILES: Final = f"""
    SELECT $__timeGroupAlias(raised_at, $__interval),
           percentile_cont(0.5) WITHIN GROUP (ORDER BY answer_s) AS "Half within",
           percentile_cont(0.9) WITHIN GROUP (ORDER BY answer_s) AS "Nine of ten within"
    FROM ({_ANSWERED}) AS asked WHERE answer_s IS NOT NULL GROUP BY 1 ORDER BY 1
"""
_RAISED: Final = f"""
    SELECT $__timeGroupAlias(a.raised_at, $__interval), a.priority AS metric, count(*) AS alerts
    FROM alert AS a WHERE {_IN_SPAN} GROUP BY 1, 2 ORDER BY 1, 2
"""
_OPEN: Final = f"""
    SELECT a.id AS "Alert", a.priority AS "Priority", a.subject AS "Of", replace(a.condition, '_', ' ') AS "Condition",
           a.state AS "State", a.raised_at AS "Raised", coalesce(a.acknowledged_by, 'nobody') AS "Answered by",
           a.escalate_at AS "Next step", a.shelved_until AS "Shelved until",
           (SELECT string_agg(DISTINCT e.name, ', ') FROM notification AS n JOIN endpoint AS e ON e.id = n.endpoint
            WHERE n.alert_id = a.id AND n.state = 'delivered') AS "Told",
           (SELECT string_agg(DISTINCT e.name, ', ') FROM notification AS n JOIN endpoint AS e ON e.id = n.endpoint
            WHERE n.alert_id = a.id AND n.state = 'failed') AS "Not reached"
    FROM alert AS a WHERE a.state <> 'resolved' AND {ALERT_OF_THE_CHOSEN}
    ORDER BY CASE a.priority WHEN 'high' THEN 1 WHEN 'medium' THEN 2 ELSE 3 END, a.raised_at LIMIT 500
"""
_BURDEN: Final = f"""
    SELECT replace(a.condition, '_', ' ') AS "Condition", a.priority AS "Priority", count(*) AS "Alerts",
           count(*) FILTER (WHERE a.chattering) AS "Chattering",
           count(*) FILTER (WHERE a.inhibited_by IS NOT NULL) AS "Told with another",
           count(*) FILTER (WHERE a.found_late) AS "Found late",
           count(*) FILTER (WHERE a.acknowledged_at IS NULL AND a.state <> 'resolved') AS "Unanswered"
    FROM alert AS a WHERE {_IN_SPAN} GROUP BY 1, 2 ORDER BY 3 DESC, 1
"""
_STANDING: Final = f"""
    SELECT a.id AS "Alert", a.subject AS "Of", replace(a.condition, '_', ' ') AS "Condition", a.priority AS "Priority",
           a.raised_at AS "Raised", coalesce(a.acknowledged_by, 'nobody') AS "Answered by"
    FROM alert AS a WHERE a.state <> 'resolved' AND a.raised_at < now() - interval '24 hours' AND {ALERT_OF_THE_CHOSEN}
    ORDER BY a.raised_at LIMIT 200
"""
_DELIVERED_S: Final = "extract(epoch FROM n.settled_at - n.created_at)"
_ENDPOINTS: Final = f"""
    SELECT e.name AS "Endpoint", count(*) AS "Told", count(*) FILTER (WHERE n.priority = 'high') AS "High",
           count(*) FILTER (WHERE n.kind IN ('escalated', 'repeated', 'reminder')) AS "Again",
           count(*) FILTER (WHERE n.state = 'failed') AS "Given up",
           percentile_cont(0.5) WITHIN GROUP (ORDER BY {_DELIVERED_S})
               FILTER (WHERE n.state = 'delivered') AS "Half delivered within",
           CASE WHEN e.enabled THEN '' ELSE coalesce(e.disabled_reason, 'yes') END AS "Disabled"
    FROM notification AS n JOIN endpoint AS e ON e.id = n.endpoint
    WHERE $__timeFilter(n.created_at) AND n.state <> 'collapsed'
    GROUP BY e.id, e.name, e.enabled, e.disabled_reason ORDER BY 2 DESC, 1
"""
_OUTCOMES: Final = """
    SELECT $__timeGroupAlias(t.at, $__interval), replace(t.outcome, '_', ' ') AS metric, count(*) AS requests
    FROM attempt AS t WHERE $__timeFilter(t.at) GROUP BY 1, 2 ORDER BY 1, 2
"""
_TO_DELIVERY: Final = f"""
    SELECT $__timeGroupAlias(n.created_at, $__interval),
           percentile_cont(0.5) WITHIN GROUP (ORDER BY {_DELIVERED_S}) AS "Half within",
           percentile_cont(0.99) WITHIN GROUP (ORDER BY {_DELIVERED_S}) AS "99 of 100 within"
    FROM notification AS n WHERE n.state = 'delivered' AND $__timeFilter(n.created_at) GROUP BY 1 ORDER BY 1
"""
_A_PUMP_DAY: Final = f"""
    SELECT count(*) / nullif((SELECT count(*) FROM pump AS p WHERE p.in_service AND {OF_THE_CHOSEN})
        * ($__unixEpochTo() - $__unixEpochFrom()) / 86400.0, 0) AS alerts
    FROM alert AS a WHERE {_IN_SPAN} AND a.inhibited_by IS NULL
"""


def dashboard() -> Dashboard:
    built = new(
        "Alerts and response", "response", "How much is asked of people and how soon they answer.", since="now-7d"
    )
    for variable in (variables.site(), variables.drug_class(), variables.simulated()):
        built.with_variable(variable)
    built.annotation(variables.marks_of_high_alerts())
    for panel in _figures():
        built.with_panel(panel)
    to_the_board = leading_to("Answer it on the board", "${board}/alerts/${__value.raw}")
    times = {name: unit("dateTimeFromNow") for name in ("Raised", "Next step", "Shelved until")}
    built.with_panel(
        listing(
            "Open, the most urgent first",
            "Who was told of each alert, and who could not be reached.",
            Sql(_OPEN, form="table"),
            {"Alert": to_the_board, "Priority": words(PRIORITIES), "Answered by": words({"nobody": HIGH}), **times},
            height=12,
        )
    )
    raised = chart("Raised", "All, also those that another alert tells of.", [Sql(_RAISED)], unit="short")
    for priority, colour in PRIORITIES.items():
        raised.override_by_name(priority, line(colour, width=2))
    built.with_panel(raised)
    built.with_panel(
        chart("Time to acknowledge", "From raised to the first answer of a person.", [Sql(_PERCENTILES)], unit="s")
    )
    built.with_row(Row("Burden"))
    built.with_panel(
        listing(
            "By condition",
            "Of this span.",
            Sql(_BURDEN, form="table"),
            {"Priority": words(PRIORITIES), "Chattering": coloured(((None, GOOD), (1, MEDIUM)))},
        ).span(14)
    )
    built.with_panel(
        listing(
            "Open for over a day",
            "The oldest first.",
            Sql(_STANDING, form="table"),
            {"Alert": to_the_board, "Priority": words(PRIORITIES), **times},
        ).span(10)
    )
    built.with_row(Row("Delivery"))
    built.with_panel(
        listing(
            "Endpoints",
            "What each was told in this span.",
            Sql(_ENDPOINTS, form="table"),
            {"Given up": coloured(((None, GOOD), (1, HIGH))), "Half delivered within": unit("s", 2)},
            height=8,
        )
    )
    built.with_panel(chart("Requests by outcome", "Every attempt, as it ended.", [Sql(_OUTCOMES)], unit="short"))
    built.with_panel(chart("Made to delivered", "Of what was delivered.", [Sql(_TO_DELIVERY)], unit="s"))
    return built


def _figures() -> list[Builder[Panel]]:
    def share(of: str) -> str:
        return f"SELECT (count(*) FILTER (WHERE {of}))::float8 / nullif(count(*), 0) FROM ({_ANSWERED}) AS asked"

    return [
        figure(
            "Alerts a pump and day",
            "Of this span, without those that another alert tells of.",
            Sql(_A_PUMP_DAY, form="table"),
            steps=((None, GOOD), (0.1, MEDIUM), (1, HIGH)),
            span=6,
        ),
        figure(
            "Answered",
            "Share of the alerts of this span that somebody was told of and has answered.",
            Sql(share("answer_s IS NOT NULL"), form="table"),
            unit="percentunit",
            span=6,
        ),
        figure(
            "Half answered within",
            "From raised to the first answer of a person.",
            Sql(
                f"SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY answer_s) FROM ({_ANSWERED}) AS asked",
                form="table",
            ),
            unit="s",
            span=6,
        ),
        figure(
            "Not delivered",
            "Notifications of this span that were given up.",
            Sql(
                "SELECT count(*) FROM notification AS n WHERE n.state = 'failed' AND $__timeFilter(n.created_at)",
                form="table",
            ),
            steps=((None, PLAIN), (1, HIGH)),
            span=6,
        ),
    ]
