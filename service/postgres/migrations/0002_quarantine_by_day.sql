-- How many messages of each pump could not be taken on a day (UTC). The first thousand are in quarantine, the rest only here.
CREATE TABLE quarantine_day (
    pump_id text NOT NULL, -- empty: the topic names no pump
    day date NOT NULL,
    messages bigint NOT NULL,
    PRIMARY KEY (pump_id, day)
);
