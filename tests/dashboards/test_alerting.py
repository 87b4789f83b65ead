"""Prometheus itself says which rules parse, which names are exported, and when each rule holds."""

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric

from dashboards.alerting import RULES
from dashboards.build import DEPLOY, HERE
from service.metrics import Metrics
from tests.dashboards.macros import promql_queries

RULE_FILE = DEPLOY / "prometheus/pumpwatch.rules.yml"
DASHBOARDS = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(HERE.glob("*.json"))]
QUERIES = [query for dashboard in DASHBOARDS for query in promql_queries(dashboard)]

HOUR = 240  # points of 15 s
HELD = 300 * 2**20
TELEMETRY, STORED = 'pumpwatch_messages_total{kind="telemetry"}', "pumpwatch_readings_stored_total"
API, ANOTHER = 'up{job="pumpwatch", instance="api-1"}', 'up{job="pumpwatch", instance="api-2"}'

# What makes each rule hold, and what looks like it and does not: series by name, as Prometheus writes their values.
HOLDS: dict[str, Mapping[str, str]] = {
    "PumpwatchGone": {API: f"0x{HOUR}", ANOTHER: f"0x{HOUR}"},
    "PumpwatchNotSeen": {ANOTHER: f"0x{HOUR}"},
    "PumpwatchHearsNothing": {TELEMETRY: f"500x{HOUR}"},
    "PumpwatchStoresNothing": {TELEMETRY: f"0+100x{HOUR}", STORED: f"70x{HOUR}"},
    "PumpwatchHoldsMuch": {"pumpwatch_held_bytes": f"{HELD}x{HOUR}"},
    "PumpwatchSettlesLate": {
        'pumpwatch_settle_lag_seconds_bucket{le="10"}': f"0+1x{HOUR}",
        'pumpwatch_settle_lag_seconds_bucket{le="30"}': f"0+3x{HOUR}",
        'pumpwatch_settle_lag_seconds_bucket{le="+Inf"}': f"0+3x{HOUR}",
    },
    "PumpwatchLinkBroken": {'pumpwatch_link_broken{link="deliver"}': f"1x{HOUR}"},
    "PumpwatchBatchesAgain": {'pumpwatch_batches_redone_total{reason="connection"}': f"0+1x{HOUR}"},
    "PumpwatchSessionLost": {"pumpwatch_broker_sessions_lost_total": "0x230 1x10"},
    "PumpwatchBrokerUnwell": {'pumpwatch_broker_faults{condition="broker_degraded"}': f"1x{HOUR}"},
    "PumpwatchQuarantineGrows": {'pumpwatch_quarantined_total{reason="not_json"}': f"0+15x{HOUR}"},
    "PumpwatchPageUndelivered": {"pumpwatch_undelivered_pages": f"2x{HOUR}"},
    "PumpwatchEndpointFails": {"pumpwatch_open_circuits": f"1x{HOUR}"},
    "PumpwatchGivenUp": {'pumpwatch_given_up_total{priority="high"}': "0x230 1x10"},
    "PumpwatchSlowToTell": {
        'pumpwatch_reading_to_webhook_seconds_bucket{le="10"}': f"0+1x{HOUR}",
        'pumpwatch_reading_to_webhook_seconds_bucket{le="30"}': f"0+3x{HOUR}",
        'pumpwatch_reading_to_webhook_seconds_bucket{le="+Inf"}': f"0+3x{HOUR}",
    },
    "PumpwatchApiFails": {
        'pumpwatch_api_requests_total{status="500"}': f"0+1x{HOUR}",
        'pumpwatch_api_requests_total{status="200"}': f"0+9x{HOUR}",
    },
    "PumpwatchRulebookRefused": {"pumpwatch_rulebooks_refused_total": "0x230 1x10"},
}
FOLLOWS = {"PumpwatchGone": {"PumpwatchNotSeen"}}
"""What holds as well; Alertmanager keeps it back."""
HEALTHY = {
    API: f"1x{HOUR}",
    ANOTHER: f"1x{HOUR}",
    TELEMETRY: f"0+100x{HOUR}",
    STORED: f"0+100x{HOUR}",
    "pumpwatch_held_bytes": f"1000000x{HOUR}",
    'pumpwatch_settle_lag_seconds_bucket{le="10"}': f"0+3x{HOUR}",
    'pumpwatch_settle_lag_seconds_bucket{le="30"}': f"0+3x{HOUR}",
    'pumpwatch_settle_lag_seconds_bucket{le="+Inf"}': f"0+3x{HOUR}",
    'pumpwatch_link_broken{link="deliver"}': "1x200 0x40",
    'pumpwatch_batches_redone_total{reason="connection"}': "0x100 3x140",
    "pumpwatch_broker_sessions_lost_total": f"4x{HOUR}",
    'pumpwatch_broker_faults{condition="broker_degraded"}': "0x100 1x3 0x136",
    'pumpwatch_quarantined_total{reason="not_json"}': f"0+1x{HOUR}",
    "pumpwatch_undelivered_pages": "0x230 1 0x9",
    "pumpwatch_open_circuits": "1x200 0x40",
    'pumpwatch_given_up_total{priority="high"}': f"7x{HOUR}",
    'pumpwatch_reading_to_webhook_seconds_bucket{le="10"}': f"0+3x{HOUR}",
    'pumpwatch_reading_to_webhook_seconds_bucket{le="30"}': f"0+3x{HOUR}",
    'pumpwatch_reading_to_webhook_seconds_bucket{le="+Inf"}': f"0+3x{HOUR}",
    'pumpwatch_api_requests_total{status="500"}': f"3x{HOUR}",
    'pumpwatch_api_requests_total{status="200"}': f"0+9x{HOUR}",
    "pumpwatch_rulebooks_refused_total": f"1x{HOUR}",
}


