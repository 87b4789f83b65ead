-- What reading back needs: duplicates by pump, retention by site, answers that were given once already.

-- How many positions of each pump came again on a day (UTC, our time) although they were stored.
CREATE TABLE duplicate_day (
    pump integer NOT NULL REFERENCES pump,
    day date NOT NULL,
    items bigint NOT NULL,
    PRIMARY KEY (pump, day)
);

ALTER TABLE site
    ADD COLUMN retention_d integer CHECK (retention_d BETWEEN 8 AND 36500), -- NULL: as PUMPWATCH_RETENTION_D says
    ADD COLUMN version integer NOT NULL DEFAULT 1;

-- Where retention by site has come to: readings of before that day are gone. Empty: pumps that are of no site.
CREATE TABLE forgotten (
    site text PRIMARY KEY,
    before date NOT NULL
);

-- All that was known of it was erased; what is left is a place that alerts and audit can point to.
ALTER TABLE pump ADD COLUMN erased_at timestamptz;

-- What a POST with an Idempotency-Key was answered: the same key of the same account is answered so again for a day.
CREATE TABLE idempotency (
    account text NOT NULL,
    key text NOT NULL,
    request bytea NOT NULL, -- hash of method, path and body
    status integer, -- NULL: being worked on
    headers jsonb,
    body bytea,
    made_at timestamptz NOT NULL,
    PRIMARY KEY (account, key)
);
CREATE INDEX idempotency_made ON idempotency (made_at);
