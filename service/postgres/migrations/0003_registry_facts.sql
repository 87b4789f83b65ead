-- What the clinic knows of a pump since it was implanted; NULL: no patient boluses, and a day that is not known.
ALTER TABLE pump
    ADD COLUMN bolus_daily_cap_ul real CHECK (bolus_daily_cap_ul > 0),
    ADD COLUMN implanted_on date;
