-- Escalation: who is behind the endpoints, who is told when, and how far each alert has come with that.

-- Contacts, rotas, policies and the rules that choose between them. Every version is kept: the newest counts.
CREATE TABLE escalation_policy (
    kind text NOT NULL CHECK (kind IN ('contact', 'rota', 'policy', 'rules')),
    name text NOT NULL, -- of the rules, of which there is one list: 'rules'
    version integer NOT NULL,
    document jsonb, -- core/roster.py says in which form; NULL: deleted
    changed_at timestamptz NOT NULL DEFAULT now(),
    changed_by text NOT NULL,
    PRIMARY KEY (kind, name, version)
);
CREATE VIEW roster AS
SELECT newest.* FROM (
    SELECT DISTINCT ON (kind, name) * FROM escalation_policy ORDER BY kind, name, version DESC
) AS newest WHERE newest.document IS NOT NULL;

ALTER TABLE alert
    ADD COLUMN escalation jsonb, -- core/progress.py, with the policy as it was when the alert asked; NULL: it never has
    ADD COLUMN escalate_at timestamptz, -- when something is to be done next; NULL: nothing, until something happens
    ADD COLUMN shelved_until timestamptz, -- NULL: not shelved
    ADD COLUMN shelved_by text,
    ADD COLUMN shelf_reason text,
    ADD COLUMN chattering boolean NOT NULL DEFAULT false; -- more than three episodes in 24 h
CREATE INDEX alert_escalate ON alert (escalate_at) WHERE state <> 'resolved';
CREATE INDEX alert_recent ON alert (subject, condition, began_at);

-- What stands open without a policy begins with one at the next look of the watch.
UPDATE alert SET escalate_at = now() WHERE state <> 'resolved' AND inhibited_by IS NULL;
