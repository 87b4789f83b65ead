-- Of whom silence is expected now is asked at every look for silence.
DROP INDEX care_absence;
CREATE INDEX care_absence ON care (until_at) WHERE kind = 'absence';
