-- What the service knows of its own way from a pump to a person.
ALTER TABLE shard ADD COLUMN trouble_since timestamptz; -- of `reason`, while an ingester says one
CREATE INDEX notification_given_up ON notification (settled_at) WHERE state = 'failed';

-- Written over a connection made for it, every few seconds: that it can be is what "the database answers" means.
CREATE TABLE storage_probe (
    instance text PRIMARY KEY,
    at timestamptz NOT NULL
);

-- What the broker says of itself that must not be: how often it has dropped something, or how full it is.
CREATE TABLE broker_trouble (
    what text PRIMARY KEY,
    value bigint NOT NULL, -- a counter's, as it was seen last
    reason text NOT NULL,
    since timestamptz, -- NULL: a counter that has never risen
    last_at timestamptz
);
