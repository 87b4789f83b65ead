-- What people record about a pump that the wire cannot say: a refill, the time of an MRI exam, an absence in which silence is
-- expected, and that another pump took its place.
CREATE TABLE care (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pump integer NOT NULL REFERENCES pump,
    kind text NOT NULL CHECK (kind IN ('refill', 'mri_window', 'absence', 'exchange')),
    from_at timestamptz NOT NULL,
    until_at timestamptz, -- NULL where it is a moment
    body jsonb NOT NULL DEFAULT '{}', -- volumes of a refill
    note text NOT NULL DEFAULT '',
    successor integer REFERENCES pump, -- of an exchange: the new pump
    recorded_at timestamptz NOT NULL,
    recorded_by text NOT NULL,
    ended_at timestamptz, -- before its time, or taken back
    ended_by text,
    CHECK (until_at > from_at),
    CHECK ((kind = 'exchange') = (successor IS NOT NULL))
);
CREATE INDEX care_pump ON care (pump, id);
CREATE INDEX care_absence ON care (pump, until_at) WHERE kind = 'absence';
CREATE UNIQUE INDEX care_exchange ON care (pump) WHERE kind = 'exchange';
CREATE UNIQUE INDEX care_successor ON care (successor) WHERE successor IS NOT NULL;

-- The exam that is told of beforehand, by our clock. A fact of the pump like the others: a change of it takes effect at a position.
ALTER TABLE pump ADD COLUMN mri_from_at timestamptz, ADD COLUMN mri_until_at timestamptz;

-- Imports of the registry, so that one can be undone: what each pump's entry was before it and became by it.
CREATE TABLE registry_import (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL, -- of the file
    made_at timestamptz NOT NULL,
    made_by text NOT NULL,
    created integer NOT NULL,
    changed integer NOT NULL,
    unchanged integer NOT NULL,
    undone_at timestamptz,
    undone_by text
);
CREATE TABLE registry_import_entry (
    import bigint NOT NULL REFERENCES registry_import,
    pump integer NOT NULL REFERENCES pump,
    version integer NOT NULL, -- that it became: while it is still that, nobody has changed it since
    before jsonb, -- NULL: nobody had listed the pump
    PRIMARY KEY (import, pump)
);
CREATE INDEX registry_import_entry_pump ON registry_import_entry (pump);
