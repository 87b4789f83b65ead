-- online
-- Indexes on tables that are written to all the time.

-- What was kept aside of one pump.
CREATE INDEX CONCURRENTLY IF NOT EXISTS quarantine_topic ON quarantine (topic, received_at);
-- Pages of one reason.
CREATE INDEX CONCURRENTLY IF NOT EXISTS quarantine_reason ON quarantine (reason, id DESC);
-- Events of a span.
CREATE INDEX CONCURRENTLY IF NOT EXISTS event_measured ON event (pump, measured_at);
-- Events of a kind.
CREATE INDEX CONCURRENTLY IF NOT EXISTS event_type ON event (pump, type, position DESC);
-- Who did what to whom.
CREATE INDEX CONCURRENTLY IF NOT EXISTS audit_subject ON audit (subject, id DESC);
CREATE INDEX CONCURRENTLY IF NOT EXISTS audit_actor ON audit (actor, id DESC);
-- Pumps of a site in the order of their ids.
CREATE INDEX CONCURRENTLY IF NOT EXISTS pump_site ON pump (site, pump_id);
