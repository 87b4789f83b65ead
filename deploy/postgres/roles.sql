-- The roles under which the parts of the service speak to the database, each with what it needs and no more.
-- Run it in pumpwatch's database as the owner (a superuser, or one who may create roles), after `pumpwatch migrate` and
-- again after an upgrade; then ALTER ROLE … PASSWORD '…' for each, and PUMPWATCH_DATABASE_URL of each role accordingly.
-- `pumpwatch migrate` itself runs as the owner. Who reads for Grafana: deploy/grafana/role.sql.
DO $$
DECLARE
    role text;
BEGIN
    FOREACH role IN ARRAY ARRAY['ingest', 'watch', 'deliver', 'api'] LOOP
        BEGIN
            EXECUTE format('CREATE ROLE pumpwatch_%s LOGIN', role);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL; -- it is there, from another database of this server
        END;
    END LOOP;
    BEGIN
        CREATE ROLE pumpwatch_erasure NOLOGIN;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
        NULL;
    END;
    BEGIN
        -- Never given a password, so nobody is this one; but TimescaleDB's jobs run as whoever owns the table.
        CREATE ROLE pumpwatch_keeper LOGIN;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
        NULL;
    END;
END
$$;

-- What an earlier version of this file granted, and is not granted any more, goes.
REVOKE ALL ON ALL TABLES IN SCHEMA public
FROM PUBLIC, pumpwatch_ingest, pumpwatch_watch, pumpwatch_deliver, pumpwatch_api, pumpwatch_erasure;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO pumpwatch_ingest, pumpwatch_watch, pumpwatch_deliver, pumpwatch_api;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO pumpwatch_ingest, pumpwatch_watch, pumpwatch_deliver, pumpwatch_api;
GRANT SELECT ON migration TO pumpwatch_ingest, pumpwatch_watch, pumpwatch_deliver, pumpwatch_api;

-- Partitions of readings are made and dropped by their owner, which is nobody but who keeps them.
GRANT pumpwatch_keeper TO CURRENT_USER;
GRANT pumpwatch_ingest, pumpwatch_watch TO CURRENT_USER; -- they make partitions, which migrations alter
GRANT pumpwatch_keeper TO pumpwatch_ingest, pumpwatch_watch;
GRANT USAGE, CREATE ON SCHEMA public TO pumpwatch_keeper;
DO $$
DECLARE
    part regclass;
BEGIN
    FOR part IN SELECT relid FROM pg_partition_tree('stored_reading') LOOP
        EXECUTE format('ALTER TABLE %s OWNER TO pumpwatch_keeper', part);
    END LOOP;
    IF NOT EXISTS (SELECT FROM pg_partition_tree('stored_reading')) THEN -- TimescaleDB's
        ALTER TABLE stored_reading OWNER TO pumpwatch_keeper;
        EXECUTE 'ALTER MATERIALIZED VIEW reading_hour OWNER TO pumpwatch_keeper';
        EXECUTE 'ALTER MATERIALIZED VIEW reading_day OWNER TO pumpwatch_keeper';
    END IF;
END
$$;

-- What pumps said and what was made of it: read by all who judge or show it.
GRANT SELECT ON
    pump, site, pump_latest, pump_limits, limits_in_force, verdict, event, gap, clock_offset, duplicate_day, forgotten,
    reading, reading_hour, reading_day, stored_reading, late_reading, quarantine, quarantine_day, repeating, rebuild,
    alert, alert_history, unraised, notification, shadow_alert, care, accepted_boot,
    rulebook, rulebook_in_force, rule_override, rule_checkpoint, escalation_policy, roster,
    shard, ingester, role_heartbeat, broker_trouble, broker_answer, canary, canary_round, change,
    history_root
TO pumpwatch_ingest, pumpwatch_watch, pumpwatch_api;

-- History and audit are only ever added to, by anybody: triggers refuse the rest, also to the owner.
GRANT INSERT ON alert_history, audit TO pumpwatch_ingest, pumpwatch_watch, pumpwatch_deliver, pumpwatch_api;
GRANT SELECT ON audit, attempt, circuit, undelivered_page TO pumpwatch_watch, pumpwatch_api;
GRANT INSERT ON history_root TO pumpwatch_watch;

