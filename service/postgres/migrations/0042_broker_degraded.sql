-- Of which alert is it the reason? A cluster that is not whole is told of beside what is dropped.
ALTER TABLE broker_trouble ADD COLUMN condition text NOT NULL DEFAULT 'broker_dropping';
