-- Ingesters that share the shards of a cluster out among themselves, by leases.
CREATE TABLE ingester (
    instance text PRIMARY KEY,
    process text NOT NULL,
    takes integer[] NOT NULL, -- the shards that it may have
    seen_at timestamptz NOT NULL
);
ALTER TABLE shard
    ADD COLUMN instance text, -- who has it by lease; NULL: nobody, or an ingester without leases
    ADD COLUMN wanted_by text, -- who is to have it, where a person has said so
    -- Makes a change of epoch wait for the batches under way, which lock the row FOR KEY SHARE; nothing else waits.
    ADD CONSTRAINT shard_epoch UNIQUE (shard, epoch);

-- The shard of a pump in a cluster, as the broker's subject mapping has it: 32-bit FNV-1a of its id, modulo 64.
CREATE FUNCTION shard_of(pump_id text) RETURNS integer LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    digest bigint := 2166136261;
    bytes bytea := convert_to(pump_id, 'UTF8');
BEGIN
    FOR at IN 0 .. length(bytes) - 1 LOOP
        digest := ((digest # get_byte(bytes, at)) * 16777619) & 4294967295;
    END LOOP;
    RETURN digest % 64;
END
$$;
