-- Everything the spine stores. Positions are boot << 40 | seq (docs/interface.md).

CREATE TABLE site (
    site text PRIMARY KEY,
    name text NOT NULL,
    time_zone text NOT NULL DEFAULT 'UTC'
);

-- What the wire cannot say about a pump. `pump` is the short key that every large table uses.
CREATE TABLE pump (
    pump integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pump_id text NOT NULL UNIQUE CHECK (pump_id ~ '^[A-Za-z0-9_-]{1,64}$'),
    site text REFERENCES site,
    time_zone text NOT NULL DEFAULT 'UTC',
    model text NOT NULL DEFAULT 'unknown',
    flow_channel text NOT NULL DEFAULT 'rotor' CHECK (flow_channel IN ('rotor', 'sensor')),
    reservoir_channel text NOT NULL DEFAULT 'computed' CHECK (reservoir_channel IN ('computed', 'sensor')),
    capacity_ml real NOT NULL DEFAULT 20,
    drug text NOT NULL DEFAULT 'unknown',
    drug_class text NOT NULL DEFAULT 'unknown'
        CHECK (drug_class IN ('baclofen', 'opioid', 'clonidine', 'ziconotide', 'bupivacaine', 'unknown')),
    concentration_ug_ml real,
    interval_s real NOT NULL DEFAULT 60 CHECK (interval_s > 0),
    next_refill_on date,
    in_service boolean NOT NULL DEFAULT true,
    registered boolean NOT NULL DEFAULT false,
    simulated boolean NOT NULL DEFAULT false,
    shard integer NOT NULL DEFAULT 0,
    version integer NOT NULL DEFAULT 1,
    enrolled_at timestamptz NOT NULL DEFAULT now(), -- a pump never heard is silent from here on
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- Daily partitions are made ahead and dropped by loops/maintain; the default one catches clocks that are far off.
CREATE TABLE reading (
    measured_at timestamptz NOT NULL,
    position bigint NOT NULL,
    received_at timestamptz NOT NULL,
    pump integer NOT NULL,
    program_ml_d real NOT NULL,
    flow_ml_d real NOT NULL,
    reservoir_ml real NOT NULL,
    battery_v real NOT NULL,
    mode smallint NOT NULL,
    delivered_ul double precision,
    PRIMARY KEY (pump, measured_at, position)
) PARTITION BY RANGE (measured_at);
CREATE TABLE reading_default PARTITION OF reading DEFAULT;

CREATE TABLE event (
    pump integer NOT NULL REFERENCES pump,
    position bigint NOT NULL,
    type text NOT NULL,
    measured_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    value double precision,
    body jsonb NOT NULL,
    PRIMARY KEY (pump, position)
);

-- The sequence ledger: spans of positions that never came (`lost`), or that came later (`closed_at`).
CREATE TABLE gap (
    pump integer NOT NULL REFERENCES pump,
    from_position bigint NOT NULL,
    to_position bigint NOT NULL,
    noticed_at timestamptz NOT NULL,
    closed_at timestamptz,
    lost boolean NOT NULL DEFAULT false,
    PRIMARY KEY (pump, from_position)
);

-- How far a pump's clock is from ours, per boot, from a position on. Written with the first reading it applies to.
CREATE TABLE clock_offset (
    pump integer NOT NULL REFERENCES pump,
    from_position bigint NOT NULL,
    offset_ms bigint NOT NULL,
    PRIMARY KEY (pump, from_position)
);

CREATE TABLE quarantine (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    received_at timestamptz NOT NULL,
    topic text NOT NULL,
    reason text NOT NULL,
    detail text NOT NULL,
    length integer NOT NULL,
    sha256 bytea NOT NULL,
    head bytea NOT NULL
);
CREATE INDEX quarantine_received ON quarantine (received_at);

-- One row a shard: the fence of the ingester that owns it, its last batch, and whether it is caught up.
CREATE TABLE shard (
    shard integer PRIMARY KEY,
    epoch bigint NOT NULL DEFAULT 0,
    batch_no bigint NOT NULL DEFAULT 0,
    owner text NOT NULL DEFAULT '',
    session_since timestamptz,
    marker_at timestamptz,
    reason text NOT NULL DEFAULT 'not started'
);

-- The newest position below which nothing is missing, and the state of the rules there.
CREATE TABLE rule_checkpoint (
    pump integer NOT NULL REFERENCES pump,
    taken_on date, -- NULL: the latest; a date: the one kept for that day
    position bigint NOT NULL, -- evaluated up to here
    through bigint NOT NULL, -- receipted up to here
    measured_at timestamptz NOT NULL,
    layout text NOT NULL,
    state bytea NOT NULL,
    UNIQUE NULLS NOT DISTINCT (pump, taken_on)
);

-- Pumps whose verdicts must be worked out again from a position on, since something arrived late. Written with the late
-- rows, removed with the new state: a crash in between forgets nothing.
CREATE TABLE rebuild (
    pump integer PRIMARY KEY REFERENCES pump,
    from_position bigint NOT NULL
);

-- Rulebooks that were ever in force, by the hash of their text.
CREATE TABLE rulebook (
    version text PRIMARY KEY,
    body text NOT NULL,
    in_force_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE pump_latest (
    pump integer PRIMARY KEY REFERENCES pump,
    received_at timestamptz NOT NULL,
    measured_at timestamptz NOT NULL,
    position bigint NOT NULL,
    program_ml_d real NOT NULL,
    flow_ml_d real NOT NULL,
    reservoir_ml real NOT NULL,
    battery_v real NOT NULL,
    mode smallint NOT NULL
);

-- Written when a verdict changes: holds, does_not_hold, unknown, not_available.
CREATE TABLE verdict (
    pump integer NOT NULL REFERENCES pump,
    condition text NOT NULL,
    verdict text NOT NULL,
    since timestamptz NOT NULL,
    PRIMARY KEY (pump, condition)
);

CREATE TABLE alert (
    id uuid PRIMARY KEY,
    pump integer NOT NULL REFERENCES pump,
    condition text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('physiological', 'technical')),
    priority text NOT NULL CHECK (priority IN ('high', 'medium', 'low')),
    state text NOT NULL CHECK (state IN ('active', 'latched', 'resolved')),
    state_since timestamptz NOT NULL,
    latching boolean NOT NULL,
    began_at timestamptz NOT NULL, -- pump time: the onset
    detected_at timestamptz NOT NULL, -- pump time: the reading that crossed
    ended_at timestamptz, -- pump time: the condition was over
    raised_at timestamptz NOT NULL, -- our time
    resolved_at timestamptz,
    detected_position bigint NOT NULL,
    last_position bigint NOT NULL, -- the newest reading that changed this alert
    found_late boolean NOT NULL DEFAULT false,
    reason text NOT NULL DEFAULT 'in_order' CHECK (reason IN ('in_order', 'delayed', 'late_data')),
    acknowledged_at timestamptz,
    acknowledged_by text,
    previous_id uuid,
    simulated boolean NOT NULL,
    rulebook_version text NOT NULL,
    evidence jsonb NOT NULL,
    version integer NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX alert_episode ON alert (pump, condition, detected_position);
CREATE UNIQUE INDEX alert_open ON alert (pump, condition) WHERE state <> 'resolved';
CREATE INDEX alert_raised ON alert (raised_at DESC, id);

CREATE TABLE alert_history (
    alert_id uuid NOT NULL REFERENCES alert,
    number integer NOT NULL,
    at timestamptz NOT NULL, -- our time
    event text NOT NULL, -- condition_began, condition_ended, priority_rose, acknowledged, reset, found_late, withdrawn
    actor text NOT NULL,
    note text NOT NULL DEFAULT '',
    position bigint, -- the reading that caused it, where one did
    state text NOT NULL,
    priority text NOT NULL,
    PRIMARY KEY (alert_id, number)
);

CREATE TABLE endpoint (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name text NOT NULL UNIQUE,
    url text NOT NULL,
    secret text NOT NULL, -- whsec_…; never logged, never returned after creation
    accepts_simulated boolean NOT NULL DEFAULT false,
    enabled boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- The outbox. A row is one thing that one endpoint must be told; its id is the webhook-id of every attempt.
CREATE TABLE notification (
    id text PRIMARY KEY,
    alert_id uuid NOT NULL REFERENCES alert,
    number integer NOT NULL, -- the alert_history row that asked for it: delivered in this order
    endpoint uuid NOT NULL REFERENCES endpoint,
    kind text NOT NULL CHECK (kind IN ('activated', 'priority_rose', 'acknowledged', 'resolved')),
    priority text NOT NULL CHECK (priority IN ('high', 'medium', 'low')),
    body jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL, -- when it may next be taken; while leased, the lease's end
    state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'failed', 'collapsed')),
    attempts integer NOT NULL DEFAULT 0,
    settled_at timestamptz,
    lease_token uuid,
    lease_until timestamptz,
    UNIQUE (alert_id, endpoint, number)
);
CREATE INDEX notification_due ON notification (endpoint, priority, due_at) WHERE state = 'pending';
CREATE INDEX notification_before ON notification (alert_id, endpoint, number) WHERE state = 'pending';

CREATE TABLE attempt (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    notification_id text NOT NULL REFERENCES notification,
    number integer NOT NULL,
    at timestamptz NOT NULL,
    outcome text NOT NULL,
    status integer,
    duration_ms real NOT NULL,
    detail text NOT NULL DEFAULT ''
);
CREATE INDEX attempt_notification ON attempt (notification_id, number);

CREATE TABLE token (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name text NOT NULL,
    role text NOT NULL CHECK (role IN ('viewer', 'clinician', 'administrator')),
    sha256 bytea NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz
);

CREATE TABLE audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    actor text NOT NULL,
    action text NOT NULL,
    subject text NOT NULL,
    detail jsonb NOT NULL DEFAULT '{}'
);

-- Each role says every two seconds that it lives, and whether it is well.
CREATE TABLE role_heartbeat (
    role text NOT NULL,
    instance text NOT NULL,
    at timestamptz NOT NULL,
    ready boolean NOT NULL,
    reason text NOT NULL DEFAULT '',
    PRIMARY KEY (role, instance)
);
