"""The pipeline: what comes in, where it waits, what is kept aside, what goes out. From Prometheus alone, so that it is
there when the database is not.
"""

from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel

from dashboards.frame import new
from dashboards.panels import GOOD, HIGH, MEDIUM, PLAIN, chart, figure
from dashboards.sources import promql

_RATE: Final = "$__rate_interval"


def rate(counter: str, by: str = "") -> str:
    """A second, over the width of a point, added up over the processes."""
    return f"sum{f' by ({by})' if by else ''} (rate({counter}[{_RATE}]))"


def within(quantile: float, histogram: str, by: str = "") -> str:
    """The time within which that share of a histogram's observations fell."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({quantile:g}, sum by ({labels}) (rate({histogram}_bucket[{_RATE}])))"


def dashboard() -> Dashboard:
    built = new(
        "Pipeline",
        "pipeline",
        "From the broker to the webhook: rates, waits and what is kept aside.",
        since="now-3h",
        refresh="10s",
    )
    for panel in _figures():
        built.with_panel(panel)
    built.with_row(Row("In"))
    for panel in _in():
        built.with_panel(panel)
    for panel in _waits():
        built.with_panel(panel)
    built.with_row(Row("Kept aside, and given up"))
    for panel in _aside():
        built.with_panel(panel)
    built.with_row(Row("Out"))
    for panel in _out():
        built.with_panel(panel)
    return built


def _figures() -> list[Builder[Panel]]:
    return [
        figure(
            "Readings stored", "A second.", promql(rate("pumpwatch_readings_stored_total"), at_once=True), unit="cps"
        ),
        figure(
            "To a webhook within",
            "99 of 100 alerts: from the arrival of the reading to the first request.",
            promql(within(0.99, "pumpwatch_reading_to_webhook_seconds"), at_once=True),
            unit="s",
            steps=((None, GOOD), (0.25, MEDIUM), (10, HIGH)),
        ),
        figure(
            "Held now",
            "Bytes of messages that are received and not yet committed.",
            promql("sum(pumpwatch_held_bytes)", at_once=True),
            unit="bytes",
            steps=((None, PLAIN), (64 * 2**20, MEDIUM), (192 * 2**20, HIGH)),
        ),
        figure(
            "Kept aside",
            "Messages a second that went to quarantine.",
            promql(rate("pumpwatch_quarantined_total"), at_once=True),
            unit="cps",
            steps=((None, GOOD), (0.01, MEDIUM), (1, HIGH)),
        ),
        figure(
            "Pages that have not arrived",
            "Notifications of high priority that failed twice or are over 10 s late.",
            promql("max(pumpwatch_undelivered_pages)", at_once=True),
            steps=((None, GOOD), (1, HIGH)),
        ),
        figure(
            "Endpoints that fail",
            "Only probed, since they fail.",
            promql("max(pumpwatch_open_circuits)", at_once=True),
            steps=((None, GOOD), (1, HIGH)),
        ),
    ]


def _in() -> list[Builder[Panel]]:
    return [
        chart(
            "Messages",
            "Taken from the broker, by kind.",
            [promql(rate("pumpwatch_messages_total", "kind"), "{{kind}}")],
            unit="cps",
            span=8,
        ),
        chart(
            "Stored and settled",
            "Readings and events that were committed; messages acknowledged to the broker after it.",
            [
                promql(rate("pumpwatch_readings_stored_total"), "readings"),
                promql(rate("pumpwatch_events_stored_total"), "events", ref_id="B"),
                promql(rate("pumpwatch_settled_total"), "settled", ref_id="C"),
                promql(rate("pumpwatch_receipts_total"), "receipts", ref_id="D"),
            ],
            unit="cps",
            span=8,
        ),
        chart(
            "Time of a batch, by stage",
            "99 of 100 batches.",
            [promql(within(0.99, "pumpwatch_stage_seconds", "stage"), "{{stage}}")],
            unit="s",
            span=8,
        ),
        chart(
            "Batches",
            "Committed, and committed again.",
            [
                promql(rate("pumpwatch_batches_total"), "committed"),
                promql(rate("pumpwatch_batches_redone_total", "reason"), "again: {{reason}}", ref_id="B"),
            ],
            unit="cps",
            span=8,
        ),
        chart(
            "Held, not settled",
            "Bytes, all ingesters.",
            [promql("sum(pumpwatch_held_bytes)", "held")],
            unit="bytes",
            span=8,
        ),
        chart(
            "Broker",
            "Connections made and sessions lost, in the width of a point.",
            [
                promql(f"sum(increase(pumpwatch_broker_connections_total[{_RATE}]))", "connections"),
                promql(f"sum(increase(pumpwatch_broker_sessions_lost_total[{_RATE}]))", "sessions lost", ref_id="B"),
            ],
            unit="short",
            span=8,
        ),
    ]


def _waits() -> list[Builder[Panel]]:
    return [
        chart(
            "Behind",
            "From the arrival of a batch's first message to its PUBACK: half, and 99 of 100 batches.",
            [
                promql(within(0.5, "pumpwatch_settle_lag_seconds"), "half"),
                promql(within(0.99, "pumpwatch_settle_lag_seconds"), "99 of 100", ref_id="B"),
            ],
            unit="s",
            span=8,
        ),
        chart(
            "Messages in a batch",
            "Half, and 99 of 100 batches: few while it is quiet, thousands under load.",
            [
                promql(within(0.5, "pumpwatch_batch_messages"), "half"),
                promql(within(0.99, "pumpwatch_batch_messages"), "99 of 100", ref_id="B"),
            ],
            unit="short",
            span=8,
        ),
        chart(
            "Links that are broken",
            "Of the way from a pump to a person: 1 while it is.",
            [promql("max by (link) (pumpwatch_link_broken)", "{{link}}")],
            unit="short",
            span=8,
        ),
    ]


def _aside() -> list[Builder[Panel]]:
    return [
        chart(
            "Quarantine",
            "Messages that could not be taken, by reason.",
            [promql(rate("pumpwatch_quarantined_total", "reason"), "{{reason}}")],
            unit="cps",
            span=8,
        ),
        chart(
            "Again, and not taken again",
            "Duplicates of what is stored, and deliveries that were discarded, by reason.",
            [
                promql(rate("pumpwatch_duplicates_total"), "duplicates"),
                promql(rate("pumpwatch_messages_discarded_total", "reason"), "{{reason}}", ref_id="B"),
                promql(rate("pumpwatch_tokens_forgotten_total", "reason"), "not settled: {{reason}}", ref_id="C"),
                promql(
                    rate("pumpwatch_duplicates_not_compared_total", "reason"), "not compared: {{reason}}", ref_id="D"
                ),
            ],
            unit="cps",
            span=8,
        ),
        chart(
            "Gaps",
            "Holes in what pumps sent, by what became of them.",
            [
                promql(rate("pumpwatch_gaps_total", "outcome"), "{{outcome}}"),
                promql(rate("pumpwatch_publishes_dropped_total"), "receipts that could not be sent", ref_id="B"),
            ],
            unit="cps",
            span=8,
        ),
    ]


def _out() -> list[Builder[Panel]]:
    return [
        chart(
            "Changes of alerts",
            "By what happened to them.",
            [promql(rate("pumpwatch_alert_changes_total", "event"), "{{event}}")],
            unit="cps",
            span=8,
        ),
        chart(
            "Webhook requests",
            "By outcome; and what was given up.",
            [
                promql(rate("pumpwatch_attempts_total", "outcome"), "{{outcome}}"),
                promql(rate("pumpwatch_given_up_total", "priority"), "given up: {{priority}}", ref_id="B"),
            ],
            unit="cps",
            span=8,
        ),
        chart(
            "Reading to webhook",
            "Half, and 99 of 100.",
            [
                promql(within(0.5, "pumpwatch_reading_to_webhook_seconds"), "half"),
                promql(within(0.99, "pumpwatch_reading_to_webhook_seconds"), "99 of 100", ref_id="B"),
            ],
            unit="s",
            span=8,
        ),
        chart(
            "API requests",
            "By status.",
            [promql(rate("pumpwatch_api_requests_total", "status"), "{{status}}")],
            unit="cps",
        ),
        chart(
            "API time",
            "99 of 100 requests, by route.",
            [promql(within(0.99, "pumpwatch_api_request_seconds", "route"), "{{route}}")],
            unit="s",
        ),
        chart(
            "The stream",
            "Clients that follow it; and those that were let go, a second, by reason.",
            [
                promql("sum(pumpwatch_stream_clients)", "follow it"),
                promql(rate("pumpwatch_stream_clients_dropped_total", "reason"), "let go: {{reason}}", ref_id="B"),
            ],
            unit="short",
        ),
    ]
