-- Readings on TimescaleDB, where it is: a hypertable, columns compressed by pump, hours and days kept up to date by the
-- database. On plain PostgreSQL the same names stand for partitions and plain views (docs/decisions/0007).

-- What flow delivers, by integration: each reading's flow is the mean since the reading before it. The first one has none
-- before it here and stands for as long as the second does; a lone one says nothing. Both arrays in the order of time.
CREATE FUNCTION delivered_by_flow_ul(at timestamptz[], flow_ml_d real[]) RETURNS double precision
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    span_s double precision;
    sum_ml_d_s double precision := 0;
BEGIN
    IF cardinality(at) < 2 THEN
        RETURN NULL;
    END IF;
    FOR i IN 1 .. cardinality(at) LOOP
        span_s := date_part('epoch', at[greatest(i, 2)] - at[greatest(i, 2) - 1]);
        sum_ml_d_s := sum_ml_d_s + flow_ml_d[i] * span_s;
    END LOOP;
    RETURN sum_ml_d_s / 86.4; -- 86,400 s a day, 1,000 µL a mL
END
$$;

DO $do$
DECLARE
    -- Compression and continuous aggregates are in the edition under the Timescale License alone. The setting of the
    -- loader is there if the server loads it at its start, without which the extension cannot be made.
    loaded boolean := current_setting('timescaledb.max_background_workers', true) IS NOT NULL
        AND EXISTS (SELECT FROM pg_available_extensions WHERE name = 'timescaledb');
    timescale boolean := EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb');
    names text[] := ARRAY['reading_hour', 'reading_day'];
    widths text[] := ARRAY['1 hour', '1 day'];
    kept text := $q$
        SELECT pump, %1$s AS bucket_at, count(*) AS readings,
            min(measured_at) AS first_at, max(measured_at) AS last_at,
            %2$s,
            (array_agg(mode ORDER BY measured_at DESC, position DESC))[1] AS mode_last,
            delivered_by_flow_ul(
                array_agg(measured_at ORDER BY measured_at, position), array_agg(flow_ml_d ORDER BY measured_at, position)
            ) AS delivered_by_flow_ul
        FROM reading GROUP BY 1, 2
    $q$;
    columns text := (
        SELECT string_agg(format($q$
            (array_agg(%1$s ORDER BY measured_at, position))[1] AS %1$s_first,
            (array_agg(%1$s ORDER BY measured_at DESC, position DESC))[1] AS %1$s_last,
            min(%1$s) AS %1$s_min, max(%1$s) AS %1$s_max, avg(%1$s) AS %1$s_mean
        $q$, name), ',') FROM unnest(ARRAY['program_ml_d', 'flow_ml_d', 'reservoir_ml', 'battery_v']) AS name
    );
BEGIN
    IF loaded AND NOT timescale THEN
        CREATE EXTENSION timescaledb;
        timescale := true;
    END IF;
    IF timescale AND current_setting('timescaledb.license', true) = 'apache' THEN
        RAISE WARNING 'TimescaleDB runs without the Timescale License: readings stay on plain PostgreSQL';
        timescale := false;
    END IF;

    IF NOT timescale THEN
        FOR i IN 1 .. 2 LOOP
            EXECUTE format('CREATE VIEW %I AS ', names[i])
                || format(kept, format('date_bin(%L::interval, measured_at, ''2000-01-01Z''::timestamptz)', widths[i]), columns);
        END LOOP;
        RETURN;
    END IF;

    ALTER TABLE reading RENAME TO reading_before;
    ALTER TABLE reading_before RENAME CONSTRAINT reading_pkey TO reading_before_pkey;
    CREATE TABLE reading (LIKE reading_before, PRIMARY KEY (pump, measured_at, position));
    PERFORM create_hypertable('reading', by_range('measured_at', interval '1 day'), create_default_indexes => false);
    INSERT INTO reading SELECT * FROM reading_before ORDER BY measured_at, pump, position;
    DROP TABLE reading_before;
    ALTER TABLE reading SET (
        timescaledb.enable_columnstore, timescaledb.segmentby = 'pump', timescaledb.orderby = 'measured_at, position',
        timescaledb.index = 'minmax(received_at)' -- named so that no filter over the key is made, a byte a reading
    );
    -- The lateness horizon: what arrives later is stored as well, and costs more.
    CALL add_columnstore_policy('reading', after => interval '7 days');

    FOR i IN 1 .. 2 LOOP
        EXECUTE format(
            'CREATE MATERIALIZED VIEW %I WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS ', names[i]
        ) || format(kept, format('time_bucket(%L::interval, measured_at)', widths[i]), columns) || ' WITH NO DATA';
        PERFORM add_continuous_aggregate_policy(
            names[i]::regclass,
            start_offset => NULL, end_offset => widths[i]::interval, schedule_interval => interval '30 minutes'
        );
    END LOOP;
END
$do$;
