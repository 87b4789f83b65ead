-- The latest checkpoint of each pump that speaks is written again every minute. With room beside it that is done in place:
-- no index is touched and nothing is left to be cleared away.
ALTER TABLE rule_checkpoint SET (fillfactor = 50);