-- What changes an alert, whoever does: its row, who is to be told, and what the stream tells.
GRANT INSERT, UPDATE ON alert, notification TO pumpwatch_ingest, pumpwatch_watch, pumpwatch_api;
GRANT INSERT, UPDATE, DELETE ON unraised, change, shadow_alert TO pumpwatch_ingest, pumpwatch_watch, pumpwatch_api;
GRANT INSERT, UPDATE ON verdict TO pumpwatch_ingest, pumpwatch_watch;
GRANT INSERT, UPDATE, DELETE ON pump_limits, limits_in_force TO pumpwatch_ingest, pumpwatch_watch, pumpwatch_api;
GRANT INSERT ON rulebook, rulebook_in_force TO pumpwatch_ingest, pumpwatch_watch, pumpwatch_api;
GRANT SELECT, INSERT, UPDATE ON role_heartbeat TO pumpwatch_ingest, pumpwatch_watch, pumpwatch_deliver;
GRANT UPDATE ON shard TO pumpwatch_ingest, pumpwatch_watch, pumpwatch_api;

-- ingest: stores, and knows endpoints by name, without what signs for them.
GRANT INSERT ON event, quarantine, site, shard TO pumpwatch_ingest;
GRANT INSERT, UPDATE ON pump, pump_latest, duplicate_day, quarantine_day TO pumpwatch_ingest;
GRANT UPDATE ON quarantine TO pumpwatch_ingest;
GRANT INSERT, UPDATE, DELETE ON
    clock_offset, gap, late_reading, rebuild, repeating, rule_checkpoint, ingester, forgotten
TO pumpwatch_ingest;
GRANT SELECT (id, name, format, priorities, enabled, accepts_simulated, canary, deleted_at) ON endpoint TO pumpwatch_ingest;

-- watch: judges silence and the service, keeps the store fit, and is the canary, which has a pump and an endpoint.
GRANT INSERT, UPDATE, DELETE ON
    broker_trouble, broker_answer, storage_probe, canary_round, circuit, late_reading, forgotten, quarantine_day
TO pumpwatch_watch;
GRANT SELECT ON storage_probe, delivery_worker TO pumpwatch_watch;
GRANT pg_read_all_stats TO pumpwatch_watch; -- how long an ingester's transaction has been under way
GRANT INSERT, UPDATE ON canary, pump, duplicate_day TO pumpwatch_watch;
GRANT INSERT ON site, attempt, quarantine TO pumpwatch_watch; -- kept aside: what comes late and conflicts
GRANT SELECT, INSERT, UPDATE ON endpoint TO pumpwatch_watch;

-- deliver: what is to be sent, to whom, signed with what; and what came of it. No reading, no pump.
GRANT SELECT, INSERT, UPDATE ON notification, circuit TO pumpwatch_deliver;
GRANT SELECT, INSERT ON attempt TO pumpwatch_deliver;
GRANT SELECT, INSERT, UPDATE, DELETE ON delivery_worker TO pumpwatch_deliver;
GRANT SELECT, UPDATE ON endpoint TO pumpwatch_deliver;
GRANT SELECT ON former_secret, undelivered_page TO pumpwatch_deliver;

-- api: people, their accounts and what they do. It stores no reading, and deletes none.
GRANT SELECT, INSERT, UPDATE ON account, token, endpoint, registry_import, registry_import_entry TO pumpwatch_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON
    session, login_link, login_failure, idempotency, former_secret, circuit, roster, escalation_policy, used_link
TO pumpwatch_api;
GRANT INSERT, UPDATE ON pump, site, care, rule_override, canary_round, accepted_boot TO pumpwatch_api;
GRANT UPDATE ON quarantine TO pumpwatch_api;
GRANT SELECT ON delivery_worker TO pumpwatch_api;

-- Erasing a pump for good (`POST /pumps/{pump_id}/erase`) deletes readings, so it is not among what the API may do:
-- `pumpwatch erase` runs as the owner. Where administrators are to do it on the board: GRANT pumpwatch_erasure TO pumpwatch_api.
GRANT pumpwatch_keeper TO pumpwatch_erasure;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO pumpwatch_erasure;
REVOKE UPDATE, DELETE ON alert_history, audit, history_root, migration FROM pumpwatch_erasure;
REVOKE ALL ON account, token, session, login_link, login_failure FROM pumpwatch_erasure;
