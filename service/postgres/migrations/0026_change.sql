-- The feed of the stream: what changed about alerts and verdicts, in an order in which nothing can appear behind what
-- was read. A row is read when every transaction that began writing before its own has ended (docs/decisions/0012).
CREATE TABLE change (
    txid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    number bigint GENERATED ALWAYS AS IDENTITY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    kind text NOT NULL CHECK (kind IN ('alert', 'verdict')),
    pump_id text, -- NULL: of a site or of the service
    site text,
    body jsonb NOT NULL,
    PRIMARY KEY (txid, number)
);
CREATE INDEX change_at ON change (at);

CREATE FUNCTION change_of_alert() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO change (kind, pump_id, site, body)
    SELECT 'alert', CASE WHEN a.pump IS NOT NULL THEN substr(a.subject, 6) END, a.site, jsonb_build_object(
        'alert_id', a.id, 'subject', a.subject, 'site', a.site, 'condition', a.condition, 'priority', a.priority,
        'state', a.state, 'acknowledged_by', a.acknowledged_by, 'shelved_until', a.shelved_until,
        'inhibited_by', a.inhibited_by, 'simulated', a.simulated, 'raised_at', a.raised_at, 'version', a.version)
    FROM changed AS a;
    NOTIFY pumpwatch_change;
    RETURN NULL;
END
$$;
CREATE TRIGGER streamed_new AFTER INSERT ON alert
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION change_of_alert();
CREATE TRIGGER streamed AFTER UPDATE ON alert
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION change_of_alert();

-- A verdict that is new says something only where it holds.
CREATE FUNCTION change_of_verdict() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO change (kind, pump_id, site, body)
    SELECT 'verdict', p.pump_id, p.site, jsonb_build_object(
        'pump_id', p.pump_id, 'site', p.site, 'condition', v.condition, 'verdict', v.verdict, 'since', v.since)
    FROM changed AS v JOIN pump AS p USING (pump) WHERE TG_OP = 'UPDATE' OR v.verdict = 'holds';
    IF FOUND THEN
        NOTIFY pumpwatch_change;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER streamed_new AFTER INSERT ON verdict
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION change_of_verdict();
CREATE TRIGGER streamed AFTER UPDATE ON verdict
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION change_of_verdict();
