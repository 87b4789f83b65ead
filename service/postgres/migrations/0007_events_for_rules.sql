-- What the rules need of an event beside its value, so that reading it back gives the item as it came (core/reading.py).
ALTER TABLE event ADD COLUMN second double precision;
ALTER TABLE event ADD COLUMN code smallint NOT NULL DEFAULT -1;
