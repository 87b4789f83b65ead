-- An alert is about a pump, a site or the service itself: `subject` is pump:ID, site:NAME or service:PART.
ALTER TABLE alert
    ALTER COLUMN pump DROP NOT NULL, -- NULL: a site or the service
    ADD COLUMN site text, -- of the subject, when it began
    ADD COLUMN subject text,
    ADD COLUMN inhibited_by uuid REFERENCES alert; -- the alert that tells of this one as well: this one is not announced
UPDATE alert SET subject = 'pump:' || pump.pump_id, site = pump.site FROM pump WHERE pump.pump = alert.pump;
ALTER TABLE alert ALTER COLUMN subject SET NOT NULL;

DROP INDEX alert_episode, alert_open;
CREATE UNIQUE INDEX alert_episode ON alert (subject, condition, detected_position);
CREATE UNIQUE INDEX alert_open ON alert (subject, condition) WHERE state <> 'resolved';
CREATE INDEX alert_of_pump ON alert (pump, condition, detected_position);
CREATE INDEX alert_open_of_pump ON alert (pump, condition) WHERE state <> 'resolved';
CREATE INDEX alert_inhibited ON alert (inhibited_by) WHERE inhibited_by IS NOT NULL;

-- What was heard last of a pump may be an event: then there are no values yet.
ALTER TABLE pump_latest
    ALTER COLUMN measured_at DROP NOT NULL,
    ALTER COLUMN position DROP NOT NULL,
    ALTER COLUMN program_ml_d DROP NOT NULL,
    ALTER COLUMN flow_ml_d DROP NOT NULL,
    ALTER COLUMN reservoir_ml DROP NOT NULL,
    ALTER COLUMN battery_v DROP NOT NULL,
    ALTER COLUMN mode DROP NOT NULL;

-- What says of a shard that we are not watching, and that the broker has forgotten its session.
ALTER TABLE shard
    ADD COLUMN caught_up_at timestamptz NOT NULL DEFAULT now(), -- at the latest, before it was taken over
    ADD COLUMN session_lost_at timestamptz;

-- A bad message that is delivered again is known by its bytes.
CREATE INDEX quarantine_hash ON quarantine (sha256, received_at);
-- Losses are judged by the day.
CREATE INDEX gap_noticed ON gap (noticed_at) WHERE closed_at IS NULL;
