-- When a pump's reservoir runs dry, in days after its last reading: as programmed, and at both ends of what it may deliver.
-- Null: nothing is programmed. Not judged: no reading of the pump has been evaluated yet.
ALTER TABLE pump_latest
    ADD COLUMN empty_judged boolean NOT NULL DEFAULT false,
    ADD COLUMN empty_nominal_d real,
    ADD COLUMN empty_conservative_d real,
    ADD COLUMN empty_optimistic_d real;
