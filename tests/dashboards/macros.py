"""What does Grafana send for a query of a panel? Its variables and macros, put in as it puts them in.

The macros are those of Grafana's PostgreSQL data source (pkg/tsdb/grafana-postgresql-datasource/macros.go, 11.6): a
dollar, a name and arguments without a closing bracket in them.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

_MACRO = re.compile(r"\$([_a-zA-Z0-9]+)\(([^)]*)\)")
_VARIABLE = re.compile(r"\$\{(\w+):sqlstring\}")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


@dataclass(frozen=True)
class View:
    """What is chosen at the top of a dashboard, and how wide a point is."""

    since: datetime
    until: datetime
    chosen: Mapping[str, Sequence[str]]
    interval: str = "1m"
    timescale: bool = False

    def sent(self, sql: str) -> str:
        """The statement that reaches the database."""
        sql = _VARIABLE.sub(lambda found: ",".join(_quoted(value) for value in self.chosen[found[1]]), sql)
        sql = sql.replace("$__interval_ms", str(int(_interval_s(self.interval) * 1000)))
        sql = sql.replace("$__interval", self.interval)
        sql = _MACRO.sub(self._expanded, sql)
        left = re.findall(r"\$(?!\d)[\w{]+", sql)
        assert not left, f"Grafana knows nothing of {left}: {sql}"
        return sql

    def _expanded(self, found: re.Match[str]) -> str:
        name, arguments = found[1], [argument.strip() for argument in found[2].split(",")]
        since, until = (at.isoformat().replace("+00:00", "Z") for at in (self.since, self.until))
        match name:
            case "__timeFilter":
                return f"{arguments[0]} BETWEEN '{since}' AND '{until}'"
            case "__timeFrom":
                return f"'{since}'"
            case "__timeTo":
                return f"'{until}'"
            case "__timeGroup" | "__timeGroupAlias":
                seconds = _interval_s(arguments[1])
                group = f"floor(extract(epoch from {arguments[0]})/{seconds:g})*{seconds:g}"
                if self.timescale:
                    group = f"time_bucket('{seconds:.3f}s',{arguments[0]})"
                return group + (' AS "time"' if name.endswith("Alias") else "")
            case "__unixEpochFrom":
                return str(int(self.since.timestamp()))
            case "__unixEpochTo":
                return str(int(self.until.timestamp()))
        raise AssertionError(f"unknown macro {name!r}")


def sql_queries(dashboard: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(where, format, SQL) of each panel and each annotation of a dashboard as Grafana reads it."""
    found = [
        (f"{dashboard['title']} / {panel['title']}", target["format"], target["rawSql"])
        for panel in panels(dashboard)
        for target in panel["targets"]
        if "rawSql" in target
    ]
    return found + [
        (f"{dashboard['title']} / marks: {annotation['name']}", "annotation", annotation["target"]["rawSql"])
        for annotation in dashboard.get("annotations", {}).get("list", [])
        if "rawSql" in annotation.get("target", {})
    ]


def promql_queries(dashboard: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(where, PromQL) of each panel."""
    return [
        (f"{dashboard['title']} / {panel['title']}", target["expr"])
        for panel in panels(dashboard)
        for target in panel["targets"]
        if "expr" in target
    ]


def panels(dashboard: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    rows = [panel for panel in dashboard["panels"] if panel["type"] == "row"]
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"] + [
        panel for row in rows for panel in row.get("panels", [])
    ]


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _interval_s(interval: str) -> float:
    return float(interval[:-1]) * _SECONDS[interval[-1]]
