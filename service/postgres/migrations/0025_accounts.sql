-- People beside programs: accounts with a password or a link to log in with, and their sessions. Tokens are for programs, and may be
-- for less than their role may do, for some sites, and for a while.

CREATE TABLE account (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name text NOT NULL, -- what history and audit call them; also of a token, so that no two are called alike
    role text NOT NULL CHECK (role IN ('viewer', 'clinician', 'administrator')),
    sites text[], -- NULL: all, and pumps of no site
    password text, -- Argon2id; NULL: by link alone
    created_at timestamptz NOT NULL DEFAULT now(),
    disabled_at timestamptz,
    version integer NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX account_name ON account (lower(name));

CREATE TABLE session (
    sha256 bytea PRIMARY KEY,
    account uuid NOT NULL REFERENCES account,
    began_at timestamptz NOT NULL,
    used_at timestamptz NOT NULL, -- exact to a minute
    ends_at timestamptz NOT NULL -- however much it is used
);
CREATE INDEX session_account ON session (account);

-- A link logs in once.
CREATE TABLE login_link (
    sha256 bytea PRIMARY KEY,
    account uuid NOT NULL REFERENCES account,
    ends_at timestamptz NOT NULL,
    used_at timestamptz
);

-- Logins that failed in the last quarter of an hour, by the hash of the name that was given and of the address.
CREATE TABLE login_failure (
    what bytea NOT NULL,
    at timestamptz NOT NULL
);
CREATE INDEX login_failure_what ON login_failure (what, at);

ALTER TABLE token
    ADD COLUMN scopes text[], -- NULL: all that its role may do
    ADD COLUMN sites text[], -- NULL: all, and pumps of no site
    ADD COLUMN expires_at timestamptz; -- NULL: until it is revoked
