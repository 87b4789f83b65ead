"""One pump: what it was told, what it did, how long its reservoir and its battery last, and what was wrong when."""

from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue, Panel

from dashboards import variables
from dashboards.frame import new
from dashboards.panels import (
    GOOD,
    HIGH,
    LOW,
    MEDIUM,
    ML_A_DAY,
    PLAIN,
    PRIORITIES,
    UNKNOWN,
    chart,
    figure,
    leading_to,
    line,
    listing,
    unit,
    words,
)
from dashboards.sources import Sql
from dashboards.variables import THE_PUMP
from service.core.change import Condition
from service.core.limits import LIMITS

TOLERANCE: Final = 0.145
"""What a healthy pump may deliver beside its program: the labelled accuracy (docs/rules.md)."""

# Readings, hours or days, by the time that a point stands for. One alone is read: the others are false from the start.
_RAW, _HOURS, _DAYS = (
    "$__interval_ms < 600000",
    "$__interval_ms BETWEEN 600000 AND 43200000",
    "$__interval_ms > 43200000",
)
_LATEST: Final = f"FROM pump_latest AS l JOIN pump AS p USING (pump) WHERE l.pump = {THE_PUMP}"
_EMPTY_AT: Final = "l.measured_at + make_interval(secs => %s * 86400)"


def _over_time(of_readings: str, of_spans: str) -> str:
    """The same of single readings, of hours or of days, whichever the width of the panel asks for."""
    spans = "".join(
        f"""
        UNION ALL SELECT bucket_at AS time, {of_spans} FROM {table}
        WHERE {asked} AND pump = {THE_PUMP} AND $__timeFilter(bucket_at)"""
        for table, asked in (("reading_hour", _HOURS), ("reading_day", _DAYS))
    )
    return f"""
        SELECT * FROM (
            SELECT measured_at AS time, {of_readings} FROM reading
            WHERE {_RAW} AND pump = {THE_PUMP} AND $__timeFilter(measured_at){spans}
        ) AS points ORDER BY time LIMIT 100000"""


_FLOW: Final = _over_time(
    f"""flow_ml_d AS "Flow", program_ml_d AS "Program", program_ml_d * {1 - TOLERANCE} AS "Tolerated, least",
        program_ml_d * {1 + TOLERANCE} AS "Tolerated, most", NULL::real AS "Least flow", NULL::real AS "Most flow" """,
    f"""flow_ml_d_mean AS "Flow", program_ml_d_mean AS "Program",
        program_ml_d_mean * {1 - TOLERANCE} AS "Tolerated, least",
        program_ml_d_mean * {1 + TOLERANCE} AS "Tolerated, most",
        flow_ml_d_min AS "Least flow", flow_ml_d_max AS "Most flow" """,
)
_RESERVOIR: Final = _over_time('reservoir_ml AS "Reservoir"', 'reservoir_ml_last AS "Reservoir"')
_BATTERY: Final = _over_time('battery_v AS "Battery"', 'battery_v_min AS "Battery"')
# From the last reading to the day on which the reservoir runs dry, along a straight line: the cone between the two ends
# of what the pump may deliver. It shows where the chosen span reaches into the future.
_FORECAST: Final = " UNION ALL ".join(
    f"""
    SELECT l.measured_at AS time, '{name}' AS metric, l.reservoir_ml AS ml {_LATEST} AND l.{column} IS NOT NULL
    UNION ALL SELECT {_EMPTY_AT % f"l.{column}"}, '{name}', 0 {_LATEST} AND l.{column} IS NOT NULL
    """
    for name, column in (
        ("Empty at the earliest", "empty_conservative_d"),
        ("Empty as programmed", "empty_nominal_d"),
        ("Empty at the latest", "empty_optimistic_d"),
    )
)
_DOSE: Final = f"""
    SELECT h.bucket_at AS time, h.flow_ml_d_mean * p.concentration_ug_ml AS "Dose",
           h.program_ml_d_mean * p.concentration_ug_ml AS "Programmed dose"
    FROM reading_hour AS h JOIN pump AS p USING (pump)
    WHERE h.pump = {THE_PUMP} AND $__timeFilter(h.bucket_at) ORDER BY 1
"""
_DELIVERED: Final = f"""
    SELECT bucket_at AS time, delivered_by_flow_ul AS "Delivered", program_ml_d_mean * 1000 / 24 AS "Programmed"
    FROM reading_hour WHERE pump = {THE_PUMP} AND $__timeFilter(bucket_at) ORDER BY 1
"""
_COVERAGE: Final = f"""
    SELECT h.bucket_at AS time, least(1, h.readings * p.interval_s / 3600) AS "Readings that came"
    FROM reading_hour AS h JOIN pump AS p USING (pump)
    WHERE h.pump = {THE_PUMP} AND $__timeFilter(h.bucket_at) ORDER BY 1
"""
_ALERTS: Final = f"""
    SELECT a.id AS "Alert", replace(a.condition, '_', ' ') AS "Condition", a.priority AS "Priority", a.state AS "State",
           a.began_at AS "Began", a.detected_at AS "Detected", a.ended_at AS "Ended",
           coalesce(a.acknowledged_by, 'nobody') AS "Answered by",
           CASE WHEN a.found_late THEN 'yes' ELSE '' END AS "Found late"
    FROM alert AS a
    WHERE a.pump = {THE_PUMP} AND (a.state <> 'resolved' OR $__timeFilter(a.began_at))
    ORDER BY a.began_at DESC LIMIT 200
"""
_VERDICTS: Final = f"""
    SELECT replace(condition, '_', ' ') AS "Condition", replace(verdict, '_', ' ') AS "Verdict", since AS "Since"
    FROM verdict WHERE pump = {THE_PUMP} ORDER BY verdict, condition
"""
_EVENTS: Final = f"""
    SELECT measured_at AS "At", replace(type, '_', ' ') AS "Event", body::text AS "As the pump said it"
    FROM event WHERE pump = {THE_PUMP} AND $__timeFilter(measured_at) ORDER BY position DESC LIMIT 200
"""
_GAPS: Final = f"""
    SELECT noticed_at AS "Noticed", to_position - from_position + 1 AS "Missing", closed_at AS "Came later",
           CASE WHEN closed_at IS NOT NULL THEN 'came later' WHEN lost THEN 'lost' ELSE 'awaited' END
               AS "What became of it"
    FROM gap WHERE pump = {THE_PUMP} AND $__timeFilter(noticed_at) ORDER BY from_position DESC LIMIT 200
"""


