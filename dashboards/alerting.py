"""When is the pipeline itself not well? One list of rules, for Prometheus and for Grafana's alerting alike.

The service raises technical alerts of its own, through its own delivery. These are for when that is what has failed:
they need nothing of the service but what it counts.
"""

import json
from typing import Final, NamedTuple

_NOTICE: Final = "# Made by `python -m dashboards.build` from dashboards/alerting.py.\n"
_EVERY: Final = "15s"


class Rule(NamedTuple):
    name: str
    """Also the heading of its entry in the runbook, docs/runbook.md."""
    condition: str
    """PromQL that gives a number; the rule holds while it is above `above`."""
    above: float
    for_minutes: int
    priority: str
    what: str


def _increase(counter: str, minutes: int, by: str = "") -> str:
    return f"sum{f' by ({by})' if by else ''} (increase({counter}[{minutes}m]))"


RULES: Final = (
    # While it holds, Alertmanager keeps all others back (deploy/alertmanager): so it must mean every one.
    Rule(
        "PumpwatchGone", 'absent(up{job="pumpwatch"} == 1)', 0, 1, "high",
        "Nothing of the service answers Prometheus: nobody may be watching.",
    ),
    Rule(
        "PumpwatchNotSeen", 'count(up{job="pumpwatch"} == 0)', 0, 1, "high",
        "Prometheus cannot reach a part of the service: what runs there may not be watching.",
    ),
    Rule(
        "PumpwatchHearsNothing",
        '(sum(rate(pumpwatch_messages_total{kind="telemetry"}[5m])) == bool 0) or absent(pumpwatch_messages_total)',
        0, 5, "high", "No pump has said anything for ten minutes: broker, network or ingester.",
    ),
    Rule(
        "PumpwatchStoresNothing",
        'sum(rate(pumpwatch_messages_total{kind="telemetry"}[5m])) > bool 0 '
        "and sum(rate(pumpwatch_readings_stored_total[5m])) == 0",
        0, 2, "high", "Messages come in and no reading is committed: the database refuses or cannot be reached.",
    ),
    Rule(
        "PumpwatchHoldsMuch", "sum(pumpwatch_held_bytes)", 192 * 2**20, 2, "medium",
        "Much is received and not committed: the database is slower than the broker.",
    ),
    Rule(
        "PumpwatchSettlesLate",
        "histogram_quantile(0.99, sum by (le) (rate(pumpwatch_settle_lag_seconds_bucket[5m])))",
        10, 5, "medium", "A message waits over ten seconds for its commit, one batch in a hundred: we are behind.",
    ),
    Rule(
        "PumpwatchLinkBroken", "max by (link) (pumpwatch_link_broken)", 0, 2, "high",
        "A link of the way from a pump to a person is broken: somebody may not be told.",
    ),
    Rule(
        "PumpwatchBatchesAgain", _increase("pumpwatch_batches_redone_total", 10), 20, 0, "medium",
        "Batches are committed again and again: connections break or rows are refused.",
    ),
    Rule(
        "PumpwatchSessionLost", _increase("pumpwatch_broker_sessions_lost_total", 10), 0, 0, "medium",
        "The broker has forgotten a session: what it held for us is gone until the pumps send it again.",
    ),
    Rule(
        "PumpwatchBrokerUnwell", "max by (condition) (pumpwatch_broker_faults)", 0, 1, "medium",
        "The broker says that a node is missing, that it is nearly full or that it discards; or it says nothing.",
    ),
    Rule(
        "PumpwatchQuarantineGrows", "sum by (reason) (rate(pumpwatch_quarantined_total[10m]))", 0.5, 10, "low",
        "Messages are kept aside, one in two seconds or more: a pump or a gateway speaks wrongly.",
    ),
    Rule(
        "PumpwatchPageUndelivered", "max(pumpwatch_undelivered_pages)", 0, 1, "high",
        "A page of high priority has not arrived: failed twice, or over ten seconds late.",
    ),
    Rule(
        "PumpwatchEndpointFails", "max(pumpwatch_open_circuits)", 0, 5, "medium",
        "An endpoint answers nothing good and is only probed: alerts for it go to the next step.",
    ),
    Rule(
        "PumpwatchGivenUp", _increase("pumpwatch_given_up_total", 10, "priority"), 0, 0, "high",
        "A notification was given up: see who was not told, and redrive it.",
    ),
    Rule(
        "PumpwatchSlowToTell",
        "histogram_quantile(0.99, sum by (le) (rate(pumpwatch_reading_to_webhook_seconds_bucket[10m])))",
        10, 5, "medium", "From reading to webhook takes over ten seconds, for one alert in a hundred.",
    ),
    Rule(
        "PumpwatchApiFails",
        'sum(rate(pumpwatch_api_requests_total{status=~"5.."}[5m])) / sum(rate(pumpwatch_api_requests_total[5m]))',
        0.05, 5, "medium", "The API answers one request in twenty with an error of its own.",
    ),
    Rule(
        "PumpwatchRulebookRefused", _increase("pumpwatch_rulebooks_refused_total", 15), 0, 0, "low",
        "The rulebook file has mistakes: the one before it stays in force. `pumpwatch rules check` names the line.",
    ),
)  # fmt: skip


def for_prometheus() -> str:
    """Return deploy/prometheus/pumpwatch.rules.yml."""
    lines = [_NOTICE + "groups:", "  - name: pumpwatch", f"    interval: {_EVERY}", "    rules:"]
    for rule in RULES:
        lines += [
            f"      - alert: {rule.name}",
            f"        expr: {_text(f'({rule.condition}) > {rule.above:g}')}",
            f"        for: {rule.for_minutes}m",
            f"        labels: {{priority: {rule.priority}}}",
            "        annotations:",
            f"          summary: {_text(rule.what)}",
            f"          runbook: {_text(f'docs/runbook.md#{rule.name.lower()}')}",
        ]
    return "\n".join(lines) + "\n"


def for_grafana() -> str:
    """Return deploy/grafana/provisioning/alerting/pumpwatch.yaml."""
    lines = [_NOTICE + "apiVersion: 1", "groups:", "  - orgId: 1", "    name: pumpwatch", "    folder: pumpwatch"]
    lines += ["    interval: 1m", "    rules:"]
    for rule in RULES:
        asked = {"refId": "A", "expr": rule.condition, "instant": True, "range": False}
        judged = {
            "refId": "B",
            "type": "threshold",
            "expression": "A",
            "conditions": [{"evaluator": {"type": "gt", "params": [rule.above]}}],
        }
        lines += [
            f"      - uid: {rule.name.lower()}",
            f"        title: {rule.name}",
            "        condition: B",
            "        data:",
            "          - refId: A",
            "            relativeTimeRange: {from: 900, to: 0}",
            "            datasourceUid: pumpwatch-prometheus",
            f"            model: {_text(asked)}",
            "          - refId: B",
            "            datasourceUid: __expr__",
            f"            model: {_text(judged)}",
            "        noDataState: OK",
            "        execErrState: Alerting",
            f"        for: {rule.for_minutes}m",
            f"        labels: {{priority: {rule.priority}}}",
            "        annotations:",
            f"          summary: {_text(rule.what)}",
            f"          runbook: {_text(f'docs/runbook.md#{rule.name.lower()}')}",
        ]
    return "\n".join(lines) + "\n"


def _text(of: object) -> str:
    """JSON is YAML on one line."""
    return json.dumps(of, ensure_ascii=False)
