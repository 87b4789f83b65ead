-- When did somebody last hear what the broker says of itself? While nobody does, nothing shows that it is well again.
CREATE TABLE broker_answer (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    since timestamptz NOT NULL, -- without a pause
    last_at timestamptz NOT NULL
);