def dashboard() -> Dashboard:
    built = new("Pump", "pump", "One pump: program and flow, reservoir, battery, alerts and events.", since="now-7d")
    for variable in (variables.site(), variables.drug_class(), variables.pump()):
        built.with_variable(variable)
    built.annotation(variables.marks_of_pump_alerts()).annotation(variables.marks_of_pump_events())
    for panel in _figures():
        built.with_panel(panel)
    built.with_panel(_flow()).with_panel(_reservoir())
    built.with_panel(chart("Battery", "Volts; the least of an hour or a day.", [Sql(_BATTERY)], unit="volt"))
    built.with_row(Row("Volume and dose by the hour"))
    built.with_panel(
        chart(
            "Delivered", "By flow, each hour, beside what was programmed.", [Sql(_DELIVERED)], unit="suffix: µL", span=8
        )
    )
    built.with_panel(chart("Dose", "Flow times concentration.", [Sql(_DOSE)], unit="suffix: µg/d", span=8))
    built.with_panel(
        chart("Coverage", "Share of an hour's readings that came.", [Sql(_COVERAGE)], unit="percentunit", span=8)
        .min(0)
        .max(1)
    )
    built.with_row(Row("What happened"))
    for panel in _listings():
        built.with_panel(panel)
    return built


def _flow() -> Builder[Panel]:
    panel = chart(
        "Flow against program",
        "The band: what a healthy pump may deliver (± 14.5 %). Hours and days keep least and most: no spike is lost.",
        [Sql(_FLOW)],
        unit=ML_A_DAY,
        span=24,
        height=10,
    ).min(0)
    panel.override_by_name("Flow", line(PLAIN, width=2)).override_by_name("Program", line(GOOD, dashed=True))
    panel.override_by_name("Tolerated, least", line(GOOD, width=0)).override_by_name(
        "Tolerated, most",
        [*line(GOOD, width=0, fill=12), DynamicConfigValue("custom.fillBelowTo", "Tolerated, least")],
    )
    return panel.override_by_regexp("/(Least|Most) flow/", line(UNKNOWN))


def _reservoir() -> Builder[Panel]:
    panel = chart(
        "Reservoir, and when it runs dry",
        "As the pump says it; the cone lies between the ends of what it may deliver. Choose a span into the future.",
        [Sql(_RESERVOIR), Sql(_FORECAST, ref_id="B")],
        unit="suffix: mL",
    ).min(0)
    panel.override_by_regexp("/earliest/", line(HIGH, dashed=True)).override_by_regexp(
        "/latest/", line(GOOD, dashed=True)
    )
    return panel.override_by_regexp("/as programmed/", line(MEDIUM, dashed=True))


def _figures() -> list[Builder[Panel]]:
    low = LIMITS[Condition.RESERVOIR_LOW]
    days = tuple(
        (low[name].default, colour) for name, colour in (("high_d", MEDIUM), ("medium_d", LOW), ("low_d", GOOD))
    )
    return [
        figure(
            "Last heard", "By our clock.", Sql(f"SELECT l.received_at {_LATEST}", form="table"), unit="dateTimeFromNow"
        ),
        figure("Flow now", "The last reading.", Sql(f"SELECT l.flow_ml_d {_LATEST}", form="table"), unit=ML_A_DAY),
        figure(
            "Flow of program",
            "The last reading.",
            Sql(f"SELECT l.flow_ml_d / nullif(l.program_ml_d, 0) {_LATEST}", form="table"),
            unit="percentunit",
        ),
        figure(
            "Reservoir", "The last reading.", Sql(f"SELECT l.reservoir_ml {_LATEST}", form="table"), unit="suffix: mL"
        ),
        figure(
            "Runs dry",
            "At the earliest: if it delivers as much as it may. Coloured by the limits of low reservoirs.",
            Sql(
                f"SELECT l.empty_conservative_d - extract(epoch FROM now() - l.measured_at) / 86400 AS days {_LATEST}",
                form="table",
            ),
            unit="suffix: d",
            steps=((None, HIGH), *days),
        ),
        figure("Battery now", "The last reading.", Sql(f"SELECT l.battery_v {_LATEST}", form="table"), unit="volt"),
    ]


def _listings() -> list[Builder[Panel]]:
    times = {
        name: unit("dateTimeAsIso") for name in ("Began", "Detected", "Ended", "At", "Since", "Noticed", "Came later")
    }
    return [
        listing(
            "Alerts",
            "Those that are open, and those that began in this span.",
            Sql(_ALERTS, form="table"),
            {
                "Alert": leading_to("Answer it on the board", "${board}/alerts/${__value.raw}"),
                "Priority": words(PRIORITIES),
                **times,
            },
        ),
        listing("Verdicts", "What can be told now.", Sql(_VERDICTS, form="table"), times).span(8),
        listing("Events", "As the pump said them.", Sql(_EVENTS, form="table"), times).span(8),
        listing("Gaps", "Positions that did not come in order.", Sql(_GAPS, form="table"), times).span(8),
    ]
