-- History and audit are only ever added to, and each row holds the hash of the one before it and of itself, so that what
-- is changed, taken out or put in afterwards shows (core/chain.py computes the same).

CREATE FUNCTION chain_link(previous bytea, fields text[]) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
    SELECT sha256(previous || convert_to(string_agg(
        CASE WHEN field IS NULL THEN '-' ELSE octet_length(field) || ':' || field END, ',' ORDER BY number), 'UTF8'))
    FROM unnest(fields) WITH ORDINALITY AS given (field, number)
$$;
CREATE FUNCTION chain_time(at timestamptz) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US')
$$;
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is only ever added to', TG_TABLE_NAME;
END
$$;

ALTER TABLE alert_history ADD COLUMN hash bytea;
CREATE FUNCTION chain_alert_history(entry alert_history) RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT chain_link(
        coalesce((SELECT hash FROM alert_history AS before
                  WHERE before.alert_id = entry.alert_id AND before.number = entry.number - 1), ''),
        ARRAY[entry.alert_id::text, entry.number::text, chain_time(entry.at), entry.event, entry.actor, entry.note,
              entry.position::text, entry.state, entry.priority])
$$;
CREATE FUNCTION chain_new_history() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.hash := chain_alert_history(NEW);
    RETURN NEW;
END
$$;

ALTER TABLE audit ADD COLUMN number bigint, ADD COLUMN hash bytea;
CREATE FUNCTION chain_audit(entry audit, previous bytea) RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT chain_link(previous, ARRAY[entry.number::text, chain_time(entry.at), entry.actor, entry.action, entry.subject,
                                      entry.detail::text])
$$;
CREATE FUNCTION chain_new_audit() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    newest record;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('pumpwatch audit'));
    SELECT number, hash INTO newest FROM audit WHERE number IS NOT NULL ORDER BY number DESC LIMIT 1;
    NEW.number := coalesce(newest.number, 0) + 1;
    NEW.hash := chain_audit(NEW, coalesce(newest.hash, ''));
    RETURN NEW;
END
$$;

-- What is there already.
DO $$
DECLARE
    entry record;
    previous bytea := '';
    place bigint := 0;
BEGIN
    FOR entry IN SELECT alert_id, number FROM alert_history ORDER BY alert_id, number LOOP
        UPDATE alert_history AS h SET hash = chain_alert_history(h)
        WHERE h.alert_id = entry.alert_id AND h.number = entry.number;
    END LOOP;
    FOR entry IN SELECT id FROM audit ORDER BY id LOOP
        place := place + 1;
        UPDATE audit SET number = place WHERE id = entry.id;
        UPDATE audit AS a SET hash = chain_audit(a, previous) WHERE id = entry.id RETURNING hash INTO previous;
    END LOOP;
END
$$;
ALTER TABLE alert_history ALTER COLUMN hash SET NOT NULL;
ALTER TABLE audit ALTER COLUMN number SET NOT NULL, ALTER COLUMN hash SET NOT NULL;
CREATE UNIQUE INDEX audit_number ON audit (number);
CREATE INDEX alert_history_at ON alert_history (at);

-- One a day over everything that was added that day: whoever keeps it elsewhere notices that a whole chain was replaced.
CREATE TABLE history_root (
    day date PRIMARY KEY,
    entries bigint NOT NULL, -- of alert_history
    audited bigint NOT NULL, -- the audit's newest number by then
    root bytea NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now()
);

CREATE TRIGGER chained BEFORE INSERT ON alert_history FOR EACH ROW EXECUTE FUNCTION chain_new_history();
CREATE TRIGGER chained BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION chain_new_audit();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON alert_history EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON history_root EXECUTE FUNCTION refuse_change();
