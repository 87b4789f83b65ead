"""What can be chosen at the top of a dashboard, and which marks lie on its panels?"""

from typing import Final

from grafana_foundation_sdk.builders.dashboard import CustomVariable, QueryVariable
from grafana_foundation_sdk.models.dashboard import VariableOption, VariableRefresh, VariableSort

from dashboards.panels import HIGH, PLAIN
from dashboards.sources import DATABASE, SqlAnnotation

OF_THE_CHOSEN: Final = (
    "coalesce(p.site, '(no site)') IN (${site:sqlstring}) AND p.drug_class IN (${drug_class:sqlstring})"
)
"""A pump `p` of the chosen sites and drug classes."""
ALERT_OF_THE_CHOSEN: Final = """
    coalesce(a.site, '(no site)') IN (${site:sqlstring})
    AND (a.pump IS NULL
         OR EXISTS (SELECT FROM pump AS p WHERE p.pump = a.pump AND p.drug_class IN (${drug_class:sqlstring})))
    AND (${simulated:sqlstring} = 'with' OR NOT a.simulated)
"""
"""An alert `a` of the chosen sites and drug classes; those of the service itself are of no site."""
THE_PUMP: Final = "(SELECT pump FROM pump WHERE pump_id = ${pump:sqlstring})"


def site() -> QueryVariable:
    return _several(
        QueryVariable("site").label("Site").query("SELECT DISTINCT coalesce(site, '(no site)') FROM pump ORDER BY 1")
    )


def drug_class() -> QueryVariable:
    return _several(
        QueryVariable("drug_class").label("Drug class").query("SELECT DISTINCT drug_class FROM pump ORDER BY 1")
    )


def pump() -> QueryVariable:
    """One pump of the chosen sites and drug classes."""
    return (
        QueryVariable("pump")
        .label("Pump")
        .query(f"SELECT p.pump_id FROM pump AS p WHERE {OF_THE_CHOSEN} ORDER BY 1 LIMIT 20000")
        .datasource(DATABASE)
        .refresh(VariableRefresh.ON_DASHBOARD_LOAD)
    )


def simulated() -> CustomVariable:
    return (
        CustomVariable("simulated")
        .label("Simulated pumps")
        .values("with,without")
        .current(VariableOption(selected=True, text="with", value="with"))
    )


def marks_of_pump_events() -> SqlAnnotation:
    """Refills, boluses, programs, MRI: what happened to the pump."""
    return SqlAnnotation(
        "Events",
        f"""
        SELECT measured_at AS time, replace(type, '_', ' ') AS text, 'event' AS tags FROM event
        WHERE pump = {THE_PUMP} AND $__timeFilter(measured_at) ORDER BY measured_at DESC LIMIT 500
        """,
        PLAIN,
    )


def marks_of_pump_alerts() -> SqlAnnotation:
    """From the onset of each alert to its end, or to now."""
    return SqlAnnotation(
        "Alerts",
        f"""
        SELECT began_at AS time, coalesce(ended_at, now()) AS timeend,
               priority || ': ' || replace(condition, '_', ' ') AS text, 'alert,' || priority AS tags
        FROM alert
        WHERE pump = {THE_PUMP} AND began_at <= $__timeTo() AND coalesce(ended_at, now()) >= $__timeFrom()
        ORDER BY began_at DESC LIMIT 200
        """,
        HIGH,
    )


def marks_of_high_alerts() -> SqlAnnotation:
    """When an alert of high priority was raised in the chosen part of the fleet."""
    return SqlAnnotation(
        "Alerts of high priority",
        f"""
        SELECT a.raised_at AS time, a.subject || ': ' || replace(a.condition, '_', ' ') AS text, 'alert,high' AS tags
        FROM alert AS a
        WHERE a.priority = 'high' AND a.inhibited_by IS NULL AND {ALERT_OF_THE_CHOSEN} AND $__timeFilter(a.raised_at)
        ORDER BY a.raised_at DESC LIMIT 200
        """,
        HIGH,
    )


def _several(variable: QueryVariable) -> QueryVariable:
    return (
        variable.datasource(DATABASE)
        .multi(multi=True)
        .include_all(include_all=True)
        .current(VariableOption(selected=True, text=["All"], value=["$__all"]))
        .refresh(VariableRefresh.ON_DASHBOARD_LOAD)
        .sort(VariableSort.ALPHABETICAL_ASC)
    )
