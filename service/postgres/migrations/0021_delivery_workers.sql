-- Who holds a lease? A worker that was killed gives its leases back at once, instead of when they end.

-- Each lives for as long as the session that holds the advisory lock of its number; numbers are never used again.
CREATE TABLE delivery_worker (
    number integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    server_since timestamptz NOT NULL DEFAULT pg_postmaster_start_time(), -- locks of another start say nothing
    begun_at timestamptz NOT NULL DEFAULT now()
);

ALTER TABLE notification ADD COLUMN leased_by integer; -- delivery_worker.number; NULL: whose lease only time ends
