-- The role under which Grafana reads: what the dashboards show and nothing else, never to write, never for long.
-- Run it in pumpwatch's database as the owner, after `pumpwatch migrate` and again after an upgrade; then
-- ALTER ROLE pumpwatch_grafana PASSWORD '…'.
DO $$
BEGIN
    CREATE ROLE pumpwatch_grafana LOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL; -- it is there, from another database of this server
END
$$;
ALTER ROLE pumpwatch_grafana SET default_transaction_read_only = on;
ALTER ROLE pumpwatch_grafana SET statement_timeout = '15s';
ALTER ROLE pumpwatch_grafana CONNECTION LIMIT 12;

GRANT USAGE ON SCHEMA public TO pumpwatch_grafana;
GRANT SELECT ON
    pump, site, pump_latest, verdict, event, gap, reading, reading_hour, reading_day,
    alert, notification, attempt, shard, role_heartbeat, quarantine_day
TO pumpwatch_grafana;
-- Not what people noted, not where webhooks go nor what signs them, not the bytes of what was kept aside.
GRANT SELECT (alert_id, number, at, event, actor, position, state, priority) ON alert_history TO pumpwatch_grafana;
GRANT SELECT (id, name, format, priorities, enabled, disabled_reason, accepts_simulated) ON endpoint TO pumpwatch_grafana;
