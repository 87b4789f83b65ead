-- What holds of pumps that are out of service: it is raised when they are back, if it still holds then.
CREATE TABLE unraised (
    pump integer NOT NULL REFERENCES pump,
    condition text NOT NULL,
    turn jsonb NOT NULL, -- core/change.py
    PRIMARY KEY (pump, condition)
);

-- A cause and its consequence may be written in one transaction, in any order.
ALTER TABLE alert ALTER CONSTRAINT alert_inhibited_by_fkey DEFERRABLE INITIALLY DEFERRED;
