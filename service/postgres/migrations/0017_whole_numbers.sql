-- Readings as whole numbers of their stored precision: compressed, decimal fractions took twice as much. Who reads and who
-- wrote before finds them under the same names, as the view `reading`; what came after the lateness horizon waits beside
-- them until it is merged (docs/decisions/0008).

-- What flow delivers, by integration: each reading's flow is the mean since the reading before it. The first one has none
-- before it here and stands for as long as the second does; a lone one says nothing. Both arrays in the order of time.
CREATE FUNCTION delivered_by_flow_ul(at timestamptz[], flow_ml_d double precision[]) RETURNS double precision
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    before timestamptz := at[1] - (at[2] - at[1]);
    this timestamptz;
    number integer := 0;
    sum_ml_d_s double precision := 0;
BEGIN
    FOREACH this IN ARRAY at LOOP
        number := number + 1;
        sum_ml_d_s := sum_ml_d_s + flow_ml_d[number] * date_part('epoch', this - before);
        before := this;
    END LOOP;
    RETURN sum_ml_d_s / 86.4; -- 86,400 s a day, 1,000 µL a mL
END
$$;

DO $do$
DECLARE
    timescale boolean := (SELECT relkind <> 'p' FROM pg_class WHERE oid = 'reading'::regclass);
    filled boolean;
    names text[] := ARRAY['reading_hour', 'reading_day'];
    widths text[] := ARRAY['1 hour', '1 day'];
    columns text := $q$
        measured_at timestamptz NOT NULL,
        position bigint NOT NULL,
        received_after_ms bigint NOT NULL, -- after it was measured
        delivered_10nl bigint,
        pump integer NOT NULL,
        program_100nl_d integer NOT NULL,
        flow_100nl_d integer NOT NULL,
        reservoir_ul integer NOT NULL,
        mode smallint NOT NULL,
        battery_mv smallint NOT NULL,
        PRIMARY KEY (pump, measured_at, position)
    $q$;
    -- To the bit what the rules saw: a whole number by a power of ten is the double nearest to the decimal number.
    shown text := $q$
        SELECT measured_at, position, measured_at + received_after_ms * interval '1 millisecond' AS received_at, pump,
            (program_100nl_d / 10000::float8)::real AS program_ml_d, (flow_100nl_d / 10000::float8)::real AS flow_ml_d,
            (reservoir_ul / 1000::float8)::real AS reservoir_ml, (battery_mv / 1000::float8)::real AS battery_v,
            mode, delivered_10nl / 100::float8 AS delivered_ul
        FROM $q$;
    from_before text := '';
    quantity record;
    kept text := '';
    seen text := '';
