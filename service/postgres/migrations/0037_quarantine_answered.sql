-- What people do about a message that was kept aside: have it read again once what was wrong with it is put right, or say that it is
-- not needed. Its bytes stay: they say which readings it claims to hold.
ALTER TABLE quarantine
    ADD COLUMN replay_asked_at timestamptz,
    ADD COLUMN replay_asked_by text,
    ADD COLUMN replayed_at timestamptz, -- it was read again, and what came of it is committed; still bad: it is another row
    ADD COLUMN dropped_at timestamptz,
    ADD COLUMN dropped_by text,
    ADD COLUMN drop_reason text;
CREATE INDEX quarantine_to_replay ON quarantine (id) WHERE replay_asked_at IS NOT NULL AND replayed_at IS NULL;
