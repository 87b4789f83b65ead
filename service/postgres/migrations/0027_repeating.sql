-- Pumps that send again and again what is known (docs/decisions/0015): since when, until when, and how often.
CREATE TABLE repeating (
    pump_id text PRIMARY KEY, -- as the topic says: it need not be in the registry
    since timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    messages bigint NOT NULL
);
CREATE INDEX repeating_last ON repeating (last_at);
