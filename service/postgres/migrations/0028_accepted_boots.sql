-- Boots of pumps that people have accepted although they are implausibly far ahead: what comes of them is taken.
CREATE TABLE accepted_boot (
    pump integer PRIMARY KEY REFERENCES pump,
    boot integer NOT NULL,
    accepted_at timestamptz NOT NULL,
    accepted_by text NOT NULL
);
