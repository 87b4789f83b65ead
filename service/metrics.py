"""What is counted and timed? One object a process, on a registry that is handed in: two can live in one test."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

STAGE_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
SETTLE_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
BATCH_MESSAGES = (1, 3, 10, 30, 100, 300, 1000, 3000, 5000)
ALERT_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900)


class Metrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(name, text, labels, registry=registry, buckets=buckets)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            """Of the database: whichever process has looked last is right."""
            return Gauge(name, text, labels, registry=registry, multiprocess_mode="mostrecent")

        self.messages = counter("pumpwatch_messages_total", "Messages taken from the broker.", "kind")
        self.messages_discarded = counter(
            "pumpwatch_messages_discarded_total", "Deliveries not processed again, by reason.", "reason"
        )
        self.readings_stored = counter("pumpwatch_readings_stored_total", "Readings committed.")
        self.events_stored = counter("pumpwatch_events_stored_total", "Pump events committed.")
        self.duplicates = counter("pumpwatch_duplicates_total", "Readings and events that were stored already.")
        self.not_compared = counter(
            "pumpwatch_duplicates_not_compared_total",
            "Duplicates that were taken to be the same as what is stored, by reason.",
            "reason",
        )
        self.quarantined = counter("pumpwatch_quarantined_total", "Messages kept aside, by reason.", "reason")
        self.settled = counter("pumpwatch_settled_total", "PUBACKs sent after their commit.")
        self.tokens_forgotten = counter(
            "pumpwatch_tokens_forgotten_total", "Messages that could not be settled any more, by reason.", "reason"
        )
        self.broker_connections = counter("pumpwatch_broker_connections_total", "CONNACKs.")
        self.broker_sessions_lost = counter(
            "pumpwatch_broker_sessions_lost_total", "Sessions that the broker had forgotten."
        )
        self.publishes_dropped = counter(
            "pumpwatch_publishes_dropped_total", "Receipts and markers that could not be sent."
        )
        self.receipts = counter("pumpwatch_receipts_total", "Receipts published.")
        self.gaps = counter("pumpwatch_gaps_total", "Holes in a pump's sequence, by what became of them.", "outcome")
        self.pruned = counter(
            "pumpwatch_state_pruned_total",
            "What of a pump is remembered no longer, or not taken, since only so much is, by what it was.",
            "what",
        )
        self.batches = counter("pumpwatch_batches_total", "Batches committed.")
        self.batches_redone = counter("pumpwatch_batches_redone_total", "Batches committed again, by reason.", "reason")
        self.stage_seconds = histogram(
            "pumpwatch_stage_seconds", "Time a batch spends in one stage.", STAGE_SECONDS, "stage"
        )
        self.batch_messages = histogram("pumpwatch_batch_messages", "Messages in a batch.", BATCH_MESSAGES)
        self.settle_lag_seconds = histogram(
            "pumpwatch_settle_lag_seconds",
            "From the arrival of a batch's first message to its PUBACK: how far we are behind.",
            SETTLE_SECONDS,
        )
        self.held_bytes = Gauge(
            "pumpwatch_held_bytes",
            "Payload bytes received and not yet settled.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.alert_changes = counter("pumpwatch_alert_changes_total", "Changes of alerts.", "condition", "event")
        self.rulebooks_refused = counter(
            "pumpwatch_rulebooks_refused_total", "Changes of the rulebook file that had mistakes: the one before stays."
        )
        self.attempts = counter("pumpwatch_attempts_total", "Webhook requests, by outcome.", "outcome")
        self.given_up = counter("pumpwatch_given_up_total", "Notifications given up, by priority.", "priority")
        self.open_circuits = gauge("pumpwatch_open_circuits", "Endpoints that are only probed, since they fail.")
        self.undelivered_pages = gauge(
            "pumpwatch_undelivered_pages",
            "High-priority notifications that failed twice, are 8 s late or for an endpoint that fails.",
        )
        self.reading_to_webhook_seconds = histogram(
            "pumpwatch_reading_to_webhook_seconds",
            "From the arrival of the reading that crossed a limit to the first webhook request for it.",
            ALERT_SECONDS,
        )
        self.link_broken = gauge(
            "pumpwatch_link_broken", "1 while a link of the way from pump to person is broken, by link.", "link"
        )
        self.broker_faults = gauge(
            "pumpwatch_broker_faults",
            "What the broker says of itself that must not be, by the condition that tells of it; unanswered: nothing.",
            "condition",
        )
        self.storage_outage_seconds = gauge(
            "pumpwatch_storage_outage_seconds", "For how long the database has not answered; 0 while it does."
        )
        self.heartbeats = counter(
            "pumpwatch_heartbeats_total",
            "Calls to the outside while all is well, by outcome; withheld while not.",
            "outcome",
        )
        self.direct_attempts = counter(
            "pumpwatch_direct_attempts_total", "What was told without the database, by outcome.", "outcome"
        )
        self.canary_rounds = counter("pumpwatch_canary_rounds_total", "Faults of the canary, by outcome.", "outcome")
        self.canary_seconds = gauge("pumpwatch_canary_seconds", "What the canary's last fault took to be delivered.")
        self.stream_clients = Gauge(
            "pumpwatch_stream_clients",
            "Clients that follow the stream.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.stream_clients_dropped = counter(
            "pumpwatch_stream_clients_dropped_total", "Clients of the stream that were let go, by reason.", "reason"
        )
        self.requests = counter("pumpwatch_api_requests_total", "API requests.", "method", "route", "status")
        self.requests_throttled = counter(
            "pumpwatch_api_requests_throttled_total",
            "API requests that were one too many of an account or of an address; they are among the others with 429.",
            "by",
        )
        self.request_seconds = histogram("pumpwatch_api_request_seconds", "API request time.", STAGE_SECONDS, "route")
