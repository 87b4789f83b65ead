-- The canary: a pump of our own whose fault must arrive at an endpoint of our own, and nowhere else.
ALTER TABLE endpoint ADD COLUMN canary boolean NOT NULL DEFAULT false;

-- What is asked of it; no row: there is none.
CREATE TABLE canary (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    every_s real NOT NULL,
    within_s real NOT NULL,
    boot bigint NOT NULL DEFAULT 0, -- of the pump: each process that sends in its name is one
    asked_at timestamptz NOT NULL DEFAULT now()
);
-- A fault at a time, and how far it has come.
CREATE TABLE canary_round (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    begun_at timestamptz NOT NULL, -- the pump's clock and ours: it names the fault in the webhook
    arrived_at timestamptz,
    over_at timestamptz -- it was taken back, and the alert is resolved
);
CREATE INDEX canary_round_begun ON canary_round (begun_at);