def promtool(*arguments: str | Path) -> None:
    binary = shutil.which("promtool")
    if binary is None:
        pytest.skip("no promtool on this machine (Debian's package prometheus)")
    done = subprocess.run([binary, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_configuration_and_its_rules_are_what_prometheus_takes() -> None:
    promtool("check", "config", DEPLOY / "prometheus/prometheus.yml")


def test_each_rule_holds_when_it_should_and_none_while_all_is_well(tmp_path: Path) -> None:
    assert set(HOLDS) == {rule.name for rule in RULES}
    healthy = {
        "interval": "15s",
        "input_series": _series(HEALTHY),
        "alert_rule_test": [{"eval_time": "59m", "alertname": rule.name, "exp_alerts": []} for rule in RULES],
    }
    cases = [
        {
            "interval": "15s",
            "input_series": _series(HEALTHY | HOLDS[rule.name]),
            "promql_expr_test": [
                {
                    "expr": f'count(ALERTS{{alertname="{other.name}", alertstate="firing"}}) or vector(0)',
                    "eval_time": "59m",
                    "exp_samples": [
                        {"labels": "{}", "value": int(other.name in {rule.name} | FOLLOWS.get(rule.name, set()))}
                    ],
                }
                for other in RULES
            ],
        }
        for rule in RULES
    ]
    tests = tmp_path / "tests.json"  # JSON is YAML
    tests.write_text(
        json.dumps({"rule_files": [str(RULE_FILE)], "evaluation_interval": "15s", "tests": [healthy, *cases]})
    )
    promtool("test", "rules", tests)


def test_each_rule_has_its_entry_in_the_runbook() -> None:
    page = (HERE.parent / "docs/runbook.md").read_text(encoding="utf-8")
    assert re.findall(r"^### (Pumpwatch\w+)$", page, re.MULTILINE) == [rule.name for rule in RULES]


def test_every_query_of_the_dashboards_parses(tmp_path: Path) -> None:
    assert len(QUERIES) > 30
    rules = [
        {"record": f"of_a_panel:{number}", "expr": expression.replace("$__rate_interval", "5m")}
        for number, (_, expression) in enumerate(QUERIES)
    ]
    file = tmp_path / "queries.json"
    file.write_text(json.dumps({"groups": [{"name": "queries", "rules": rules}]}))
    promtool("check", "rules", file)


def test_every_name_that_is_asked_for_is_exported() -> None:
    registry = CollectorRegistry()
    Metrics(registry)
    exported = {
        sample
        for family in registry.collect()
        for sample in (family.name, f"{family.name}_total", *_of_histogram(family))
    }
    asked = [*QUERIES, *((rule.name, rule.condition) for rule in RULES)]
    for where, expression in asked:
        for name in re.findall(r"pumpwatch_\w+", expression):
            assert name in exported, f"{where}: nothing exports {name}"


def _of_histogram(family: Metric) -> tuple[str, ...]:
    return tuple(f"{family.name}_{part}" for part in ("bucket", "sum", "count")) if family.type == "histogram" else ()


def _series(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"series": name, "values": value} for name, value in values.items()]
