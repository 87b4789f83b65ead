-- Whoever is next must be told within ten seconds of a page that does not arrive: so it counts as undelivered after
-- eight, and at once where its endpoint is known to fail.

CREATE OR REPLACE VIEW undelivered_page AS
SELECT n.id AS notification_id, n.alert_id, n.endpoint,
       CASE WHEN n.state = 'failed' THEN 'given_up'
            WHEN NOT e.enabled THEN 'endpoint_disabled'
            WHEN n.failures >= 2 THEN 'two_failures'
            WHEN c.opened_at IS NOT NULL THEN 'circuit_open'
            ELSE 'eight_seconds' END AS reason,
       coalesce(n.failed_since, least(n.claimed_at, n.due_at)) AS since
FROM notification AS n JOIN endpoint AS e ON e.id = n.endpoint LEFT JOIN circuit AS c ON c.endpoint = n.endpoint
WHERE n.priority = 'high' AND n.alert_id IS NOT NULL AND n.kind NOT IN ('acknowledged', 'resolved')
    AND (n.state = 'failed'
         OR (n.state = 'pending'
             AND (NOT e.enabled OR n.failures >= 2
                  OR least(n.claimed_at, n.due_at)
                     < clock_timestamp() - CASE WHEN c.opened_at IS NULL THEN interval '8 seconds' ELSE '0' END)));
