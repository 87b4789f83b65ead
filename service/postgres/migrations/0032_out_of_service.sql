-- Who took a pump out of service, and who put it back: recorded like the rest of what a clinician knows of it.
ALTER TABLE care DROP CONSTRAINT care_kind_check,
    ADD CONSTRAINT care_kind_check CHECK (kind IN ('refill', 'mri_window', 'absence', 'exchange', 'out_of_service'));
CREATE UNIQUE INDEX care_out_of_service ON care (pump) WHERE kind = 'out_of_service' AND ended_at IS NULL;
