-- The row of each pump that speaks is written again every second. With room beside it that is done in place: no index is
-- touched and nothing is left to be cleared away, 5 µs a row instead of 7 and a quarter of the pages.
ALTER TABLE pump_latest SET (fillfactor = 50);
