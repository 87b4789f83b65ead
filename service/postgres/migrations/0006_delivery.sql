-- Delivery: what an endpoint wants and how, how it is doing, and everything that was sent to it.

ALTER TABLE endpoint
    ADD COLUMN format text NOT NULL DEFAULT 'pumpwatch'
        CHECK (format IN ('pumpwatch', 'alertmanager', 'slack', 'pagerduty')),
    ADD COLUMN template text, -- instead of a format
    ADD COLUMN routing_key text, -- PagerDuty's; sealed, never returned
    ADD COLUMN priorities text[] NOT NULL DEFAULT '{high,medium,low}',
    ADD COLUMN answer_within_s real CHECK (answer_within_s BETWEEN 1 AND 30), -- NULL: by priority
    ADD COLUMN most_requests integer NOT NULL DEFAULT 4 CHECK (most_requests BETWEEN 1 AND 64), -- at a time, a priority
    ADD COLUMN disabled_reason text,
    ADD COLUMN version integer NOT NULL DEFAULT 1,
    ADD COLUMN deleted_at timestamptz; -- what it was told stays; its address and keys do not
ALTER TABLE endpoint DROP CONSTRAINT endpoint_name_key;
CREATE UNIQUE INDEX endpoint_name ON endpoint (name) WHERE deleted_at IS NULL;
COMMENT ON COLUMN endpoint.secret IS 'sealed (service/vault.py); plain only until the next start';

-- What signed before a rotation, and signs beside the new secret for a while.
CREATE TABLE former_secret (
    endpoint uuid NOT NULL REFERENCES endpoint,
    secret text NOT NULL,
    valid_until timestamptz NOT NULL
);
CREATE INDEX former_secret_endpoint ON former_secret (endpoint, valid_until);

-- How an endpoint is doing, as every worker must see it. No row: nothing has failed yet.
CREATE TABLE circuit (
    endpoint uuid PRIMARY KEY REFERENCES endpoint,
    failures integer NOT NULL DEFAULT 0, -- in a row
    opened_at timestamptz, -- open while not null
    page_at timestamptz, -- nothing of high priority before
    report_at timestamptz -- nothing of the other priorities before
);

-- A test and the news of another endpoint have no alert.
ALTER TABLE notification ALTER COLUMN alert_id DROP NOT NULL;
ALTER TABLE notification DROP CONSTRAINT notification_kind_check;
ALTER TABLE notification
    ADD CHECK (kind ~ '^[a-z_]{1,40}$'),
    ADD COLUMN claimed_at timestamptz, -- first taken by a worker, since it was made or redriven
    ADD COLUMN failures integer NOT NULL DEFAULT 0, -- attempts that failed, since it was made or redriven
    ADD COLUMN failed_since timestamptz, -- the first of those; NULL: none has, or it was delivered after all
    ADD COLUMN redriven_at timestamptz; -- its patience and its waits began anew then
UPDATE notification SET failures = attempts - (state = 'delivered')::integer WHERE attempts > 0;

-- Requests under way, for the limits of an endpoint over all workers.
CREATE INDEX notification_leased ON notification (endpoint, lease_until) WHERE lease_token IS NOT NULL;
-- What is given up when its patience is over.
CREATE INDEX notification_waiting ON notification (created_at) WHERE state = 'pending';
-- Pages of the list of deliveries.
CREATE INDEX notification_made ON notification (created_at DESC, id DESC);

ALTER TABLE attempt
    ADD COLUMN headers jsonb NOT NULL DEFAULT '{}', -- of the request, without its signature
    ADD COLUMN answer text NOT NULL DEFAULT ''; -- the first 2 KiB of it
UPDATE attempt SET outcome = CASE outcome
    WHEN 'failed' THEN CASE WHEN status BETWEEN 300 AND 399 THEN 'redirected'
                            WHEN status BETWEEN 400 AND 499 THEN 'refused' ELSE 'server_error' END
    WHEN 'tls_failed' THEN 'tls_error'
    WHEN 'unreachable' THEN CASE detail WHEN 'no such host' THEN 'dns_error'
                                        WHEN 'connection refused' THEN 'connection_refused'
                                        WHEN 'connection reset' THEN 'connection_reset' ELSE 'unreachable' END
    ELSE outcome END;

-- A page that asks somebody to act and has not arrived: what escalation goes by, beside a missing acknowledgement.
-- Nobody has to write it, so it is true also while no worker lives.
CREATE VIEW undelivered_page AS
SELECT n.id AS notification_id, n.alert_id, n.endpoint,
       CASE WHEN n.state = 'failed' THEN 'given_up'
            WHEN NOT e.enabled THEN 'endpoint_disabled'
            WHEN n.failures >= 2 THEN 'two_failures'
            ELSE 'ten_seconds' END AS reason,
       coalesce(n.failed_since, least(n.claimed_at, n.due_at)) AS since
FROM notification AS n JOIN endpoint AS e ON e.id = n.endpoint
WHERE n.priority = 'high' AND n.alert_id IS NOT NULL AND n.kind NOT IN ('acknowledged', 'resolved')
    AND (n.state = 'failed'
         OR (n.state = 'pending' AND (NOT e.enabled OR n.failures >= 2
                                      OR least(n.claimed_at, n.due_at) < clock_timestamp() - interval '10 seconds')));

-- Links from which an alert was acknowledged: each works once.
CREATE TABLE used_link (
    alert_id uuid NOT NULL REFERENCES alert,
    endpoint uuid NOT NULL REFERENCES endpoint,
    number integer NOT NULL, -- the notification that carried it
    used_at timestamptz NOT NULL,
    PRIMARY KEY (alert_id, endpoint, number)
);
CREATE INDEX notification_undelivered ON notification (alert_id)
    WHERE priority = 'high' AND state IN ('pending', 'failed');
