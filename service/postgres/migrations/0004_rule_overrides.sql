-- What people set over the rulebook file: one value a row. A row is never changed, only ended.
CREATE TABLE rule_override (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    scope text NOT NULL CHECK (scope IN ('drug_class', 'site', 'pump')),
    name text NOT NULL CHECK (name ~ '^[A-Za-z0-9_-]{1,64}$'),
    section text NOT NULL, -- a condition
    key text NOT NULL, -- one of its limits, or enabled, shadow, priority
    value jsonb NOT NULL,
    reason text NOT NULL,
    author text NOT NULL,
    made_at timestamptz NOT NULL,
    expires_at timestamptz,
    ended_at timestamptz,
    ended_by text,
    CHECK (expires_at IS NOT NULL OR scope = 'drug_class'),
    CHECK ((ended_at IS NULL) = (ended_by IS NULL))
);
-- A new one for the same value ends the one before.
CREATE UNIQUE INDEX rule_override_open ON rule_override (scope, name, section, key) WHERE ended_at IS NULL;

-- Which rulebook was in force since when: a row whenever it became another one. The texts are in `rulebook`.
CREATE TABLE rulebook_in_force (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    since timestamptz NOT NULL,
    version text NOT NULL REFERENCES rulebook
);
INSERT INTO rulebook_in_force (since, version) SELECT in_force_at, version FROM rulebook ORDER BY in_force_at;

-- Limits that pumps were ever judged by: many pumps share them.
CREATE TABLE pump_limits (
    hash text PRIMARY KEY,
    limits jsonb NOT NULL
);

-- From which position on a pump is judged by which limits and facts. What is folded again is folded as it was then.
CREATE TABLE limits_in_force (
    pump integer NOT NULL REFERENCES pump,
    after_position bigint NOT NULL, -- -1: from the beginning
    hash text NOT NULL REFERENCES pump_limits,
    rulebook_version text NOT NULL REFERENCES rulebook,
    facts double precision[] NOT NULL,
    since timestamptz NOT NULL, -- our time
    PRIMARY KEY (pump, after_position)
);

-- What conditions in shadow would have raised. Nobody is told.
CREATE TABLE shadow_alert (
    pump integer NOT NULL REFERENCES pump,
    condition text NOT NULL,
    detected_position bigint NOT NULL,
    priority text NOT NULL CHECK (priority IN ('high', 'medium', 'low')), -- the highest that it reached
    began_at timestamptz NOT NULL, -- pump time
    detected_at timestamptz NOT NULL, -- pump time
    ended_at timestamptz, -- pump time
    ended_position bigint,
    recorded_at timestamptz NOT NULL, -- our time
    rulebook_version text NOT NULL,
    evidence jsonb NOT NULL,
    PRIMARY KEY (pump, condition, detected_position)
);
CREATE INDEX shadow_alert_recorded ON shadow_alert (recorded_at DESC);
