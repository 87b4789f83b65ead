-- The newest time that a pump has measured, whatever its clock did since: what comes next is dated by it, also after a
-- restart. NULL in checkpoints of before: the time of the last reading stands for it.
ALTER TABLE rule_checkpoint ADD COLUMN newest_at timestamptz;