BEGIN
    IF timescale THEN
        EXECUTE 'DROP MATERIALIZED VIEW reading_hour';
        EXECUTE 'DROP MATERIALIZED VIEW reading_day';
    ELSE
        DROP VIEW reading_hour, reading_day;
    END IF;
    DROP FUNCTION delivered_by_flow_ul(timestamptz[], real[]);
    SELECT EXISTS (SELECT FROM reading) INTO filled;
    ALTER TABLE reading RENAME TO reading_before;
    EXECUTE format('CREATE TABLE stored_reading (%s) %s', columns, CASE WHEN NOT timescale THEN 'PARTITION BY RANGE (measured_at)' END);
    EXECUTE format('CREATE TABLE late_reading (%s)', columns);
    CREATE INDEX late_reading_measured ON late_reading (measured_at);
    IF timescale THEN
        PERFORM create_hypertable('stored_reading', by_range('measured_at', interval '1 day'), create_default_indexes => false);
    ELSE
        CREATE TABLE stored_reading_default PARTITION OF stored_reading DEFAULT;
        CREATE INDEX stored_reading_default_measured ON stored_reading_default (measured_at);
    END IF;

    IF NOT filled THEN
        DROP TABLE reading_before;
    ELSIF timescale THEN -- in no release: moved at once
        INSERT INTO stored_reading
        SELECT measured_at, position, round(date_part('epoch', received_at - measured_at) * 1000), round(delivered_ul * 100),
            pump, round(program_ml_d::float8 * 10000), round(flow_ml_d::float8 * 10000), round(reservoir_ml::float8 * 1000),
            mode, round(battery_v::float8 * 1000)
        FROM reading_before ORDER BY measured_at, pump, position;
        DROP TABLE reading_before;
    ELSE -- stays as it is, is read beside the others, and goes when its days are past retention
        from_before := ' UNION ALL SELECT * FROM reading_before';
    END IF;
    EXECUTE 'CREATE VIEW reading AS ' || shown || 'stored_reading UNION ALL' || shown || 'late_reading' || from_before;

    FOR quantity IN SELECT * FROM (VALUES
        ('program_ml_d', 'program_100nl_d', 10000), ('flow_ml_d', 'flow_100nl_d', 10000),
        ('reservoir_ml', 'reservoir_ul', 1000), ('battery_v', 'battery_mv', 1000)) AS q (name, stored, scale)
    LOOP
        kept := kept || format($q$
            (first(%2$s, measured_at) / %3$s::float8)::real AS %1$s_first,
            (last(%2$s, measured_at) / %3$s::float8)::real AS %1$s_last,
            (min(%2$s) / %3$s::float8)::real AS %1$s_min, (max(%2$s) / %3$s::float8)::real AS %1$s_max,
            (avg(%2$s) / %3$s)::float8 AS %1$s_mean,
            $q$, quantity.name, quantity.stored, quantity.scale);
        seen := seen || format($q$
            (array_agg(%1$s))[1] AS %1$s_first, (array_agg(%1$s))[count(*)] AS %1$s_last,
            min(%1$s) AS %1$s_min, max(%1$s) AS %1$s_max, avg(%1$s) AS %1$s_mean,
            $q$, quantity.name);
    END LOOP;

    IF NOT timescale THEN
        -- From when to when there may be readings: by the days that have a partition, and what lies beside those.
        EXECUTE $q$
            CREATE FUNCTION reading_days(OUT first_at timestamptz, OUT last_at timestamptz) LANGUAGE sql STABLE
            SECURITY DEFINER SET search_path FROM CURRENT AS $f$ -- of the views: who may read those may not read tables
                SELECT min(first_at), max(last_at) FROM (
                    SELECT day AT TIME ZONE 'UTC', (day + interval '1 day') AT TIME ZONE 'UTC'
                    FROM (
                        SELECT to_date(right(inhrelid::regclass::text, 8), 'YYYYMMDD')::timestamp
                        FROM pg_inherits
                        WHERE inhparent IN ('stored_reading'::regclass, to_regclass('reading_before'))
                            AND inhrelid::regclass::text ~ '_[0-9]{8}$'
                    ) AS made (day)
                    UNION ALL SELECT min(measured_at), max(measured_at) FROM stored_reading_default
                    UNION ALL SELECT min(measured_at), max(measured_at) FROM late_reading
        $q$ || CASE WHEN filled THEN ' UNION ALL SELECT min(measured_at), max(measured_at) FROM reading_default' ELSE '' END
            || ') AS days (first_at, last_at) $f$';
        FOR i IN 1 .. 2 LOOP
            -- The hours of all days that there are, and of each what lies in it: so a filter over `bucket_at` reaches the
            -- partitions.
            EXECUTE format($q$
                CREATE VIEW %I AS
                SELECT pump.pump, bucket_at, part.*
                FROM reading_days() AS days (first_at, last_at)
                CROSS JOIN generate_series(date_bin(%2$L, first_at, '2000-01-01Z'), last_at, %2$L) AS bucket_at
                CROSS JOIN pump CROSS JOIN LATERAL (
                    SELECT count(*) AS readings, min(measured_at) AS first_at, max(measured_at) AS last_at, %3$s
                        (array_agg(mode))[count(*)] AS mode_last,
                        delivered_by_flow_ul(array_agg(measured_at), array_agg(flow_ml_d::float8)) AS delivered_by_flow_ul
                    FROM (
                        SELECT * FROM reading
                        WHERE reading.pump = pump.pump AND measured_at >= bucket_at
                            AND measured_at < bucket_at + %2$L::interval
                        ORDER BY measured_at, position
                    ) AS ordered
                    HAVING count(*) > 0
                ) AS part
                $q$, names[i], widths[i], seen);
        END LOOP;
        RETURN;
    END IF;

    ALTER TABLE stored_reading SET (
        timescaledb.enable_columnstore, timescaledb.segmentby = 'pump', timescaledb.orderby = 'measured_at, position',
        timescaledb.index = 'minmax(received_after_ms)' -- named so that no filter over the key is made, a byte a reading
    );
    -- The lateness horizon.
    CALL add_columnstore_policy('stored_reading', after => interval '7 days');
    FOR i IN 1 .. 2 LOOP
        EXECUTE format($q$
            CREATE MATERIALIZED VIEW %I WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
            SELECT pump, time_bucket(%L::interval, measured_at) AS bucket_at, count(*) AS readings,
                min(measured_at) AS first_at, max(measured_at) AS last_at, %s
                last(mode, measured_at) AS mode_last,
                delivered_by_flow_ul(
                    array_agg(measured_at ORDER BY measured_at, position),
                    array_agg(flow_100nl_d / 10000::float8 ORDER BY measured_at, position)
                ) AS delivered_by_flow_ul
            FROM stored_reading GROUP BY 1, 2 WITH NO DATA
            $q$, names[i], widths[i], kept);
        PERFORM add_continuous_aggregate_policy(
            names[i]::regclass,
            start_offset => NULL, end_offset => widths[i]::interval, schedule_interval => interval '30 minutes'
        );
    END LOOP;
END
$do$;

-- For those who wrote before: slowly, and right.
CREATE FUNCTION store_reading() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO stored_reading (measured_at, position, received_after_ms, delivered_10nl, pump, program_100nl_d,
                                flow_100nl_d, reservoir_ul, mode, battery_mv)
    VALUES (NEW.measured_at, NEW.position, round(date_part('epoch', NEW.received_at - NEW.measured_at) * 1000),
            round(NEW.delivered_ul * 100), NEW.pump, round(NEW.program_ml_d::float8 * 10000),
            round(NEW.flow_ml_d::float8 * 10000), round(NEW.reservoir_ml::float8 * 1000), NEW.mode,
            round(NEW.battery_v::float8 * 1000));
    RETURN NEW;
END
$$;
CREATE TRIGGER stored INSTEAD OF INSERT ON reading FOR EACH ROW EXECUTE FUNCTION store_reading();
